//! Cross-origin requests, answered as LiteLLM does: everybody may.
//!
//! There are no cookies here, only keys that a page must already have; so an open policy gives nothing away.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{Body, respond};

/// Lets a page at `origin` read an answer.
pub(super) fn allow(headers: &mut HeaderMap, _origin: &HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
}

/// Answers a browser that asks what it may.
pub(super) fn preflight(request: &HeaderMap) -> Response<Body> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    );
    // `*` doesn't cover `authorization`, so what was asked for is named.
    let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("*")));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    respond::empty(StatusCode::NO_CONTENT, headers)
}
