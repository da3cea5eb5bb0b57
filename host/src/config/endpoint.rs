//! Where something is sent to, with what it takes to be let in.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

/// An address, and its headers, which often hold keys: nothing shows them, nor what of the address may be one.
#[derive(Clone)]
pub struct Endpoint {
    /// Where.
    pub url: Url,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// How long a request may take.
    pub timeout: Duration,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.shown()).finish_non_exhaustive()
    }
}

// === impl Endpoint ===

impl Endpoint {
    pub(super) fn new(url: Url, timeout: Duration) -> Self {
        Self { url, headers: HeaderMap::new(), timeout }
    }

    /// The address without what may be a key.
    pub fn shown(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Sets a header.
    pub(super) fn set(&mut self, name: HeaderName, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.headers.insert(name, value);
    }

    /// Sets those of a list: `name=value,name=value`. What is none is left out. OpenTelemetry's are `encoded`: `%20`.
    pub(super) fn add_headers(&mut self, list: &str, encoded: bool) {
        for (name, value) in list.split(',').filter_map(|header| header.split_once('=')) {
            let value = match encoded {
                true => percent_decode_str(value.trim()).decode_utf8_lossy(),
                false => value.trim().into(),
            };
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.trim()), HeaderValue::try_from(value.trim())) {
                self.set(name, value);
            }
        }
    }
}
