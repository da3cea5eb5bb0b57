//! Measurements of calls by OpenTelemetry's names.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry_otlp::{MetricExporter, RetryPolicy, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::periodic_reader_with_async_runtime::PeriodicReader;
use opentelemetry_sdk::runtime::Tokio;

use super::attributes::of_measurement;
use super::client::Http;
use crate::telemetry::outbox::{Carrier, NotSent};
use crate::usage::CallRecord;

/// The boundaries that OpenTelemetry advises.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TO_FIRST_TOKEN: [f64; 14] = [0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];
const PER_TOKEN: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.5, 1.0];
const TOKENS: [f64; 14] = [
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];

/// Measures calls, and sends what it comes to now and then.
#[derive(Debug)]
pub(super) struct Meter {
    provider: SdkMeterProvider,
    duration: Histogram<f64>,
    tokens: Histogram<u64>,
    first_token: Histogram<f64>,
    per_token: Histogram<f64>,
}

// === impl Meter ===

impl Meter {
    pub(super) fn start(http: Http, resource: Resource) -> anyhow::Result<Self> {
        let exporter = MetricExporter::builder()
            .with_http()
            .with_http_client(http)
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        let reader = PeriodicReader::builder(exporter, Tokio).build();
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        let meter = provider.meter("ai-api");
        let seconds = |name: &'static str, help: &'static str, bounds: &[f64]| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(help);
            builder.with_boundaries(bounds.to_vec()).build()
        };
        let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}");
        let tokens = tokens.with_description("Tokens of prompts and answers").with_boundaries(TOKENS.to_vec());
        Ok(Self {
            duration: seconds("gen_ai.client.operation.duration", "How long calls take", &SECONDS),
            tokens: tokens.build(),
            first_token: seconds(
                "gen_ai.server.time_to_first_token",
                "From a call to the first byte of its stream",
                &TO_FIRST_TOKEN,
            ),
            per_token: seconds("gen_ai.server.time_per_output_token", "Between two tokens of a stream", &PER_TOKEN),
            provider,
        })
    }

    fn measure(&self, call: &CallRecord) {
        let mut attributes = of_measurement(call);
        self.duration.record(call.duration.as_secs_f64(), &attributes);
        let first = call.first_byte.filter(|_| call.streaming);
        if let Some(first) = first {
            self.first_token.record(first.as_secs_f64(), &attributes);
        }
        let Some(usage) = &call.usage else { return };
        if let (Some(first), 2..) = (first, usage.completion_tokens) {
            let rest = call.duration.saturating_sub(first).as_secs_f64();
            self.per_token.record(rest / (usage.completion_tokens - 1) as f64, &attributes);
        }
        for (kind, tokens) in [("input", usage.prompt_tokens), ("output", usage.completion_tokens)] {
            attributes.push(KeyValue::new("gen_ai.token.type", kind));
            self.tokens.record(tokens, &attributes);
            attributes.pop();
        }
    }
}

impl Carrier for Meter {
    fn send<'a>(&'a self, calls: &'a [Arc<CallRecord>]) -> BoxFuture<'a, Result<(), NotSent>> {
        calls.iter().for_each(|call| self.measure(call));
        Box::pin(std::future::ready(Ok(())))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let provider = self.provider.clone();
        // It blocks.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(Duration::from_secs(4)));
        Box::pin(async move {
            let _ = ended.await;
        })
    }
}
