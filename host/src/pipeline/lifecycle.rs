//! Models that their providers have shut down: a word about it in the error, or the successor's answer.

use super::{GatewayError, unix_seconds};
use crate::config::{Date, Retirement, retirement, successor};
use crate::plugin::CallError;
use crate::router::{FailureKind, Route};

/// An error that says, where the provider has no such model, what became of it.
pub(super) fn with_hint(mut error: GatewayError, kind: FailureKind, route: &Route) -> GatewayError {
    let known = Some(kind).filter(|kind| *kind == FailureKind::NotFound).and_then(|_| of(route));
    let Some(known) = known.filter(|known| known.is_gone) else { return error };
    let message = match &mut error {
        GatewayError::Provider(told) => match told.error.get_mut("message") {
            Some(serde_json::Value::String(message)) => message,
            _ => return error,
        },
        GatewayError::Plugin { source: CallError::Failed(failure), .. } => &mut failure.message,
        _ => return error,
    };
    let end = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    message.push_str(&format!("{end} {known}."));
    error
}

/// Turns a route to a model that is gone into one to its successor, where a wildcard let a client name it and the
/// successor is the same provider's. What the configuration names was replaced when it was read.
pub(super) fn succeed(route: &mut Route) {
    let deployment = &route.target.deployment;
    if !deployment.is_wildcard() {
        return;
    }
    let found = successor(&deployment.provider, &route.model, today());
    if let Some(found) = found.filter(|found| found.provider == deployment.provider) {
        route.model = found.model.to_owned();
    }
}

/// `anthropic/claude-sonnet-4-20250514 -> anthropic/claude-sonnet-4-6`, where another model than the one that was named
/// serves. `named`: the provider's name
/// for it, as it was routed, where that may have been replaced.
pub(super) fn told(route: &Route, named: Option<&str>) -> Option<String> {
    let deployment = &route.target.deployment;
    let provider = &deployment.provider;
    match (&deployment.succeeds, named) {
        (Some(old), _) => Some(format!("{old} -> {provider}/{}", route.model)),
        (None, Some(named)) if named != route.model => {
            Some(format!("{provider}/{named} -> {provider}/{}", route.model))
        }
        (None, _) => None,
    }
}

fn of(route: &Route) -> Option<Retirement> {
    retirement(&route.target.deployment.provider, &route.model, today())
}

fn today() -> Date {
    Date::from_unix_seconds(unix_seconds())
}
