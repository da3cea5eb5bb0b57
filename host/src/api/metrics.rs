//! `GET /metrics`: numbers for Prometheus.

use http::Response;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::{Body, account_metrics, load_metrics, plugin_metrics, redis_metrics, respond, router_metrics};
use crate::reload::{Live, State};

/// All metrics, as OpenMetrics text. The registry is made for each reading: what is counted lives with what counts it,
/// and what is about plugins is about those that are there.
pub(super) fn text(live: &Live, state: &State) -> Response<Body> {
    let mut registry = Registry::default();
    live.metrics.register(&mut registry, state);
    plugin_metrics::register(&mut registry, state);
    load_metrics::register(&mut registry, &live.admission, &live.connections);
    router_metrics::register(&mut registry, state);
    live.accounts.metrics.register(&mut registry);
    redis_metrics::register(&mut registry, live.accounts.redis.as_deref());
    live.accounts.tellers.register(&mut registry);
    account_metrics::register(&mut registry, &live.accounts);
    let mut text = String::new();
    // Writing to a text never fails.
    let _ = encode(&mut text, &registry);
    respond::metrics(text)
}
