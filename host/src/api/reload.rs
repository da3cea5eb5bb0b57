//! `POST /config/reload`

use http::{Response, StatusCode};
use serde_json::json;

use super::{Body, respond};
use crate::pipeline::GatewayError;
use crate::reload::Live;

/// Reads the configuration again, and answers once it is in use.
pub(super) async fn config(live: &Live) -> Result<Response<Body>, GatewayError> {
    let reloaded = live.reload_config().await.map_err(GatewayError::ConfigRefused)?;
    let changes = &reloaded.changes;
    let answer = json!({
        "status": "reloaded",
        "models": {
            "added": changes.models_added,
            "removed": changes.models_removed,
            "changed": changes.models_changed,
        },
        "settings_changed": changes.settings,
        "needs_restart": reloaded.needs_restart,
    });
    Ok(respond::json(StatusCode::OK, &answer))
}
