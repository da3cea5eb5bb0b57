//! What Google says when it refuses or fails: <https://ai.google.dev/gemini-api/docs/troubleshooting>.

use ai_api_plugin_sdk::json::Json;
use ai_api_plugin_sdk::{Failure, FailureKind, HttpResponse, failure};

/// A failure from an answer whose status is an error's.
///
/// The body is `{"error": {…}}`, or a list of one such for a stream, or a proxy's HTML.
pub(crate) fn from_response(response: &HttpResponse) -> Failure {
    if response.status < 400 {
        return failure::malformed(answered(response));
    }
    let body = Json::parse(&response.body).unwrap_or_default();
    match inner(&body) {
        Some(error) => describe(response.status, error, response),
        None => failure::from_status(response.status, answered(response), &response.headers),
    }
}

/// A failure from an error that stands in an event of a stream that began well.
pub(crate) fn from_event(error: &Json<'_>) -> Failure {
    let none = HttpResponse { status: 0, headers: Vec::new(), body: Vec::new() };
    let code = error.get("code").and_then(Json::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = match error.get("status").and_then(Json::as_str) {
        _ if code.is_some_and(|code| (400..600).contains(&code)) => code.unwrap_or(500),
        Some("INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE") => 400,
        Some("UNAUTHENTICATED") => 401,
        Some("PERMISSION_DENIED") => 403,
        Some("NOT_FOUND") => 404,
        Some("RESOURCE_EXHAUSTED") => 429,
        Some("UNAVAILABLE") => 503,
        Some("DEADLINE_EXCEEDED") => 504,
        _ => 500,
    };
    describe(status, error, &none)
}

/// The error object, out of a list of one too.
fn inner<'b, 'a>(body: &'b Json<'a>) -> Option<&'b Json<'a>> {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    body.get("error").filter(|error| error.is_object())
}

fn describe(status: u16, error: &Json<'_>, response: &HttpResponse) -> Failure {
    let message = match error.get("message").and_then(Json::as_str) {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => format!("gemini answered {status} without saying why"),
    };
    let invalid_key = message.contains("API key not valid") || reason(error) == Some("API_KEY_INVALID");
    let mut failure = failure::from_status(status, message, &response.headers);
    if status == 400 && invalid_key {
        failure.kind = FailureKind::Authentication;
        failure.status = 401;
        failure.code = Some("invalid_api_key".to_owned());
    }
    if failure.kind == FailureKind::RateLimited && is_used_up(error) {
        failure.kind = FailureKind::QuotaExceeded;
    }
    failure.retry_after_ms = failure.retry_after_ms.or_else(|| retry_delay_ms(error));
    failure
}

fn details<'b, 'a>(error: &'b Json<'a>, kind: &'b str) -> impl Iterator<Item = &'b Json<'a>> {
    let all = error.get("details").and_then(Json::as_array).into_iter().flatten();
    all.filter(move |detail| detail.get("@type").and_then(Json::as_str).is_some_and(|name| name.ends_with(kind)))
}

/// `ErrorInfo.reason`.
fn reason<'b>(error: &'b Json<'_>) -> Option<&'b str> {
    details(error, "google.rpc.ErrorInfo").find_map(|info| info.get("reason")?.as_str())
}

/// Whether a quota is used up for the day, or was never given: waiting a minute does not help then.
fn is_used_up(error: &Json<'_>) -> bool {
    let violations =
        details(error, "google.rpc.QuotaFailure").filter_map(|failure| failure.get("violations")?.as_array());
    violations.flatten().any(|violation| {
        let text = |key: &str| violation.get(key).and_then(Json::as_str).unwrap_or_default();
        text("quotaId").contains("PerDay") || text("quotaValue") == "0"
    })
}

/// `RetryInfo.retryDelay`, a proto duration such as `37s` or `0.5s`; a fraction of a millisecond counts as a whole.
fn retry_delay_ms(error: &Json<'_>) -> Option<u64> {
    let delay = details(error, "google.rpc.RetryInfo").find_map(|info| info.get("retryDelay")?.as_str())?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    (seconds >= 0.0).then_some((seconds * 1000.0).ceil() as u64)
}

fn answered(response: &HttpResponse) -> String {
    let kind = failure::header(&response.headers, "content-type").unwrap_or("no content type");
    let kind = kind.split(';').next().unwrap_or(kind).trim();
    format!("gemini answered {} ({kind})", response.status)
}

#[cfg(test)]
mod tests {
    use ai_api_plugin_sdk::Header;
    use serde_json::{Value, json};

    use super::*;

    fn response(status: u16, kind: &str, body: &str) -> HttpResponse {
        let headers = vec![Header { name: "content-type".into(), value: kind.into() }];
        HttpResponse { status, headers, body: body.as_bytes().to_vec() }
    }

    fn google(code: u16, message: &str, status: &str, details: Value) -> Failure {
        let body = json!({"error": {"code": code, "message": message, "status": status, "details": details}});
        from_response(&response(code, "application/json; charset=UTF-8", &body.to_string()))
    }

    #[test]
    fn googles_words_decide_where_its_status_is_vague() {
        let quota = |id: &str| json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]}]);
        let key = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
        let (invalid, exhausted) = ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED");
        for (failure, kind, status) in [
            (google(400, "bad", invalid, json!([])), FailureKind::InvalidRequest, 400),
            (google(400, "API key not valid. Pass a valid one.", invalid, json!([])), FailureKind::Authentication, 401),
            (google(400, "API key expired.", invalid, key), FailureKind::Authentication, 401),
            (
                google(
                    400,
                    "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                    invalid,
                    json!([]),
                ),
                FailureKind::ContextWindowExceeded,
                400,
            ),
            (google(403, "denied", "PERMISSION_DENIED", json!([])), FailureKind::Permission, 403),
            (google(404, "models/x is not found", "NOT_FOUND", json!([])), FailureKind::NotFound, 404),
            (google(429, "slow down", exhausted, quota("TokensPerMinute")), FailureKind::RateLimited, 429),
            (google(429, "enough", exhausted, quota("RequestsPerDayPerProject")), FailureKind::QuotaExceeded, 429),
            (google(500, "oops", "INTERNAL", json!([])), FailureKind::Upstream, 500),
            (google(503, "The model is overloaded.", "UNAVAILABLE", json!([])), FailureKind::Overloaded, 503),
            (google(504, "late", "DEADLINE_EXCEEDED", json!([])), FailureKind::Timeout, 504),
        ] {
            assert_eq!((failure.kind, failure.status), (kind, status), "{}", failure.message);
        }
    }

    #[test]
    fn google_says_how_long_to_wait() {
        for (delay, ms) in [("37s", Some(37_000)), ("0.5s", Some(500)), ("-1s", None), ("soon", None)] {
            let details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]);
            assert_eq!(google(429, "wait", "RESOURCE_EXHAUSTED", details).retry_after_ms, ms, "{delay}");
        }
    }

    #[test]
    fn any_body_makes_a_failure() {
        for (status, kind, body, message) in [
            (502, "text/html; charset=utf-8", "<html>", "gemini answered 502 (text/html)"),
            (429, "application/json", r#"[{"error": {"message": "list"}}]"#, "list"),
            (500, "application/json", r#"{"error": "text"}"#, "gemini answered 500 (application/json)"),
            (500, "application/json", r#"{"error": {}}"#, "gemini answered 500 without saying why"),
            (302, "text/html", "", "gemini answered 302 (text/html)"),
        ] {
            assert_eq!(from_response(&response(status, kind, body)).message, message, "{body}");
        }
    }

    #[test]
    fn an_error_in_a_stream_has_the_status_that_it_names() {
        for (error, status) in [
            (json!({"code": 503, "status": "UNAVAILABLE", "message": "m"}), 503),
            (json!({"status": "RESOURCE_EXHAUSTED", "message": "m"}), 429),
            (json!({"code": 7, "message": "m"}), 500),
            (json!({}), 500),
        ] {
            assert_eq!(from_event(&Json::from(error.clone())).status, status, "{error}");
        }
    }
}
