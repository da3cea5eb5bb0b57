//! How counting in Redis does, for `GET /metrics`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::limits::redis::Redis;

/// Adds what there is to say of it; without Redis that is nothing.
pub(super) fn register(registry: &mut Registry, redis: Option<&Redis>) {
    let Some(redis) = redis else { return };
    let figures = redis.figures();
    let connected: Gauge = Gauge::default();
    connected.set(figures.connected.into());
    registry.register("ai_api_redis_connected", "Whether limits and budgets are counted in Redis: 1, or 0", connected);
    let calls: Family<Vec<(&'static str, &'static str)>, Counter> = Family::default();
    let outcomes = [
        ("counted", figures.taken),
        ("refused", figures.refused),
        ("unanswered", figures.unanswered),
        ("alone", figures.alone),
    ];
    for (outcome, count) in outcomes {
        calls.get_or_create(&vec![("outcome", outcome)]).inc_by(count);
    }
    let help = "Calls with limits: counted or refused by Redis, without an answer of it, of those counted here alone";
    registry.register("ai_api_redis_calls", help, calls);
    let mut counter = |name, help, value| {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    };
    counter("ai_api_redis_slow_answers", "Answers of Redis that calls didn't wait for any longer", figures.slow);
    counter("ai_api_redis_lost", "How often Redis was given up, to be looked for again", figures.lost);
    counter("ai_api_redis_batches", "Batches of what calls came to that Redis was told", figures.batches);
    counter("ai_api_redis_forgotten", "Sums that Redis isn't told, for want of room", figures.forgotten);
}
