//! All series as text, metric by metric.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::histogram::Histogram;
use super::labels::Label::{self, *};
use super::series::{Failure, Series};
use crate::money::Money;

/// What is written.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) series: Vec<Arc<Series>>,
    pub(super) refused: u64,
}

/// LiteLLM's labels, metric by metric, without those that it leaves empty or that tell where a provider is: `client_ip`,
/// `user_agent`, `api_base`, `org_id`.
const PROXY: &[Label] = &[
    EndUser,
    HashedApiKey,
    ApiKeyAlias,
    RequestedModel,
    Team,
    TeamAlias,
    User,
    UserEmail,
    Route,
    ModelId,
    ApiProvider,
];
const USE: &[Label] = &[
    EndUser,
    HashedApiKey,
    ApiKeyAlias,
    Model,
    Team,
    TeamAlias,
    User,
    UserEmail,
    RequestedModel,
    ModelId,
    ApiProvider,
];
const LATENCY: &[Label] = &[
    ModelGroup,
    Model,
    HashedApiKey,
    ApiKeyAlias,
    Team,
    TeamAlias,
    RequestedModel,
    EndUser,
    User,
    ModelId,
    ApiProvider,
];
const OVERHEAD: &[Label] = &[ModelGroup, ApiProvider, LitellmModelName, HashedApiKey, ApiKeyAlias, ModelId];
const PER_TOKEN: &[Label] =
    &[ModelGroup, LitellmModelName, ModelId, ApiProvider, HashedApiKey, ApiKeyAlias, Team, TeamAlias];
const FALLBACK: &[Label] = &[RequestedModel, FallbackModel, HashedApiKey, ApiKeyAlias, Team, TeamAlias, ModelId];
const MODEL: &[Label] = &[RequestedModel, Model, ModelId, ApiProvider];

type Count = fn(&Series) -> u64;
type Times = fn(&Series) -> &Histogram;

const COUNTERS: &[(&str, &str, &[Label], Count)] = &[
    ("litellm_requests_metric", "Calls that were answered", USE, |series| of(&series.succeeded)),
    ("litellm_total_tokens_metric", "Tokens of prompts and answers", USE, |series| {
        of(&series.input).saturating_add(of(&series.output))
    }),
    ("litellm_input_tokens_metric", "Tokens of prompts", USE, |series| of(&series.input)),
    ("litellm_output_tokens_metric", "Tokens of answers", USE, |series| of(&series.output)),
    ("litellm_input_cached_tokens_metric", "Tokens read from a provider's cache", USE, |series| of(&series.cache_read)),
    ("litellm_input_cache_creation_tokens_metric", "Tokens written to a provider's cache", USE, |series| {
        of(&series.cache_write)
    }),
    ("litellm_output_reasoning_tokens_metric", "Tokens that a model thought in", USE, |series| of(&series.reasoning)),
    ("litellm_deployment_successful_fallbacks", "Calls that a fallback answered", FALLBACK, |series| {
        of(&series.rescued)
    }),
    ("litellm_deployment_failed_fallbacks", "Calls that no fallback could answer", FALLBACK, |series| of(&series.lost)),
    (
        "ai_api_unpriced_requests",
        "Calls that used what nobody knows the price of",
        MODEL,
        |series| of(&series.unpriced),
    ),
];

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

const HISTOGRAMS: &[(&str, &str, &[Label], Times)] = &[
    (
        "litellm_request_total_latency_metric",
        "Seconds from a request to the last byte of its answer",
        LATENCY,
        |series| &series.total_time,
    ),
    ("litellm_llm_api_latency_metric", "Seconds that providers were waited for in a call", LATENCY, |series| {
        &series.upstream_time
    }),
    (
        "litellm_llm_api_time_to_first_token_metric",
        "Seconds from a request to the first byte of its stream",
        LATENCY,
        |series| &series.first_token,
    ),
    (
        "litellm_overhead_latency_metric",
        "Seconds that the gateway itself added before the first byte of an answer",
        OVERHEAD,
        |series| &series.overhead,
    ),
    (
        "litellm_deployment_latency_per_output_token",
        "Seconds of an answer, or to the first byte of a stream, for each of its tokens",
        PER_TOKEN,
        |series| &series.per_token,
    ),
    ("ai_api_inter_token_latency_seconds", "Seconds between two tokens of a stream", PER_TOKEN, |series| {
        &series.between_tokens
    }),
];

impl Collector for Text {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.requests(&mut encoder)?;
        let help = "Calls that failed, by the status and the error that their clients got";
        self.failures(&mut encoder, "litellm_proxy_failed_requests_metric", help, PROXY, |failure| failure.count)?;
        let help = "Calls that a provider was asked for and that failed";
        let name = "litellm_llm_api_failed_requests_metric";
        self.failures(&mut encoder, name, help, USE, |failure| failure.of_providers)?;
        for (name, help, labels, count) in COUNTERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for series in &self.series {
                let count = count(series);
                if count > 0 {
                    let labels = series.labels.choose(labels, &[]);
                    metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        self.spend(&mut encoder)?;
        for (name, help, labels, times) in HISTOGRAMS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            for series in self.series.iter().filter(|series| !times(series).is_empty()) {
                let labels = series.labels.choose(labels, &[]);
                times(series).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl Text {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("litellm_proxy_total_requests_metric", "Calls by the status that their clients got");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for series in &self.series {
            let succeeded = series.succeeded.load(Ordering::Relaxed);
            let succeeded = Some((200, succeeded)).filter(|_| succeeded > 0);
            let mut by_status: Vec<(u16, u64)> = succeeded.into_iter().collect();
            for Failure { status, count, .. } in series.failures() {
                match by_status.iter_mut().find(|(known, _)| *known == status) {
                    Some((_, sum)) => *sum += count,
                    None => by_status.push((status, count)),
                }
            }
            for (status, count) in by_status {
                let status = status.to_string();
                let more = [("status_code", status.as_str())];
                let labels = series.labels.choose(PROXY, &more);
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        if self.refused > 0 {
            let labels = [("status_code", "401")];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&self.refused, None)?;
        }
        Ok(())
    }

    fn failures(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        labels: &'static [Label],
        count: fn(&Failure) -> u64,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for series in &self.series {
            for failure in series.failures() {
                let (status, count) = (failure.status.to_string(), count(&failure));
                let more = [("exception_status", status.as_str()), ("exception_class", failure.class)];
                let labels = series.labels.choose(labels, &more);
                if count > 0 {
                    metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        if self.refused > 0 && labels == PROXY {
            let labels = [("exception_status", "401"), ("exception_class", "AuthenticationError")];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&self.refused, None)?;
        }
        Ok(())
    }

    fn spend(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("litellm_spend_metric", "What calls have cost, in US dollars");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for series in &self.series {
            let pico = series.spent_pico.load(Ordering::Relaxed);
            if pico > 0 {
                let dollars = Money::from_pico(i64::try_from(pico).unwrap_or(i64::MAX)).as_f64();
                let labels = series.labels.choose(USE, &[]);
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&dollars, None)?;
            }
        }
        Ok(())
    }
}
