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
/// successor is the same provider's; what the configuration names was replaced when it was read. Tells of either:
/// `anthropic/claude-sonnet-4-20250514 -> anthropic/claude-sonnet-4-6`.
pub(super) fn succeed(route: &mut Route) -> Option<String> {
    let deployment = &route.target.deployment;
    let provider = &deployment.provider;
    if let Some(old) = &deployment.succeeds {
        return Some(format!("{old} -> {provider}/{}", route.model));
    }
    let found = deployment.is_wildcard().then(|| successor(provider, &route.model, today())).flatten();
    let found = found.filter(|found| found.provider == provider)?;
    let told = format!("{provider}/{} -> {provider}/{}", route.model, found.model);
    route.model = found.model.to_owned();
    Some(told)
}

fn of(route: &Route) -> Option<Retirement> {
    retirement(&route.target.deployment.provider, &route.model, today())
}

fn today() -> Date {
    Date::from_unix_seconds(unix_seconds())
}
