//! What is under way, what waits and what was refused, for `GET /metrics`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::admission::{Admission, Connections, Snapshot};

/// Adds what admission counts.
pub(super) fn register(registry: &mut Registry, admission: &Admission, connections: &Connections) {
    let Snapshot { in_flight, queued, shed } = admission.snapshot();
    let gauge = |value: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge
    };
    registry.register("ai_api_requests_in_flight", "Calls under way, to the end of their answers", gauge(in_flight));
    registry.register("ai_api_requests_queued", "Calls that wait to be taken on", gauge(queued));
    let refused: Family<Vec<(&'static str, &'static str)>, Counter> = Family::default();
    for (reason, count) in shed {
        refused.get_or_create(&vec![("reason", reason)]).inc_by(count);
    }
    registry.register("ai_api_requests_shed", "Calls that were refused because of the load, by reason", refused);
    registry.register("ai_api_connections_open", "Connections of clients", gauge(connections.count()));
}
