//! Cross-origin requests, answered as LiteLLM does: everybody may.
//!
//! There are no cookies here, only keys that a page must already have; so an open policy gives nothing away.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::{Body, respond};
use crate::pipeline::GatewayError;

/// What browsers say of who asks: <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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

/// Refuses what no page may bring about. A page needs no key where the gateway has none, and no script for a `GET`: an
/// image with its address is enough.
///
/// # Errors
/// A browser says that a page asks, and not whoever sits in front of it.
pub(super) fn refuse_pages(request: &HeaderMap) -> Result<(), GatewayError> {
    let site = request.get(FETCH_SITE).map(HeaderValue::as_bytes);
    let is_own = matches!(site, None | Some(b"none" | b"same-origin"));
    if is_own && !request.contains_key(header::ORIGIN) { Ok(()) } else { Err(GatewayError::AskedByPage) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_what_its_browser_says() {
        for (headers, refused) in [
            (vec![], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "cross-site")], true),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("origin", "https://example.com")], true),
            (vec![("origin", "null"), ("sec-fetch-site", "none")], true),
        ] {
            let named =
                headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            assert_eq!(refuse_pages(&named.collect()).is_err(), refused, "{headers:?}");
        }
    }
}
