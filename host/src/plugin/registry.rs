//! The plugins that are loaded, by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Component;

use super::bindings::v0_1::ProviderPluginPre;
use super::exchange::Exchange;
use super::limits::{DEFAULT, Limits};
use super::state::GuestState;
use super::witness::Watch;
use super::{CallError, LoadError, Manifest, Runtime};

/// The interface that a provider exports.
const PROVIDER: &str = "ai-api:plugin/provider@0.1.0";

/// A plugin, ready to serve.
pub struct Plugin {
    /// What it says of itself.
    pub manifest: Manifest,
    pub(super) name: Arc<str>,
    pub(super) limits: Limits,
    pub(super) pre: ProviderPluginPre<GuestState>,
    pub(super) watch: Option<Arc<dyn Watch>>,
}

/// The plugins that are loaded, by name.
#[derive(Debug, Default)]
pub struct Registry {
    plugins: BTreeMap<String, Arc<Plugin>>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

impl Registry {
    /// The plugin that serves providers called `name`.
    pub fn plugin(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.plugins.get(name)
    }

    /// Adds a plugin; one of the same name gives way.
    pub fn insert(&mut self, plugin: Plugin) {
        self.plugins.insert(plugin.manifest.name.clone(), Arc::new(plugin));
    }
}

impl Plugin {
    /// Loads the component in `file`.
    ///
    /// # Errors
    /// It can't be read, or is no plugin that this host can run.
    pub async fn load_file(runtime: &Runtime, file: &Path) -> Result<Self, LoadError> {
        let name = file.display().to_string();
        match tokio::fs::read(file).await {
            Ok(bytes) => Self::load(runtime, &name, &bytes).await,
            Err(source) => Err(LoadError::Read { file: name, source }),
        }
    }

    /// Loads a component: compile, link, ask what it is.
    ///
    /// # Errors
    /// The bytes are no plugin that this host can run.
    pub async fn load(runtime: &Runtime, file: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        let file = file.to_owned();
        if !bytes.starts_with(b"\0asm") {
            return Err(LoadError::NotAComponent { file, reason: "it is not WebAssembly".to_owned() });
        }
        let component = match Component::new(&runtime.engine, bytes) {
            Ok(component) => component,
            Err(error) => return Err(LoadError::NotAComponent { file, reason: format!("{error:#}") }),
        };
        check_exports(runtime, &component, &file)?;
        let pre = runtime
            .linker
            .instantiate_pre(&component)
            .and_then(ProviderPluginPre::new)
            .map_err(|error| LoadError::Imports { file: file.clone(), reason: format!("{error:#}") })?;
        let limits = DEFAULT;
        let described = Exchange::describe(&pre, Arc::from(file.as_str()), limits).await;
        let manifest = match described {
            Ok(raw) => Manifest::try_from(raw).map_err(|reason| LoadError::Manifest { file, reason })?,
            Err(source) => return Err(LoadError::Describe { file, source }),
        };
        Ok(Self { name: Arc::from(manifest.name.as_str()), manifest, limits, pre, watch: runtime.watch.clone() })
    }

    /// A call's own instance, before it has begun.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn begin(
        &self,
        call: super::Call<'_>,
    ) -> Result<(Exchange, super::Begun, Vec<super::Warning>), CallError> {
        Exchange::begin(self, call).await
    }
}

/// Tells a component of another version, or of another world, by its exports.
fn check_exports(runtime: &Runtime, component: &Component, file: &str) -> Result<(), LoadError> {
    let ty = component.component_type();
    let names: Vec<String> = ty.exports(&runtime.engine).map(|(name, _)| name.to_owned()).collect();
    if names.iter().any(|name| name == PROVIDER) {
        return Ok(());
    }
    let file = file.to_owned();
    match names.into_iter().find(|name| name.starts_with("ai-api:plugin/")) {
        Some(found) => Err(LoadError::WrongVersion { file, found }),
        None => Err(LoadError::NoRole { file }),
    }
}
