//! Is the process alive, and may traffic come. Neither asks a provider anything.

use http::{Response, StatusCode};
use serde_json::json;

use super::{Body, respond};

/// The process runs. LiteLLM's very words, which probes compare.
pub(super) fn alive() -> Response<Body> {
    respond::json(StatusCode::OK, &json!("I'm alive!"))
}

/// The config and the plugins are loaded, else nobody would answer here.
pub(super) fn ready() -> Response<Body> {
    respond::json(StatusCode::OK, &json!({"status": "healthy", "db": "Not connected"}))
}
