//! Those who are told of calls, begun as the configuration names them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::outbox::Outbox;
use super::webhook::Poster;
use super::{metrics, otlp};
use crate::config::callbacks::Destination;
use crate::config::{Callbacks, Config};
use crate::upstream;
use crate::usage::Sink;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// All who are told, and what has to be kept of a call for them. Set up once: a reload doesn't change it.
#[derive(Debug, Default)]
pub struct Tellers {
    outboxes: Vec<Arc<Outbox>>,
    /// Attempts are kept, and providers are told of the trace.
    pub traces: bool,
    /// What was asked and answered is kept.
    pub messages: bool,
    /// A client can't keep a call from them.
    pub ignore_no_log: bool,
}

/// How finely calls are counted.
pub fn metric_settings(callbacks: &Callbacks) -> metrics::Settings {
    metrics::Settings {
        max_series: callbacks.max_series.unwrap_or(metrics::MAX_SERIES),
        by_end_user: callbacks.metrics_by_end_user,
    }
}

// === impl Tellers ===

impl Tellers {
    /// Begins.
    ///
    /// # Errors
    /// There is no client for it, or OpenTelemetry's variables make no sense.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let callbacks = &config.callbacks;
        let mut tellers = Self {
            messages: callbacks.store_messages || callbacks.all.iter().any(|callback| callback.messages),
            ignore_no_log: callbacks.ignore_no_log,
            ..Self::default()
        };
        if callbacks.all.is_empty() {
            return Ok(tellers);
        }
        let client = upstream::client(CONNECT_TIMEOUT)?;
        for callback in &callbacks.all {
            match &callback.to {
                Destination::Otlp(receiver) => {
                    tellers.traces |= receiver.traces.is_some();
                    let started = otlp::start(callback, receiver, &client, callbacks.hide_callers)?;
                    tellers.outboxes.extend(started.into_iter().map(Arc::new));
                }
                Destination::Webhook(webhook) => {
                    let hide = callbacks.hide_callers;
                    let poster = Poster::new(client.clone(), (**webhook).clone(), callback.messages, hide);
                    let retries = poster.retries();
                    let outbox = Outbox::start(&callback.name, callback.events, retries, Arc::new(poster));
                    tellers.outboxes.push(Arc::new(outbox));
                }
            }
        }
        Ok(tellers)
    }

    /// They as those who are told.
    pub fn sinks(&self) -> impl Iterator<Item = Box<dyn Sink>> {
        self.outboxes.iter().map(|outbox| Box::new(outbox.clone()) as Box<dyn Sink>)
    }

    /// Tells what is left, for some seconds.
    pub async fn close(&self) {
        futures_util::future::join_all(self.outboxes.iter().map(|outbox| outbox.close())).await;
    }

    /// Adds what became of calls.
    pub fn register(&self, registry: &mut Registry) {
        if self.outboxes.is_empty() {
            return;
        }
        let told: Family<Vec<(&'static str, String)>, Counter> = Family::default();
        let failures: Family<Vec<(&'static str, String)>, Counter> = Family::default();
        let queued: Family<Vec<(&'static str, String)>, Gauge> = Family::default();
        for outbox in &self.outboxes {
            let (counts, name) = (outbox.counts(), outbox.name());
            let of = |outcome: &str| vec![("callback_name", name.to_owned()), ("outcome", outcome.to_owned())];
            let failed = counts.failed.load(Ordering::Relaxed);
            told.get_or_create(&of("sent")).inc_by(counts.sent.load(Ordering::Relaxed));
            told.get_or_create(&of("dropped")).inc_by(counts.dropped.load(Ordering::Relaxed));
            told.get_or_create(&of("failed")).inc_by(failed);
            let labels = vec![("callback_name", name.to_owned())];
            failures.get_or_create(&labels).inc_by(failed);
            let waiting = i64::try_from(counts.queued.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            queued.get_or_create(&labels).set(waiting);
        }
        registry.register("ai_api_callback_calls", "Calls that a callback was told of, or wasn't", told);
        registry.register("ai_api_callback_queued", "Calls that a callback is still to be told of", queued);
        let help = "Calls that a callback didn't take";
        registry.register("litellm_callback_logging_failures_metric", help, failures);
    }
}
