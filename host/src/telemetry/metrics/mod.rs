//! What calls come to, for Prometheus: LiteLLM's metrics by name and label, so that its dashboards go on.
//!
//! Calls with the same labels share a `Series`, which holds all that is counted of them. A call looks its series up once,
//! without a lock that anybody waits for in practice and without an allocation, and then adds to atomics. There are at most
//! `max_series` of them; what comes beyond is counted in one that says `overflow`, so that sums stay right.

mod histogram;
mod labels;
mod remaining;
mod series;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::registry::Registry;

pub use remaining::Remaining;
pub(super) use series::class;

use crate::usage::{CallRecord, Sink};
use labels::Of;
use table::Table;

/// What there may be of different series, by default. One is a key, a model and a deployment, and takes 1.5 KiB of memory and up to
/// 25 KiB of `GET /metrics`.
pub const MAX_SERIES: usize = 500;

/// What is counted of calls.
#[derive(Debug)]
pub struct Metrics {
    table: Table,
    /// Requests for models that had no valid key.
    refused: AtomicU64,
    remaining: Remaining,
    by_end_user: bool,
}

/// What is counted, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most series: `ai_api_settings.max_metric_series`.
    pub max_series: usize,
    /// Whether end users have series of their own: `litellm_settings.enable_end_user_cost_tracking_prometheus_only`.
    pub by_end_user: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_series: MAX_SERIES, by_end_user: false }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

// === impl Metrics ===

impl Metrics {
    /// Nothing is counted yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            table: Table::new(settings.max_series),
            refused: AtomicU64::default(),
            remaining: Remaining::default(),
            by_end_user: settings.by_end_user,
        }
    }

    /// A request for a model had no valid key.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What providers say that is left of their limits.
    pub fn remaining(&self) -> &Remaining {
        &self.remaining
    }

    /// Adds what was counted so far.
    pub fn register(&self, registry: &mut Registry) {
        let refused = self.refused.load(Ordering::Relaxed);
        registry.register_collector(Box::new(text::Text { series: self.table.all(), refused }));
        self.remaining.register(registry);
    }
}

impl Sink for Arc<Metrics> {
    fn record(&self, call: &Arc<CallRecord>) {
        let end_user = call.end_user.as_deref().filter(|_| self.by_end_user);
        self.table.of(&Of { call, end_user }).count(call);
    }
}
