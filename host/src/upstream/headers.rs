//! Which headers may pass, in either direction.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Placement;

/// Headers that belong to the connection, to the caller's identity, or to a key: no plugin may set one.
const OURS: &[&str] = &[
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-api-key",
    // Of AWS's signatures. Others that begin so say what is asked for: `x-amz-target`, `x-amzn-bedrock-trace`.
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-region-set",
    "x-amz-s3session-token",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-goog-api-key",
    // Whose quota and bill it is, and as whom it is done.
    "x-goog-date",
    "x-goog-user-project",
    "x-real-ip",
];

/// The same, for whole families of names.
const OUR_PREFIXES: &[&str] = &["proxy-", "sec-", "x-forwarded-", "x-goog-authenticated-user-", "x-goog-iam-"];

/// A header that a plugin may not set, or that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("set the header '{}', which it may not", .0.escape_debug())]
pub struct BadHeader(pub String);

/// The headers that a plugin set, if all of them may pass.
///
/// # Errors
/// The first one that may not.
pub fn guest_headers<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    placement: &Placement,
) -> Result<HeaderMap, BadHeader> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let refused = || BadHeader(name.chars().take(64).collect());
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let text = parsed.as_str();
        let is_ours = OURS.contains(&text)
            || OUR_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            || matches!(placement, Placement::Header(own) if *own == parsed);
        if is_ours {
            return Err(refused());
        }
        map.append(parsed, HeaderValue::from_str(value).map_err(|_| refused())?);
    }
    Ok(map)
}

/// The headers of a provider's answer that a plugin sees: those with text that say something of the answer. Those in
/// which the provider echoes a secret are gone already.
///
/// Providers send some thirty, most of them for browsers and by what stands in front of them, and each costs the sandbox
/// two allocations in every call.
pub fn visible_headers(headers: &HeaderMap) -> Vec<(&str, &str)> {
    headers
        .iter()
        .filter(|(name, _)| !is_of_the_way(name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect()
}

/// Whether a header speaks of the connection, of caches and proxies on the way, or to browsers.
fn is_of_the_way(name: &str) -> bool {
    const PREFIXES: &[&str] = &["access-control-", "cross-origin-", "x-envoy-"];
    matches!(
        name,
        "accept-ranges"
            | "age"
            | "alt-svc"
            | "cache-control"
            | "cf-cache-status"
            | "cf-ray"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "content-security-policy"
            | "etag"
            | "expires"
            | "keep-alive"
            | "last-modified"
            | "nel"
            | "permissions-policy"
            | "pragma"
            | "referrer-policy"
            | "report-to"
            | "reporting-endpoints"
            | "server"
            | "server-timing"
            | "set-cookie"
            | "strict-transport-security"
            | "trailer"
            | "transfer-encoding"
            | "vary"
            | "via"
            | "x-cache"
            | "x-cache-hits"
            | "x-content-type-options"
            | "x-frame-options"
            | "x-powered-by"
            | "x-robots-tag"
            | "x-xss-protection"
    ) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_may_not_set_what_is_the_gateways() {
        let own = Placement::Header(HeaderName::from_static("x-acme-key"));
        for name in ["Host", "authorization", "X-Api-Key", "x-acme-key", "x-forwarded-for", "Proxy-Foo", "te", "a\r\nb"]
        {
            assert_eq!(guest_headers([(name, "v")].into_iter(), &own), Err(BadHeader(name.to_owned())), "{name}");
        }
        for name in ["x-amz-date", "X-Amz-Security-Token", "x-amz-content-sha256", "x-goog-iam-authorization-token"] {
            assert_eq!(guest_headers([(name, "v")].into_iter(), &own), Err(BadHeader(name.to_owned())), "{name}");
        }
        for name in ["x-amzn-bedrock-trace", "x-amz-target", "x-goog-request-params"] {
            assert!(guest_headers([(name, "v")].into_iter(), &own).is_ok(), "{name}");
        }
        assert!(guest_headers([("x", "a\r\nhost: evil")].into_iter(), &own).is_err());
        assert_eq!(guest_headers([("anthropic-version", "2023-06-01")].into_iter(), &own).unwrap().len(), 1);
    }

    #[test]
    fn a_plugin_sees_what_says_something_of_the_answer() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("date", "Mon, 23 Nov 2026 06:00:00 GMT"),
            ("server", "cloudflare"),
            ("cf-ray", "1"),
            ("set-cookie", "a=b"),
            ("content-type", "application/json"),
            ("content-length", "7"),
            ("retry-after", "3"),
            ("anthropic-ratelimit-requests-remaining", "9"),
            ("x-request-id", "r"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers.insert("x-binary", HeaderValue::from_bytes(b"\xff").unwrap());
        let mut seen: Vec<&str> = visible_headers(&headers).into_iter().map(|(name, _)| name).collect();
        seen.sort_unstable();
        let expected =
            ["anthropic-ratelimit-requests-remaining", "content-type", "date", "retry-after", "x-request-id"];
        assert_eq!(seen, expected);
    }
}
