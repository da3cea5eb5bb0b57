//! A provider's error, in OpenAI's shape whatever shape it came in.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Map, Value};

/// What a provider that speaks the canonical wire said when it refused or failed.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderError {
    /// Its status.
    pub status: u16,
    /// The `error` object for the client: `message`, `type`, `param`, `code`, and what else the provider put there.
    pub error: Map<String, Value>,
    /// Its `retry-after`, as it came.
    pub retry_after: Option<String>,
    /// When it may be asked again, as its headers say.
    pub wait: Option<Duration>,
}

impl ProviderError {
    /// Reads an error answer.
    pub fn new(provider: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let error = serde_json::from_slice(body).ok().and_then(|value| find_error(value, status));
        let error = error.unwrap_or_else(|| {
            let kind = header(CONTENT_TYPE).map(|kind| kind.split(';').next().unwrap_or_default().to_owned());
            let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
            object(format!("{provider} answered {status}{kind}"), status)
        });
        let wait = super::wait::read(headers, SystemTime::now());
        let retry_after = header(RETRY_AFTER).filter(|value| is_retry_after(value)).map(str::to_owned);
        // Whole seconds, rounded up: coming back too early is refused again.
        let retry_after = retry_after.or_else(|| Some(wait?.as_millis().div_ceil(1000).to_string()));
        Self { status, error, retry_after, wait }
    }

    /// An error that came under a status of success: in a stream, or as a whole answer.
    pub fn unannounced(provider: &str, body: &[u8]) -> Self {
        let mut error = Self::new(provider, 502, &HeaderMap::new(), body);
        let number = |key: &str| match error.error.get(key)? {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let told = number("status_code").or_else(|| number("code")).filter(|status| (400..600).contains(status));
        let kind = error.error.get("type").and_then(Value::as_str).unwrap_or_default();
        error.status = match told.and_then(|status| u16::try_from(status).ok()) {
            Some(status) => status,
            None if kind.starts_with("invalid_request") => 400,
            None if kind.contains("rate_limit") => 429,
            None => 502,
        };
        error
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        self.error.get("message").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Seconds or a date, <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>.
fn is_retry_after(value: &str) -> bool {
    value.len() <= 32 && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | ',' | ':' | '.'))
}

/// Finds the error in `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}`, or an array of one.
fn find_error(value: Value, status: u16) -> Option<Map<String, Value>> {
    let mut map = match value {
        Value::Object(map) => map,
        Value::Array(values) => return find_error(values.into_iter().next()?, status),
        _ => return None,
    };
    match map.shift_remove("error") {
        Some(Value::Object(error)) => return complete(error, status),
        Some(Value::String(message)) => return Some(object(message, status)),
        _ => {}
    }
    match map.shift_remove("detail") {
        Some(Value::String(message)) => return Some(object(message, status)),
        Some(detail @ (Value::Array(_) | Value::Object(_))) => return Some(object(detail.to_string(), status)),
        _ => {}
    }
    complete(map, status)
}

/// Fills in what OpenAI's SDKs expect beside the message; the provider's own words stay.
fn complete(mut error: Map<String, Value>, status: u16) -> Option<Map<String, Value>> {
    match error.get("message") {
        Some(Value::String(_)) => {}
        Some(other) if !other.is_null() => {
            let text = other.to_string();
            error.insert("message".to_owned(), Value::String(text));
        }
        _ => return None,
    }
    if !error.get("type").is_some_and(Value::is_string) {
        error.insert("type".to_owned(), Value::String(error_type(status).to_owned()));
    }
    // SDKs take both for words.
    for key in ["param", "code"] {
        let word = match error.get(key) {
            Some(Value::String(_)) => continue,
            Some(Value::Number(number)) => Value::String(number.to_string()),
            _ => Value::Null,
        };
        error.insert(key.to_owned(), word);
    }
    Some(error)
}

fn object(message: String, status: u16) -> Map<String, Value> {
    Map::from_iter([
        ("message".to_owned(), Value::String(message)),
        ("type".to_owned(), Value::String(error_type(status).to_owned())),
        ("param".to_owned(), Value::Null),
        ("code".to_owned(), Value::Null),
    ])
}

/// OpenAI's error type for a status, where the provider gave none. LiteLLM's words.
pub fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "internal_server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_shape_becomes_openais() {
        for (body, message) in [
            (r#"{"error":{"message":"a","type":"t","code":"c","param":"p"}}"#, "a"),
            (r#"{"error":"b"}"#, "b"),
            (r#"{"object":"error","message":"c","type":"invalid_request_error","code":1}"#, "c"),
            (r#"{"detail":"d"}"#, "d"),
            (r#"{"detail":[{"loc":["body"],"msg":"e"}]}"#, r#"[{"loc":["body"],"msg":"e"}]"#),
            (r#"[{"error":{"message":"f","code":400}}]"#, "f"),
            ("<html>", "vendor answered 418 (text/html)"),
            ("", "vendor answered 418 (text/html)"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, "text/html; charset=utf-8".parse().unwrap());
            let error = ProviderError::new("vendor", 418, &headers, body.as_bytes());
            assert_eq!(error.message(), message, "{body}");
            assert!(error.error.get("type").is_some_and(Value::is_string), "{body}");
        }
    }

    #[test]
    fn param_and_code_are_words_or_null() {
        for (given, told) in
            [("\"w\"", "\"w\""), ("500", "\"500\""), ("true", "null"), ("{}", "null"), ("null", "null")]
        {
            let body = format!(r#"{{"error":{{"message":"m","type":"t","param":{given},"code":{given}}}}}"#);
            let error = ProviderError::new("x", 400, &HeaderMap::new(), body.as_bytes()).error;
            let expected = format!(r#"{{"message":"m","type":"t","param":{told},"code":{told}}}"#);
            assert_eq!(Value::Object(error).to_string(), expected);
        }
    }

    #[test]
    fn the_providers_own_words_stay() {
        let body = br#"{"error":{"message":"a","type":"t","code":"c","param":"p","extra":1}}"#;
        let error = ProviderError::new("x", 400, &HeaderMap::new(), body);
        assert_eq!(
            Value::Object(error.error).to_string(),
            r#"{"message":"a","type":"t","code":"c","param":"p","extra":1}"#
        );
    }
}
