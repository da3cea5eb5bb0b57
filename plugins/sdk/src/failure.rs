//! Failures: the few ways in which a translation, or the provider, says no.

use crate::{Failure, FailureKind, Header};

/// A failure of this kind, with the kind's own status.
pub fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, status: 0, message: message.into(), param: None, code: None, retry_after_ms: None }
}

/// The client's request is wrong at `param` (`messages[2].content`).
pub fn invalid(param: impl ToString, message: impl Into<String>) -> Failure {
    Failure { param: Some(param.to_string()), ..failure(FailureKind::InvalidRequest, message) }
}

/// The provider can't do what `param` asks for, and leaving it out would change what the request means.
pub fn unsupported(param: impl ToString, message: impl Into<String>) -> Failure {
    Failure { param: Some(param.to_string()), ..failure(FailureKind::Unsupported, message) }
}

/// The provider's answer lacks the documented shape.
pub fn malformed(message: impl Into<String>) -> Failure {
    failure(FailureKind::Upstream, message)
}

/// The provider refused or failed with `status`, in its own words.
///
/// The kind follows the status, except where the words say more: a prompt that is too long comes as a plain 400
/// from every provider.
pub fn from_status(status: u16, message: impl Into<String>, headers: &[Header]) -> Failure {
    let message = message.into();
    let kind = match status {
        400 if is_context_window_exceeded(&message) => FailureKind::ContextWindowExceeded,
        401 => FailureKind::Authentication,
        402 => FailureKind::QuotaExceeded,
        403 => FailureKind::Permission,
        404 => FailureKind::NotFound,
        408 | 504 => FailureKind::Timeout,
        413 => FailureKind::TooLarge,
        429 => FailureKind::RateLimited,
        503 | 529 => FailureKind::Overloaded,
        400..=499 => FailureKind::InvalidRequest,
        _ => FailureKind::Upstream,
    };
    // 529 is Anthropic's own; SDKs retry 503.
    let status = if status == 529 { 503 } else { status };
    Failure { status, retry_after_ms: retry_after_ms(headers), ..failure(kind, message) }
}

/// How long a provider asks to wait: `retry-after-ms`, else `retry-after` in seconds. Dates are not read, for a
/// plugin has no clock.
pub fn retry_after_ms(headers: &[Header]) -> Option<u64> {
    if let Some(ms) = header(headers, "retry-after-ms").and_then(|value| value.trim().parse::<f64>().ok()) {
        return (ms >= 0.0).then_some(ms as u64);
    }
    let seconds = header(headers, "retry-after")?.trim().parse::<f64>().ok()?;
    (seconds >= 0.0).then_some((seconds * 1000.0) as u64)
}

/// The value of the first header of this lower-case name.
pub fn header<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    headers.iter().find(|header| header.name == name).map(|header| header.value.as_str())
}

/// Whether a provider's message says that the prompt is too long for the model. The phrases are LiteLLM's
/// (`ExceptionCheckers.is_error_str_context_window_exceeded`), so that both sort failures alike.
pub fn is_context_window_exceeded(message: &str) -> bool {
    let text = message.to_lowercase();
    let any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    let both = |first: &str, second: &str| text.contains(first) && text.contains(second);
    if text.contains("string_above_max_length") || both("invalid 'user'", "string too long") {
        return false;
    }
    any(&[
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
        "context_length_exceeded",
        "prompt is too long",
    ]) || both("current length is", "while limit is")
        || both("maximum input length is", "tokens")
        || both("input too long:", "input tokens, limit is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_gives_the_kind_unless_the_words_say_more() {
        for (status, message, kind, shown) in [
            (400, "bad", FailureKind::InvalidRequest, 400),
            (400, "prompt is too long: 9 tokens > 8 maximum", FailureKind::ContextWindowExceeded, 400),
            (401, "no", FailureKind::Authentication, 401),
            (413, "big", FailureKind::TooLarge, 413),
            (429, "slow down", FailureKind::RateLimited, 429),
            (500, "oops", FailureKind::Upstream, 500),
            (529, "Overloaded", FailureKind::Overloaded, 503),
        ] {
            let failure = from_status(status, message, &[]);
            assert_eq!((failure.kind, failure.status), (kind, shown), "{status} {message}");
        }
    }

    #[test]
    fn the_provider_says_how_long_to_wait() {
        let headers = |name: &str, value: &str| vec![Header { name: name.into(), value: value.into() }];
        assert_eq!(retry_after_ms(&headers("retry-after", "1.5")), Some(1500));
        assert_eq!(retry_after_ms(&headers("retry-after-ms", "20")), Some(20));
        assert_eq!(retry_after_ms(&headers("retry-after", "Fri, 31 Dec 2027 23:59:59 GMT")), None);
        assert_eq!(retry_after_ms(&headers("retry-after", "-1")), None);
    }
}
