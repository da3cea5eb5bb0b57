//! What an error means for routing: the one place that reads a provider's words for it.

use std::time::Duration;

use serde_json::Value;

use super::GatewayError;
use crate::canonical::ProviderError;
use crate::limits::Refused;
use crate::plugin::{self, CallError};
use crate::router::{Failure, FailureKind, Misfit, NoDeployment};
use crate::upstream::UpstreamError;

/// Phrases by which providers that have no code for it say that a prompt is too long, lower case. LiteLLM's list
/// (`ExceptionCheckers.is_error_str_context_window_exceeded`).
const CONTEXT_WINDOW: &[&str] = &[
    "exceed context limit",
    "this model's maximum context length is",
    "requested token count exceeds the model's maximum context length",
    "string too long. expected a string with maximum length",
    "model's maximum context limit",
    "is longer than the model's context length",
    "input tokens exceed the configured limit",
    "`inputs` tokens + `max_new_tokens` must be",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "prompt is too long",
];
/// The same in two halves.
const CONTEXT_WINDOW_PAIRS: &[(&str, &str)] = &[
    ("current length is", "while limit is"),
    ("maximum input length is", "tokens"),
    ("input too long:", "input tokens, limit is"),
];
/// Phrases by which providers say that they won't answer. LiteLLM has this list for Azure only.
const CONTENT_POLICY: &[&str] = &[
    "responsibleaipolicyviolation",
    "the response was filtered due to the prompt triggering azure openai's content management",
    "your task failed as a result of our safety system",
    "the model produced invalid content",
    "content_filter_policy",
    "your request was rejected as a result of our safety system",
];

/// What `error` means for the deployment that it came from.
pub(super) fn of(error: &GatewayError) -> Failure {
    let (kind, retry_after) = match error {
        GatewayError::Provider(error) => (of_provider(error), error.wait),
        GatewayError::Upstream { source, .. } => (of_upstream(source), None),
        GatewayError::BadAnswer { .. } => (FailureKind::Malformed, None),
        GatewayError::Plugin { source: CallError::Failed(failure), .. } => {
            (of_plugin(failure), failure.retry_after_ms.map(Duration::from_millis))
        }
        GatewayError::Plugin { .. }
        | GatewayError::Credential { .. }
        | GatewayError::NoCredential { .. }
        | GatewayError::Unusable { .. } => (FailureKind::Unavailable, None),
        GatewayError::UnsupportedOperation { .. }
        | GatewayError::UnsupportedParams { .. }
        | GatewayError::Strict { .. } => (FailureKind::Unsupported, None),
        GatewayError::NoDeployment { why, .. } => of_no_deployment(why),
        // A limit of the caller's: its model's, for another's would have been said before.
        GatewayError::Refused(Refused::Rate { retry_after, .. }) => (FailureKind::RateLimited, *retry_after),
        GatewayError::Refused(Refused::Budget { resets_in, .. }) => (FailureKind::Quota, *resets_in),
        _ => (FailureKind::InvalidRequest, None),
    };
    Failure { kind, retry_after }
}

/// Whether it was somebody else's time that ran out, which says nothing about the deployment.
pub(super) fn is_others_hurry(error: &GatewayError) -> bool {
    matches!(error, GatewayError::Upstream { source: UpstreamError::OutOfTime { .. }, .. })
}

/// Nobody was asked, so nobody is blamed; but what could serve the call instead depends on it.
fn of_no_deployment(why: &NoDeployment) -> (FailureKind, Option<Duration>) {
    match why {
        NoDeployment::NoneFits(Misfit::ContextWindow { .. }) => (FailureKind::ContextWindow, None),
        NoDeployment::NoneFits(Misfit::Lacks(_)) => (FailureKind::Unsupported, None),
        NoDeployment::NoneFits(Misfit::Tags) => (FailureKind::Permission, None),
        NoDeployment::NoneFits(Misfit::Spent { back_in }) => (FailureKind::Quota, *back_in),
        NoDeployment::Cooling { back_in, rate_limited: true } | NoDeployment::RateLimited { back_in } => {
            (FailureKind::RateLimited, Some(*back_in))
        }
        NoDeployment::Cooling { back_in, rate_limited: false } => (FailureKind::Overloaded, Some(*back_in)),
        NoDeployment::Full => (FailureKind::Overloaded, None),
        NoDeployment::NoneFits(Misfit::Unusable) | NoDeployment::Exhausted | NoDeployment::Blocked => {
            (FailureKind::Unavailable, None)
        }
    }
}

fn of_upstream(error: &UpstreamError) -> FailureKind {
    match error {
        UpstreamError::Connect(_) => FailureKind::Unreachable,
        UpstreamError::Broken(_) => FailureKind::Malformed,
        UpstreamError::Timeout { .. } | UpstreamError::OutOfTime { .. } => FailureKind::Timeout,
        // It would be as large again.
        UpstreamError::TooLarge { .. } => FailureKind::Unsupported,
    }
}

fn of_plugin(failure: &plugin::Failure) -> FailureKind {
    match failure.kind {
        plugin::FailureKind::InvalidRequest if failure.status == 409 => FailureKind::Conflict,
        plugin::FailureKind::InvalidRequest => FailureKind::InvalidRequest,
        plugin::FailureKind::Authentication => FailureKind::Authentication,
        plugin::FailureKind::Permission => FailureKind::Permission,
        plugin::FailureKind::NotFound => FailureKind::NotFound,
        plugin::FailureKind::TooLarge => FailureKind::TooLarge,
        plugin::FailureKind::RateLimited => FailureKind::RateLimited,
        plugin::FailureKind::QuotaExceeded => FailureKind::Quota,
        plugin::FailureKind::ContextWindowExceeded => FailureKind::ContextWindow,
        plugin::FailureKind::ContentPolicy => FailureKind::ContentPolicy,
        plugin::FailureKind::Unsupported => FailureKind::Unsupported,
        plugin::FailureKind::Timeout => FailureKind::Timeout,
        plugin::FailureKind::Overloaded => FailureKind::Overloaded,
        plugin::FailureKind::Upstream if failure.status == 0 || failure.status == 502 => FailureKind::Malformed,
        plugin::FailureKind::Upstream => FailureKind::Server,
    }
}

/// What a provider means that speaks the canonical wire: its code, else its status, else its words.
fn of_provider(error: &ProviderError) -> FailureKind {
    let word = |key: &str| error.error.get(key).and_then(Value::as_str).unwrap_or_default();
    match (word("code"), word("type")) {
        ("context_length_exceeded", _) => return FailureKind::ContextWindow,
        ("content_policy_violation" | "content_filter", _) => return FailureKind::ContentPolicy,
        ("insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active", _)
        | (_, "insufficient_quota" | "billing_error") => return FailureKind::Quota,
        _ => {}
    }
    match error.status {
        401 => FailureKind::Authentication,
        402 => FailureKind::Quota,
        403 => FailureKind::Permission,
        404 => FailureKind::NotFound,
        408 | 504 => FailureKind::Timeout,
        409 => FailureKind::Conflict,
        413 => FailureKind::TooLarge,
        // A request larger than a whole minute's tokens: waiting and other keys don't help it.
        429 if error.message().to_lowercase().contains("request too large") => FailureKind::TooLarge,
        429 => FailureKind::RateLimited,
        503 | 529 => FailureKind::Overloaded,
        500.. => FailureKind::Server,
        _ => of_message(&error.message().to_lowercase()),
    }
}

fn of_message(message: &str) -> FailureKind {
    // OpenAI's limit of a field, and of `user`, have the same words.
    let about_a_field = message.contains("string_above_max_length")
        || (message.contains("invalid 'user'") && message.contains("string too long"));
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let pair = |(first, second): &(&str, &str)| message.contains(first) && message.contains(second);
    if !about_a_field && (says(CONTEXT_WINDOW) || CONTEXT_WINDOW_PAIRS.iter().any(pair)) {
        FailureKind::ContextWindow
    } else if says(CONTENT_POLICY) {
        FailureKind::ContentPolicy
    } else {
        FailureKind::InvalidRequest
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_provider_is_understood_by_its_code_its_status_and_its_words() {
        for (status, body, kind) in [
            (400, r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#, FailureKind::ContextWindow),
            (400, r#"{"error":{"message":"x","code":"content_policy_violation"}}"#, FailureKind::ContentPolicy),
            (429, r#"{"error":{"message":"x","code":"insufficient_quota"}}"#, FailureKind::Quota),
            (429, r#"{"error":{"message":"x","type":"insufficient_quota"}}"#, FailureKind::Quota),
            (429, r#"{"error":{"message":"x"}}"#, FailureKind::RateLimited),
            (429, r#"{"error":{"message":"Request too large for gpt-4o: Limit 30000"}}"#, FailureKind::TooLarge),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8 tokens"}}"#,
                FailureKind::ContextWindow,
            ),
            (400, r#"{"error":{"message":"Current length is 9 while limit is 8"}}"#, FailureKind::ContextWindow),
            (
                400,
                r#"{"error":{"message":"Invalid 'user': string too long. Expected a string with maximum length 64"}}"#,
                FailureKind::InvalidRequest,
            ),
            (
                400,
                r#"{"error":{"message":"Your task failed as a result of our safety system."}}"#,
                FailureKind::ContentPolicy,
            ),
            (422, r#"{"detail":"no"}"#, FailureKind::InvalidRequest),
            (401, "", FailureKind::Authentication),
            (403, "", FailureKind::Permission),
            (404, "", FailureKind::NotFound),
            (408, "", FailureKind::Timeout),
            (409, r#"{"error":{"message":"x"}}"#, FailureKind::Conflict),
            (413, "", FailureKind::TooLarge),
            (500, "", FailureKind::Server),
            (502, "", FailureKind::Server),
            (503, "", FailureKind::Overloaded),
            (529, "", FailureKind::Overloaded),
        ] {
            let error = ProviderError::new("x", status, &HeaderMap::new(), body.as_bytes());
            assert_eq!(of_provider(&error), kind, "{status} {body}");
        }
    }
}
