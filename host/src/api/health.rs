//! Is the process alive, may traffic come, and do the deployments serve.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Body, cors, error, models, respond};
use crate::accounts::Accounts;
use crate::config::{HealthChecks, Probe};
use crate::health::{Checked, Health};
use crate::pipeline::{GatewayError, Pipeline};
use crate::reload::{Standing, State};
use crate::router::Target;

/// The process runs. LiteLLM's very words, which probes compare. It says so while it drains too: a restart would end the
/// calls that it waits for.
pub(super) fn alive() -> Response<Body> {
    respond::json(StatusCode::OK, &json!("I'm alive!"))
}

/// Whether new traffic may come: not any more once the process was asked to end, or somebody asked for `/health/drain`.
///
/// The config and the plugins are loaded, else nobody would answer here. What is wrong with a newer one is no reason to
/// fail, for the one in use serves; and strangers may ask here, so that only `/plugins` tells the details.
pub(super) fn ready(health: &Health, accounts: &Accounts, state: &State) -> Response<Body> {
    let config = &state.config;
    let stale = "the configuration's files can't be used as they are; GET /plugins tells why";
    let count = |wanted: fn(Standing) -> bool| state.plugins.iter().filter(|status| wanted(status.standing)).count();
    let draining = health.is_draining();
    let answer = json!({
        "status": if draining { "draining" } else { "healthy" },
        "db": database(accounts),
        "config": {
            "loaded_at": unix_seconds(config.loaded_at),
            "error": config.error.is_some().then_some(stale),
        },
        "plugins": {
            "serving": count(Standing::serves),
            "failed": count(|standing| matches!(standing, Standing::Failed | Standing::Stale)),
        },
    });
    let status = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    respond::json(status, &answer)
}

/// LiteLLM's words for how the database does. One that fails makes nobody unready: calls go on without it.
fn database(accounts: &Accounts) -> &'static str {
    match (&accounts.store, &accounts.spend) {
        (None, _) => "Not connected",
        (_, Some(spend)) if spend.status().failing_since.is_some() => "disconnected",
        _ => "connected",
    }
}

/// `GET /health`: the deployments that a probe found well, and those that it didn't.
pub(super) async fn check(
    health: &Arc<Health>,
    state: &Arc<State>,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response<Body>, GatewayError> {
    let pipeline = &state.pipeline;
    let checks = &pipeline.config.health;
    let Question { model, id, paid } = Question::read(query.unwrap_or_default())?;
    if paid {
        cors::refuse_pages(headers)?;
    }
    let probe = if paid { Probe::Completion } else { checks.probe };
    let in_background = checks.background && !paid;
    let mut targets = named(pipeline, model.as_deref(), id.as_deref())?;
    if in_background && model.is_none() && id.is_none() {
        targets.retain(|target| !target.deployment.health.not_in_background);
    }
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for target in targets {
        match health.in_background(pipeline, &target).filter(|_| !paid) {
            Some(known) => found.push((target, known)),
            None => unknown.push(target),
        }
    }
    found.extend(health.check(state, &unknown, probe).await);
    found.sort_by_key(|(target, _)| target.position);
    Ok(respond::json(StatusCode::OK, &listed(&found, checks)))
}

/// What a client wants to know.
#[derive(Debug, Default, PartialEq)]
struct Question {
    model: Option<String>,
    id: Option<String>,
    paid: bool,
}

impl Question {
    fn read(query: &str) -> Result<Self, GatewayError> {
        let mut question = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match (&*key, &*value) {
                ("model", _) => question.model = Some(value.into_owned()),
                ("model_id", _) => question.id = Some(value.into_owned()),
                ("paid", "true" | "1" | "") => question.paid = true,
                ("paid", "false" | "0") => question.paid = false,
                ("paid", _) => return Err(GatewayError::invalid("paid", "'paid' must be true or false.")),
                _ => {}
            }
        }
        Ok(question)
    }
}

/// The deployments of a name, the one of an id, or all.
fn named(pipeline: &Pipeline, model: Option<&str>, id: Option<&str>) -> Result<Vec<Arc<Target>>, GatewayError> {
    let router = &pipeline.router;
    let mut targets = match model {
        Some(model) => models::resolved(pipeline, model)?.group.targets.clone(),
        None => router.targets().to_vec(),
    };
    if let Some(id) = id {
        targets.retain(|target| target.deployment.id == id);
        if targets.is_empty() {
            return Err(GatewayError::invalid("model_id", "There is no deployment of this 'model_id'."));
        }
    }
    Ok(targets)
}

/// LiteLLM's shape.
fn listed(found: &[(Arc<Target>, Arc<Checked>)], checks: &HealthChecks) -> Value {
    let (well, unwell): (Vec<_>, Vec<_>) = found.iter().partition(|(_, checked)| checked.probed.error.is_none());
    let shown = |found: &[&(Arc<Target>, Arc<Checked>)]| -> Vec<Value> {
        found.iter().map(|(target, checked)| endpoint(target, checked, checks.details)).collect()
    };
    json!({
        "healthy_endpoints": shown(&well),
        "unhealthy_endpoints": shown(&unwell),
        "healthy_count": well.len(),
        "unhealthy_count": unwell.len(),
    })
}

fn endpoint(target: &Target, checked: &Checked, details: bool) -> Value {
    let deployment = &target.deployment;
    let probed = &checked.probed;
    let mut shown = Map::from_iter([
        ("model".to_owned(), json!(format!("{}/{}", deployment.provider, deployment.model))),
        ("model_name".to_owned(), json!(deployment.model_name)),
        ("model_id".to_owned(), json!(deployment.id)),
    ]);
    if !details {
        return Value::Object(shown);
    }
    let mut tell = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown.insert(key.to_owned(), value);
        }
    };
    tell("api_base", deployment.api_base.as_ref().map(|url| json!(url.as_str())));
    tell("probe", Some(json!(probed.probe.map(Probe::name))));
    tell("latency_ms", Some(json!(u64::try_from(probed.took.as_millis()).unwrap_or(u64::MAX))));
    tell("checked_at", Some(json!(unix_seconds(checked.at))));
    tell("model_listed", probed.listed.map(Value::from));
    tell("note", probed.note.map(Value::from));
    tell("error", probed.error.as_ref().map(|error| json!(error::message(error))));
    tell("error_kind", probed.failure().map(|kind| json!(kind.name())));
    Value::Object(shown)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_from_the_query() {
        let read = |query| Question::read(query).map_err(|error| error.to_string());
        assert_eq!(read(""), Ok(Question::default()));
        let wanted = Question { model: Some("a/b c".to_owned()), id: Some("1".to_owned()), paid: true };
        assert_eq!(read("model=a%2Fb+c&model_id=1&paid=true&x=y"), Ok(wanted));
        assert_eq!(read("paid=maybe"), Err("'paid' must be true or false.".to_owned()));
    }
}
