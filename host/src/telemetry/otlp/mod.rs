//! OpenTelemetry: spans and measurements of calls to a receiver of OTLP, in the words of the GenAI semantic conventions.
//!
//! Spans are made of what is known when a call is over, by the task that sends them: a call pays for a push into a queue.

mod attributes;
mod client;
mod meter;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{RetryPolicy, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;

use super::outbox::{Carrier, NotSent, Outbox, Retries};
use crate::config::callbacks::Callback;
use crate::config::otlp::{Otlp, Sampler};
use crate::usage::CallRecord;
use client::Http;
use meter::Meter;
use spans::Telling;

const RETRIES: Retries = Retries { most: 5, delay: Duration::from_secs(1) };

/// Sends spans.
#[derive(Debug)]
struct Tracer {
    exporter: SpanExporter,
    http: Arc<Http>,
    sampler: Sampler,
    telling: Telling,
}

/// Begins to tell a receiver.
///
/// # Errors
/// OpenTelemetry's exporter refuses what its variables say.
pub fn start(
    callback: &Callback,
    otlp: &Otlp,
    client: &reqwest::Client,
    hide_callers: bool,
) -> anyhow::Result<Vec<Outbox>> {
    let attributes = otlp.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let resource = Resource::builder_empty().with_attributes(attributes).build();
    let mut outboxes = Vec::new();
    if let Some(endpoint) = &otlp.traces {
        let http = Arc::new(Http::new(client.clone(), endpoint.clone()));
        let builder = SpanExporter::builder().with_http().with_shared_http_client(http.clone());
        let mut exporter = builder.with_retry_policy(RetryPolicy::disabled()).build()?;
        exporter.set_resource(&resource);
        let messages = callback.messages;
        let telling = Telling { messages, hide_callers, for_langfuse: otlp.for_langfuse };
        let tracer = Tracer { exporter, http, sampler: otlp.sampler, telling };
        outboxes.push(Outbox::start(&callback.name, callback.events, RETRIES, Arc::new(tracer)));
    }
    if let Some(endpoint) = &otlp.metrics {
        let meter = Meter::start(Http::new(client.clone(), endpoint.clone()), resource)?;
        let name = format!("{}_metrics", callback.name);
        outboxes.push(Outbox::start(&name, callback.events, RETRIES, Arc::new(meter)));
    }
    Ok(outboxes)
}

impl Carrier for Tracer {
    fn send<'a>(&'a self, calls: &'a [Arc<CallRecord>]) -> BoxFuture<'a, Result<(), NotSent>> {
        let spans = calls.iter().flat_map(|call| spans::spans(call, self.telling)).collect();
        Box::pin(async move {
            self.exporter
                .export(spans)
                .await
                .map_err(|error| self.http.take_failure().unwrap_or_else(|| NotSent::Never(error.to_string())))
        })
    }

    fn wants(&self, call: &CallRecord) -> bool {
        spans::sampled(call, self.sampler)
    }
}
