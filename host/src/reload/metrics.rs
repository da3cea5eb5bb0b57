//! What reloads count, for `GET /metrics`.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::State;
use crate::plugin::{Life, Plugin};

type Labels = Vec<(&'static str, String)>;

/// Counters of reloads, and which versions of plugins are alive.
#[derive(Debug, Default)]
pub struct Metrics {
    plugin_loads: Family<Labels, Counter>,
    config_reloads: Family<Labels, Counter>,
    config_successful: Gauge,
    config_success_time: Gauge<f64, AtomicU64>,
    /// Locked when a plugin is loaded and when metrics are read, never by a call.
    versions: Mutex<Vec<(String, Life)>>,
}

// === impl Metrics ===

impl Metrics {
    /// A file was loaded, or could not be.
    pub(super) fn plugin_loaded(&self, file: &Path, success: bool) {
        self.plugin_loads.get_or_create(&vec![("file", file.display().to_string()), result(success)]).inc();
    }

    /// A file is gone, and its counters with it.
    pub(super) fn plugin_forgotten(&self, file: &Path) {
        for success in [true, false] {
            self.plugin_loads.remove(&vec![("file", file.display().to_string()), result(success)]);
        }
    }

    /// A version of a plugin came to life.
    pub(super) fn version_born(&self, plugin: &Plugin) {
        if let Ok(mut versions) = self.versions.lock() {
            versions.retain(|(_, life)| !life.is_over());
            versions.push((plugin.manifest.name.clone(), plugin.life()));
        }
    }

    /// The configuration was loaded.
    pub(super) fn config_loaded(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.config_success_time.set(now.as_secs_f64());
        self.config_successful.set(1);
    }

    /// The configuration was read again, and is in use or was refused.
    pub(super) fn config_reloaded(&self, success: bool) {
        self.config_reloads.get_or_create(&vec![result(success)]).inc();
        if success {
            self.config_loaded();
        } else {
            self.config_successful.set(0);
        }
    }

    /// Adds everything to a registry that is about to be written out.
    pub fn register(&self, registry: &mut Registry, state: &State) {
        registry.register(
            "ai_api_plugin_loads",
            "Attempts to load a plugin's file, built-in ones left out",
            self.plugin_loads.clone(),
        );
        registry.register(
            "ai_api_config_reloads",
            "Attempts to load the configuration while running",
            self.config_reloads.clone(),
        );
        registry.register(
            "ai_api_config_last_reload_successful",
            "Whether the configuration's files are in use as they are",
            self.config_successful.clone(),
        );
        registry.register(
            "ai_api_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was loaded",
            self.config_success_time.clone(),
        );
        registry.register("ai_api_plugin_info", "Plugins that serve", serving(state));
        registry.register(
            "ai_api_plugin_versions_alive",
            "Versions of a plugin that serve, or end calls that began with them",
            self.versions_alive(),
        );
    }

    fn versions_alive(&self) -> Family<Labels, Gauge> {
        let alive: Family<Labels, Gauge> = Family::default();
        if let Ok(versions) = self.versions.lock() {
            for (name, _) in versions.iter().filter(|(_, life)| !life.is_over()) {
                alive.get_or_create(&vec![("plugin", name.clone())]).inc();
            }
        }
        alive
    }
}

fn serving(state: &State) -> Family<Labels, Gauge> {
    let info: Family<Labels, Gauge> = Family::default();
    for status in state.plugins.iter().filter(|status| status.standing.serves()) {
        let Some(loaded) = &status.loaded else { continue };
        let file = status.file.as_ref().map_or_else(|| "built-in".to_owned(), |file| file.display().to_string());
        let manifest = &loaded.plugin.manifest;
        info.get_or_create(&vec![
            ("plugin", manifest.name.clone()),
            ("version", manifest.version.clone()),
            ("digest", loaded.plugin.digest.to_string()),
            ("file", file),
        ])
        .set(1);
    }
    info
}

fn result(success: bool) -> (&'static str, String) {
    ("result", if success { "success" } else { "failure" }.to_owned())
}
