//! Headers that a deployment adds to its calls: `extra_headers`, `headers` and `organization`.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::at::At;
use super::node::{Value, holds_a_secret};
use super::params::Params;
use super::report::Report;

/// Headers that belong to the connection or say where a call goes; setting them would break it.
const RESERVED: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "proxy-authorization",
    "expect",
];

/// Reads all of them; `extra_headers` wins over `headers`.
pub(super) fn read(params: &Params<'_>, plugin: &str, report: &mut Report) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(at) = params.get("organization").filter(|_| plugin == "openai") {
        add(&mut headers, "openai-organization", &at, report);
    }
    for key in ["headers", "extra_headers"] {
        let Some(at) = params.get(key) else { continue };
        if !matches!(at.node.value, Value::Map(_)) {
            at.expected::<()>("a map of header names to values", report);
        }
        for (name, value) in at.entries().filter(|(_, value)| !value.node.is_none()) {
            add(&mut headers, name, &value, report);
        }
    }
    headers
}

fn add(headers: &mut HeaderMap, name: &str, at: &At<'_>, report: &mut Report) {
    let Ok(header) = HeaderName::try_from(name) else {
        return at.error("this is no name for a header", report);
    };
    if RESERVED.contains(&header.as_str()) {
        return at.warn("not taken: this header is the connection's own", report);
    }
    let Some(text) = at.text(report) else { return };
    let Ok(mut value) = HeaderValue::try_from(text) else {
        return at.error("this is no value for a header", report);
    };
    // What comes from the environment is there because it is secret, more often than not.
    value.set_sensitive(at.node.variable.is_some() || holds_a_secret(name));
    headers.insert(header, value);
}
