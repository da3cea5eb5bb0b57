//! `GET /router`: where calls would go now, and why. JSON, or a page for whoever opens it in a browser.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Body, respond, router_html};
use crate::config::routing::{Chains, Fallback};
use crate::config::{Config, Date, retirement};
use crate::health::Health;
use crate::pipeline::Pipeline;
use crate::reload::State;
use crate::router::{FailureKind, Group, Snapshot, State as Circuit, Target};

/// The live state of all deployments.
pub(super) fn show(health: &Health, state: &State, headers: &HeaderMap) -> Response<Body> {
    let view = view(health, &state.pipeline);
    if wants_html(headers) { respond::page(router_html::page(&view)) } else { respond::json(StatusCode::OK, &view) }
}

/// Whether a browser asks: it names `text/html` before anything that JSON would do for.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = |kind: &&str| matches!(*kind, "text/html" | "application/json" | "*/*");
    kinds.into_iter().find(known) == Some("text/html")
}

fn view(health: &Health, pipeline: &Pipeline) -> Value {
    let config = &pipeline.config;
    let routing = &config.routing;
    let (now, today) = (Instant::now(), today());
    let groups = pipeline.router.groups().map(|group| {
        let aliases = config.aliases.iter().filter(|(_, alias)| alias.target == group.name).map(|(name, _)| name);
        let deployments = group.targets.iter().map(|target| deployment(target, health, pipeline, today, now));
        json!({
            "model_group": group.name,
            "aliases": aliases.collect::<Vec<_>>(),
            "retry_budget": rounded(group.retry_budget.left(now)),
            "fallbacks": fallbacks(group, config),
            "deployments": deployments.collect::<Vec<_>>(),
        })
    });
    let budget = &routing.retries.budget;
    json!({
        "routing_strategy": routing.strategy.name(),
        "num_retries": routing.retries.count,
        "retry_budget": {"percent": rounded(budget.share * 100.0), "min_per_second": budget.min_per_second},
        "default_fallbacks": models(&routing.fallbacks.default),
        "draining": health.is_draining(),
        "groups": groups.collect::<Vec<_>>(),
    })
}

fn fallbacks(group: &Group, config: &Config) -> Value {
    let of = |chains: &Chains| json!(chains.get(&group.name).map(|chain| models(chain)).unwrap_or_default());
    let fallbacks = &config.routing.fallbacks;
    json!({
        "general": of(&fallbacks.general),
        "context_window": of(&fallbacks.context_window),
        "content_policy": of(&fallbacks.content_policy),
    })
}

fn models(chain: &[Fallback]) -> Vec<&str> {
    chain.iter().map(|fallback| fallback.model.as_str()).collect()
}

fn deployment(target: &Target, health: &Health, pipeline: &Pipeline, today: Date, now: Instant) -> Value {
    let own = &target.deployment;
    let vitals = target.vitals.snapshot(now);
    let routing = &own.routing;
    let mut shown = Map::from_iter([
        ("model_id".to_owned(), json!(own.id)),
        ("provider".to_owned(), json!(own.provider)),
        ("model".to_owned(), json!(own.model)),
    ]);
    let mut tell = |key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    let (state, because, back_in) = state(target, &vitals);
    tell("state", json!(state));
    tell("because", json!(because));
    tell("back_in_seconds", json!(back_in));
    tell("in_flight", json!(vitals.in_flight));
    tell("max_parallel_requests", json!(routing.max_parallel_requests));
    tell("weight", json!(own.weight));
    tell("order", json!(routing.order));
    tell("tags", json!(routing.tags));
    tell("attempts", json!(vitals.attempts));
    tell("successes", json!(vitals.counts.successes));
    tell("failures", failures(&vitals));
    tell("cancelled", json!(vitals.counts.cancelled));
    tell("cooldowns", json!(vitals.counts.cooldowns));
    let last = vitals.last_failure.map(|(kind, ago)| json!({"kind": kind.name(), "seconds_ago": ago.as_secs()}));
    tell("last_failure", json!(last));
    tell("seconds_per_token", json!(vitals.seconds_per_token.map(rounded)));
    tell("seconds_to_first_piece", json!(vitals.seconds_to_first_piece.map(rounded)));
    tell("rpm", json!({"used": vitals.requests_per_minute, "limit": routing.rpm}));
    tell("tpm", json!({"used": vitals.tokens_per_minute, "limit": routing.tpm}));
    let prices = routing.prices.or_else(|| own.pricing.of(&own.model)?.of_two_tokens());
    tell("usd_per_token", json!(prices.map(|(prompt, answer)| json!({"prompt": prompt, "answer": answer}))));
    tell("retirement", json!(retirement(&own.provider, &own.model, today).map(|told| told.to_string())));
    tell("succeeds", json!(own.succeeds));
    let probe = health.last(pipeline, target).map(|checked| match checked.probed.failure() {
        Some(kind) => json!({"healthy": false, "kind": kind.name(), "checked_at": unix_seconds(checked.at)}),
        None => json!({"healthy": true, "checked_at": unix_seconds(checked.at)}),
    });
    tell("probe", json!(probe));
    Value::Object(shown)
}

/// Whether it is called; else why, and for how long.
fn state(target: &Target, vitals: &Snapshot) -> (&'static str, Option<String>, Option<f64>) {
    let own = &target.deployment;
    if own.routing.blocked {
        return ("blocked", Some("the operator has blocked it".to_owned()), None);
    }
    if let Some(reason) = &own.unusable {
        return ("unusable", Some(reason.clone()), None);
    }
    match vitals.state {
        Circuit::Cooling { remaining, because } => {
            ("cooling", Some(because.name().to_owned()), Some(rounded(remaining.as_secs_f64())))
        }
        Circuit::HalfOpen { because } => ("half_open", Some(because.name().to_owned()), None),
        Circuit::Closed if target.vitals.found_unwell() => ("unwell", Some("a probe failed".to_owned()), None),
        Circuit::Closed => ("closed", None, None),
    }
}

/// By kind; those that never happened are left out.
fn failures(vitals: &Snapshot) -> Value {
    let counts = FailureKind::ALL.into_iter().map(|kind| (kind.name(), vitals.counts.failures_of(kind)));
    let counts = counts.filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.to_owned(), json!(count)));
    Value::Object(counts.collect())
}

/// To a tenth of a millisecond, or of a thousandth: nobody reads more.
fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

fn today() -> Date {
    Date::from_unix_seconds(unix_seconds(SystemTime::now()))
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_a_page_and_everybody_else_json() {
        for (accept, html) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html; charset=utf-8", true),
            ("application/json, text/html", false),
            ("*/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a value"))]);
            assert_eq!(wants_html(&headers), html, "{accept}");
        }
        assert!(!wants_html(&HeaderMap::new()));
    }
}
