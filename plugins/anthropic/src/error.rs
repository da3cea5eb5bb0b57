//! What Anthropic says when it refuses: <https://platform.claude.com/docs/en/api/errors>.

use ai_api_plugin_sdk::{Failure, FailureKind, HttpResponse, failure};
use serde::Deserialize;

/// `{"type": "error", "error": {…}}`, as a body and as an event.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorBody {
    pub(crate) error: ErrorDetail,
}

/// What went wrong, in the provider's words.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorDetail {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// An answer with an error status.
pub(crate) fn of_response(response: &HttpResponse) -> Failure {
    let HttpResponse { status, headers, body } = response;
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error }) if !error.message.is_empty() => {
            let failure = failure::from_status(*status, error.message.clone(), headers);
            out_of_credit(failure, &error)
        }
        // A proxy on the way, or a form of error that nobody knows.
        _ => {
            let media = failure::header(headers, "content-type").and_then(|value| value.split(';').next());
            let media = media.unwrap_or("no content type").trim();
            failure::from_status(*status, format!("anthropic answered {status} ({media})"), headers)
        }
    }
}

/// An error that came after a good status: as an event, or as a whole body.
pub(crate) fn of_detail(error: &ErrorDetail) -> Failure {
    let message = if error.message.is_empty() { &error.kind } else { &error.message };
    out_of_credit(failure::from_status(status_of(&error.kind), message.clone(), &[]), error)
}

/// An empty account comes as a plain 400: <https://github.com/BerriAI/litellm> hands it on as one, so that no
/// other key is tried. It is the same as OpenAI's `insufficient_quota`.
fn out_of_credit(failure: Failure, error: &ErrorDetail) -> Failure {
    let message = error.message.to_lowercase();
    if error.kind == "billing_error" || message.contains("credit balance is too low") {
        return Failure { kind: FailureKind::QuotaExceeded, status: 0, ..failure };
    }
    failure
}

/// The status that Anthropic's documentation gives for a type of error.
fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use ai_api_plugin_sdk::Header;

    use super::*;

    fn answer(status: u16, media: &str, body: &str) -> Failure {
        let headers = vec![
            Header { name: "content-type".into(), value: media.into() },
            Header { name: "retry-after".into(), value: "7".into() },
        ];
        of_response(&HttpResponse { status, headers, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn a_refusal_keeps_the_providers_words_and_gets_the_right_kind() {
        let body = |kind: &str, message: &str| {
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"r"}}"#)
        };
        for (status, kind, message, expected, shown) in [
            (400, "invalid_request_error", "max_tokens: too big", FailureKind::InvalidRequest, 400),
            (400, "invalid_request_error", "prompt is too long: 9 > 8", FailureKind::ContextWindowExceeded, 400),
            (400, "invalid_request_error", "Your credit balance is too low to …", FailureKind::QuotaExceeded, 0),
            (402, "billing_error", "pay first", FailureKind::QuotaExceeded, 0),
            (401, "authentication_error", "invalid x-api-key", FailureKind::Authentication, 401),
            (403, "permission_error", "no", FailureKind::Permission, 403),
            (404, "not_found_error", "model: x", FailureKind::NotFound, 404),
            (413, "request_too_large", "too much", FailureKind::TooLarge, 413),
            (429, "rate_limit_error", "slow", FailureKind::RateLimited, 429),
            (500, "api_error", "boom", FailureKind::Upstream, 500),
            (529, "overloaded_error", "Overloaded", FailureKind::Overloaded, 503),
        ] {
            let failure = answer(status, "application/json", &body(kind, message));
            assert_eq!((failure.kind, failure.status), (expected, shown), "{kind}: {message}");
            assert_eq!(failure.message, message);
            assert_eq!(failure.retry_after_ms, Some(7000));
        }
    }

    #[test]
    fn a_body_that_is_no_error_of_anthropics_is_told_by_status_and_type() {
        let failure = answer(502, "text/html; charset=utf-8", "<html>");
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Upstream, "anthropic answered 502 (text/html)")
        );
    }
}
