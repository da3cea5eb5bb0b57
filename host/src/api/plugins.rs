//! `GET /plugins`: what is loaded, what isn't and why, and how the configuration does.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Body, respond};
use crate::plugin::{Fault, Manifest, Plugin, Standing};
use crate::reload::{LoadedPlugin, PluginStatus, State};
use crate::upstream::Placement;

/// All plugins, those that don't serve too.
pub(super) fn list(state: &State) -> Response<Body> {
    let config = &state.config;
    let answer = json!({
        "object": "list",
        "data": state.plugins.iter().map(plugin).collect::<Vec<_>>(),
        "folder": state.folder.as_deref().map(shown),
        "config": {
            "status": if config.error.is_none() { "serving" } else { "stale" },
            "reason": config.error,
            "loaded_at": unix_seconds(config.loaded_at),
            "files": config.files.iter().map(|file| shown(file)).collect::<Vec<_>>(),
        },
    });
    respond::json(StatusCode::OK, &answer)
}

fn plugin(status: &PluginStatus) -> Value {
    let mut plugin = Map::from_iter([
        ("object".to_owned(), json!("plugin")),
        ("name".to_owned(), Value::Null),
        ("file".to_owned(), json!(status.file.as_deref().map_or_else(|| "built-in".to_owned(), shown))),
        ("status".to_owned(), json!(status.standing.as_str())),
        ("reason".to_owned(), json!(status.reason)),
        ("since".to_owned(), json!(unix_seconds(status.since))),
    ]);
    if let Some(loaded) = &status.loaded {
        describe(&mut plugin, loaded);
    }
    Value::Object(plugin)
}

fn describe(plugin: &mut Map<String, Value>, loaded: &LoadedPlugin) {
    let Manifest { name, version, base_url, placement, operations, parameters, .. } = &loaded.plugin.manifest;
    plugin.extend([
        ("name".to_owned(), json!(name)),
        ("version".to_owned(), json!(version)),
        ("digest".to_owned(), json!(format!("sha256:{}", loaded.plugin.digest))),
        ("bytes".to_owned(), json!(loaded.bytes)),
        ("load_ms".to_owned(), json!(u64::try_from(loaded.took.as_millis()).unwrap_or(u64::MAX))),
        ("operations".to_owned(), operations.iter().map(|support| support.operation.path()).collect()),
        ("base_url".to_owned(), json!(base_url.as_ref().map(|base| base.template()))),
        ("credential".to_owned(), json!(credential(placement))),
        ("parameters".to_owned(), json!(parameters)),
        ("imports".to_owned(), loaded.plugin.imports.iter().map(|import| import.name.as_str()).collect()),
        ("quarantine".to_owned(), quarantine(&loaded.plugin)),
        ("calls".to_owned(), calls(&loaded.plugin)),
    ]);
}

/// `null` while it serves.
fn quarantine(plugin: &Plugin) -> Value {
    match plugin.standing() {
        Standing::Serving => Value::Null,
        Standing::Out(left) => json!({"status": "out", "seconds_left": left.as_secs() + 1}),
        Standing::Probing => json!({"status": "probing", "seconds_left": 0}),
    }
}

/// Counts since the start, of all versions of this name.
fn calls(plugin: &Plugin) -> Value {
    let stats = plugin.stats();
    let failed: Map<String, Value> = Fault::ALL
        .into_iter()
        .zip(stats.faults)
        .map(|(fault, count)| (fault.name().to_owned(), json!(count)))
        .collect();
    json!({
        "begun": stats.begun,
        "finished": stats.finished,
        "running": stats.running,
        "failures": failed,
        "cpu_seconds": stats.cpu.as_secs_f64(),
        "peak_memory_bytes": stats.peak_memory_bytes,
        "instances": stats.instances,
        "instances_made": stats.instances_made,
        "log_lines_dropped": stats.log_lines_dropped,
    })
}

fn credential(placement: &Placement) -> &'static str {
    match placement {
        Placement::None => "none",
        Placement::Bearer => "bearer",
        Placement::Header(_) => "header",
        Placement::Query(_) => "query",
        Placement::AwsSigV4 { .. } => "aws-sigv4",
        Placement::GoogleServiceAccount { .. } => "google-service-account",
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
