//! `/`: what this is, for whoever opens it in a browser.

use http::Response;

use super::{Body, respond};

/// A short page. It tells nothing that a stranger shouldn't know.
pub(super) fn page() -> Response<Body> {
    respond::html(include_str!("home.html"))
}
