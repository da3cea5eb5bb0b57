//! Answers, and the headers that all of them have.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::Body;
use crate::money::Money;
use crate::prices::Cost;
use crate::usage::{CallEntry, Entry};

const CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
const MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
const MODEL_GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
const RETRIES: HeaderName = HeaderName::from_static("x-litellm-attempted-retries");
const FALLBACKS: HeaderName = HeaderName::from_static("x-litellm-attempted-fallbacks");
/// AI-API's own: which deployments failed the call, and how.
const FAILED: HeaderName = HeaderName::from_static("x-ai-api-failed-attempts");
/// AI-API's own: the model that was named is gone, and which one serves in its place.
const SUCCESSOR: HeaderName = HeaderName::from_static("x-ai-api-model-successor");
const COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
const COST_ORIGINAL: HeaderName = HeaderName::from_static("x-litellm-response-cost-original");
const COST_INPUT: HeaderName = HeaderName::from_static("x-litellm-response-cost-input");
const COST_OUTPUT: HeaderName = HeaderName::from_static("x-litellm-response-cost-output");
const COST_TOOLS: HeaderName = HeaderName::from_static("x-litellm-response-cost-tool-usage");
const COST_DISCOUNT: HeaderName = HeaderName::from_static("x-litellm-response-cost-discount-amount");
const COST_MARGIN: HeaderName = HeaderName::from_static("x-litellm-response-cost-margin-amount");
const DURATION: HeaderName = HeaderName::from_static("x-litellm-response-duration-ms");
/// What OpenAI's SDKs read as `_request_id`.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// JSON.
pub(super) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    json_bytes(status, value.to_string())
}

/// JSON that is written already.
pub(super) fn json_bytes(status: StatusCode, bytes: impl Into<Bytes>) -> Response<Body> {
    with_type(status, HeaderValue::from_static("application/json"), Body::whole(bytes))
}

/// Server-sent events.
pub(super) fn events(body: Body) -> Response<Body> {
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    let mut response = with_type(StatusCode::OK, kind, body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx and its like would hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Numbers, in OpenMetrics' format.
pub(super) fn metrics(text: String) -> Response<Body> {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    with_type(StatusCode::OK, kind, Body::whole(text))
}

/// A page.
pub(super) fn html(page: &'static str) -> Response<Body> {
    with_type(StatusCode::OK, HeaderValue::from_static("text/html; charset=utf-8"), Body::whole(page))
}

/// A page that was made for this request. It loads nothing and runs nothing, and nobody may frame it.
pub(super) fn page(page: String) -> Response<Body> {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = with_type(StatusCode::OK, kind, Body::whole(page));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// No body.
pub(super) fn empty(status: StatusCode, headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::whole(Bytes::new()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Elsewhere.
pub(super) fn redirect(status: StatusCode, location: &str) -> Response<Body> {
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(header::LOCATION, location);
    }
    empty(status, headers)
}

/// What every answer tells: which call it was, who served it, how long it took.
pub(super) fn common_headers(response: &mut Response<Body>, entry: &Entry) {
    // Of a stream it isn't known yet; what is are failed attempts.
    let is_stream = response.body().is_stream();
    let headers = response.headers_mut();
    headers.reserve(12);
    let mut tell = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    let text = |text: &str| HeaderValue::from_str(text).ok();
    let call_id = text(&entry.call_id);
    tell(CALL_ID, call_id.clone());
    tell(REQUEST_ID, call_id);
    if let Some(by) = &entry.served_by {
        tell(MODEL_ID, text(&by.deployment));
        tell(DURATION, milliseconds(entry.elapsed()));
        tell(MODEL_GROUP, text(entry.group.as_ref().or(entry.model.as_ref()).map_or("", String::as_str)));
        tell(RETRIES, Some(count(entry.retries)));
        tell(FALLBACKS, Some(count(entry.fallbacks)));
        tell(SUCCESSOR, entry.successor.as_deref().and_then(text));
        if !entry.failed.is_empty() {
            let failed: Vec<String> = entry.failed.iter().map(|(id, kind)| format!("{id};{kind}")).collect();
            tell(FAILED, text(&failed.join(", ")));
        }
    }
    if let Some(cost) = entry.call.as_ref().and_then(CallEntry::known_cost).filter(|_| !is_stream) {
        cost_headers(headers, cost);
    }
}

/// A time, to the microsecond.
pub(super) fn milliseconds(time: Duration) -> Option<HeaderValue> {
    let micros = time.as_micros();
    HeaderValue::from_str(&format!("{}.{:03}", micros / 1000, micros % 1000)).ok()
}

/// What a call cost, where all of that is known. Of a stream that isn't, before its end.
fn cost_headers(headers: &mut HeaderMap, cost: &Cost) {
    let mut tell = |name: HeaderName, money: Money| {
        if let Ok(value) = HeaderValue::from_str(&money.to_string()) {
            headers.insert(name, value);
        }
    };
    tell(COST, cost.total);
    tell(COST_INPUT, cost.input);
    tell(COST_OUTPUT, cost.output);
    if cost.tools != Money::ZERO {
        tell(COST_TOOLS, cost.tools);
    }
    if cost.discount != Money::ZERO || cost.margin != Money::ZERO {
        tell(COST_ORIGINAL, cost.original());
        tell(COST_DISCOUNT, cost.discount);
        tell(COST_MARGIN, cost.margin);
    }
}

/// A number that is 0 mostly.
fn count(count: u32) -> HeaderValue {
    if count == 0 { HeaderValue::from_static("0") } else { count.into() }
}

fn with_type(status: StatusCode, kind: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
