//! The plugins that are loaded, by name.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::account::Account;
use super::bindings::v0_1::ProviderPluginPre;
use super::capabilities::Import;
use super::exchange::Exchange;
use super::idle::IdleInstances;
use super::quarantine::Standing;
use super::state::GuestState;
use super::stats::StatsSnapshot;
use super::witness::Watch;
use super::{CallError, Digest, LoadError, Manifest, Runtime, load};
use crate::config::PluginLimits;
use crate::file::{self, shown};

/// A plugin, ready to serve.
pub struct Plugin {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What its file is.
    pub digest: Digest,
    /// What it imports, and what it gets for it.
    pub imports: Vec<Import>,
    pub(super) account: Arc<Account>,
    /// Where its instances wait for their next call, if it is reusable.
    pub(super) idle: Option<Arc<IdleInstances>>,
    pub(super) pre: ProviderPluginPre<GuestState>,
    pub(super) watch: Option<Arc<dyn Watch>>,
}

/// The plugins that are loaded, by name.
#[derive(Clone, Debug, Default)]
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

    /// The plugin that serves a provider: one of the provider's own name, else the one that its row of the table
    /// names. So a plugin that is called `groq` takes over from the one that speaks for all vendors like it.
    pub fn serving(&self, provider: &str, plugin: &str) -> Option<&Arc<Plugin>> {
        self.plugin(provider).or_else(|| self.plugin(plugin))
    }

    /// Adds a plugin; one of the same name gives way.
    pub fn insert(&mut self, plugin: impl Into<Arc<Plugin>>) {
        let plugin = plugin.into();
        self.plugins.insert(plugin.manifest.name.clone(), plugin);
    }
}

/// Tells whether a plugin, or an instance of it, still lives: a call that began with it keeps it.
#[derive(Clone, Debug)]
pub struct Life(Weak<Account>);

impl Life {
    /// Whether anything of it is left.
    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Plugin {
    /// Watches over it without keeping it.
    pub fn life(&self) -> Life {
        // Every instance holds it, for its limits.
        Life(Arc::downgrade(&self.account))
    }

    /// The bytes of `file`, to be loaded.
    ///
    /// # Errors
    /// It can't be read, or is larger than a plugin may be: larger than memory, for all that is known before.
    pub async fn read(runtime: &Runtime, file: &Path) -> Result<Vec<u8>, LoadError> {
        let (name, path, most) = (shown(file), file.to_owned(), runtime.limits().max_wasm_bytes);
        let read = move || {
            let unreadable = |source| LoadError::Read { file: name.clone(), source };
            let (file, metadata) = file::open(&path).map_err(unreadable)?;
            load::check_size(&name, metadata.len(), most)?;
            file::read(file, &metadata, most as u64).map_err(unreadable)
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|error| Err(LoadError::Read { file: shown(file), source: io::Error::other(error) }))
    }

    /// Whether a file of so many bytes may be read as a plugin.
    ///
    /// # Errors
    /// It is too large.
    pub fn check_size(runtime: &Runtime, file: &str, bytes: u64) -> Result<(), LoadError> {
        load::check_size(file, bytes, runtime.limits().max_wasm_bytes)
    }

    /// Loads a component: check, compile, link, ask what it is, warm up.
    ///
    /// # Errors
    /// The bytes are no plugin that this host can run.
    pub async fn load(runtime: &Runtime, file: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        load::load(runtime, file, bytes).await
    }

    /// The same plugin under the limits that hold now, without loading it again; calls under way keep those that they
    /// began with.
    ///
    /// # Errors
    /// It needs more to start than they allow.
    pub fn with_limits(&self, runtime: &Runtime) -> Result<Self, LoadError> {
        let name = &self.manifest.name;
        let limits = runtime.within_pool(*runtime.limits().of(name));
        load::check_limits(self.pre.instance_pre().component(), &limits, name)?;
        Ok(self.variant(runtime, self.account.deterministic, self.idle.is_some()))
    }

    /// Whether its limits are those that hold now.
    pub fn has_limits_of(&self, runtime: &Runtime) -> bool {
        self.account.limits == runtime.within_pool(*runtime.limits().of(&self.manifest.name))
    }

    /// The same plugin with clocks that stand still and random numbers that repeat, and a new instance for each call:
    /// the same input gives the same output. For replay and checks, not for serving.
    #[must_use]
    pub fn deterministic(&self, runtime: &Runtime) -> Self {
        self.variant(runtime, true, false)
    }

    /// The same plugin with a new instance for each call, also where one might serve many.
    #[must_use]
    pub fn without_reuse(&self, runtime: &Runtime) -> Self {
        self.variant(runtime, self.account.deterministic, false)
    }

    fn variant(&self, runtime: &Runtime, deterministic: bool, reuse: bool) -> Self {
        let name = &self.manifest.name;
        let limits = runtime.within_pool(*runtime.limits().of(name));
        let account = runtime.accounts.open(name, &self.digest, limits, deterministic);
        let idle = reuse.then(|| IdleInstances::new(limits.idle_instances));
        let Self { manifest, digest, imports, pre, watch, .. } = self;
        let (manifest, imports, pre, watch) = (manifest.clone(), imports.clone(), pre.clone(), watch.clone());
        Self { manifest, digest: *digest, imports, account: Arc::new(account), idle, pre, watch }
    }

    /// What it has been asked and what came of it, by its name: counts go on when a new version is loaded.
    pub fn stats(&self) -> StatsSnapshot {
        self.account.stats.snapshot()
    }

    /// Whether this version is in quarantine.
    pub fn standing(&self) -> Standing {
        self.account.quarantine.standing(Instant::now())
    }

    /// What it may use.
    pub fn limits(&self) -> &PluginLimits {
        &self.account.limits
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
