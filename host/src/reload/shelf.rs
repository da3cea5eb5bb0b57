//! Every plugin that there is: those inside the binary, those named one by one, those in the folder.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Live;
use super::loader::load;
use super::settle::Stamp;
use super::state::{LoadedPlugin, PluginStatus, Standing};
use crate::config::{PluginLimitsTable, Provider, Providers};
use crate::plugin::{BUILT_IN, BaseUrl, Digest, LoadError, Plugin, Registry, Runtime};

/// A file that can't be loaded may be one that is still being written: the log waits for this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// All plugins, and what became of each file.
pub(super) struct Shelf {
    runtime: Arc<Runtime>,
    built_in: Vec<LoadedPlugin>,
    /// `--plugin`, the last first: it has the last word.
    named: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Slot>,
}

/// A file.
#[derive(Default)]
struct Slot {
    loaded: Option<LoadedPlugin>,
    failure: Option<Failure>,
}

/// Why a file can't be loaded.
struct Failure {
    reason: String,
    /// Of what was tried.
    digest: Option<Digest>,
    since: SystemTime,
    seen: Instant,
    told: bool,
}

/// What looking at a file came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Another plugin serves, or another reason is to be told.
    Changed,
    /// What is in the file is what was in it.
    Same,
    /// The file changed while it was read.
    Unsettled,
}

/// What was read of a file.
enum Content {
    Bytes(Vec<u8>),
    Changing,
    Bad(String),
}

// === impl Shelf ===

impl Shelf {
    /// The plugins inside the binary.
    ///
    /// # Errors
    /// One of them can't be loaded.
    pub(super) async fn new(runtime: Arc<Runtime>, named: &[PathBuf]) -> Result<Self, LoadError> {
        let mut built_in = Vec::new();
        for (name, bytes) in BUILT_IN {
            built_in.push(load(&runtime, format!("built-in plugin {name}"), bytes.to_vec()).await?);
        }
        Ok(Self { runtime, built_in, named: named.iter().rev().cloned().collect(), files: BTreeMap::new() })
    }

    /// The files that were named one by one.
    pub(super) fn named(&self) -> impl Iterator<Item = &Path> {
        self.named.iter().map(PathBuf::as_path)
    }

    /// Does what `stamp` of `file` asks for: load, load anew, or let go.
    pub(super) async fn update(&mut self, file: &Path, stamp: Option<Stamp>, live: &Live) -> Outcome {
        let Some(stamp) = stamp else { return self.remove(file, live) };
        let (path, known) = (file.to_owned(), self.files.entry(file.to_owned()).or_default());
        // Before it is read, for it may be larger than memory.
        if let Err(error) = Plugin::check_size(&self.runtime, &file.display().to_string(), stamp.bytes()) {
            return known.fail(error.in_one_line(), None);
        }
        // On another thread: a slow disk holds up nobody's call.
        let read = tokio::task::spawn_blocking(move || read(&path, stamp)).await;
        let bytes = match read.unwrap_or_else(|error| Content::Bad(error.to_string())) {
            Content::Bytes(bytes) => bytes,
            Content::Changing => return Outcome::Unsettled,
            Content::Bad(reason) => return known.fail(format!("can't read {}: {reason}", file.display()), None),
        };
        let digest = Digest::of(&bytes);
        if known.loaded.as_ref().is_some_and(|loaded| loaded.plugin.digest == digest) {
            return if known.failure.take().is_some() { Outcome::Changed } else { Outcome::Same };
        }
        if known.failure.as_ref().is_some_and(|failure| failure.digest == Some(digest)) {
            return Outcome::Same;
        }
        match load(&self.runtime, file.display().to_string(), bytes).await {
            Ok(loaded) => {
                known.accept(file, loaded, live);
                Outcome::Changed
            }
            Err(error) => known.fail(error.in_one_line(), Some(digest)),
        }
    }

    fn remove(&mut self, file: &Path, live: &Live) -> Outcome {
        let Some(slot) = self.files.remove(file) else { return Outcome::Same };
        live.metrics.plugin_forgotten(file);
        if let Some(LoadedPlugin { plugin, .. }) = slot.loaded {
            let manifest = &plugin.manifest;
            tracing::info!(plugin = manifest.name, version = manifest.version, file = %file.display(), "removed plugin");
        }
        Outcome::Changed
    }

    /// Puts every plugin under other limits. What is loaded stays loaded.
    pub(super) fn set_limits(&mut self, limits: PluginLimitsTable, live: &Live) {
        self.runtime.set_limits(limits);
        let loaded = self.files.values_mut().filter_map(|slot| slot.loaded.as_mut());
        for loaded in loaded.chain(&mut self.built_in) {
            loaded.plugin = Arc::new(loaded.plugin.with_limits(&self.runtime));
            live.metrics.version_born(&loaded.plugin);
        }
    }

    /// The reason that one of the files that were named can't be loaded.
    pub(super) fn named_failure(&self) -> Option<String> {
        let mut failures = self.named().map(|file| match self.files.get(file) {
            Some(slot) => slot.failure.as_ref().map(|failure| failure.reason.clone()),
            None => Some(format!("can't read {}: there is no such file", file.display())),
        });
        failures.find_map(|failure| failure)
    }

    /// Logs what can't be loaded, once it has been so for `patience`.
    pub(super) fn tell_failures(&mut self, now: Instant, patience: Duration, live: &Live) {
        for (file, slot) in &mut self.files {
            let Some(failure) = slot.failure.as_mut().filter(|failure| !failure.told) else { continue };
            if now.saturating_duration_since(failure.seen) < patience {
                continue;
            }
            failure.told = true;
            live.metrics.plugin_loaded(file, false);
            let serves_on = slot.loaded.as_ref().map(|loaded| loaded.plugin.manifest.version.as_str());
            tracing::error!(file = %file.display(), serves_on, "can't load plugin: {}", failure.reason);
        }
    }

    /// When a failure has to be told.
    pub(super) fn next(&self) -> Option<Instant> {
        let failures = self.files.values().filter_map(|slot| slot.failure.as_ref());
        failures.filter(|failure| !failure.told).map(|failure| failure.seen + PATIENCE).min()
    }

    /// Who serves, and how every plugin does. Files that were named come first, then those of the folder in the order
    /// of their names, then what is built in.
    pub(super) fn arrange(&self) -> (Registry, Vec<PluginStatus>) {
        let mut registry = Registry::default();
        let mut statuses = Vec::new();
        let named = self.named.iter().filter_map(|file| Some((file, self.files.get(file)?)));
        let found = self.files.iter().filter(|(file, _)| !self.named.contains(file));
        let mut serving: BTreeMap<&str, String> = BTreeMap::new();
        for (file, slot) in named.chain(found) {
            statuses.push(slot.status(file, &mut serving, &mut registry));
        }
        for loaded in &self.built_in {
            let standing = claim(loaded, "the built-in plugin".to_owned(), &mut serving, &mut registry);
            statuses.push(PluginStatus {
                file: None,
                standing: if standing.is_ok() { Standing::Serving } else { Standing::Shadowed },
                reason: standing.err(),
                since: loaded.since,
                loaded: Some(loaded.clone()),
            });
        }
        (registry, statuses)
    }
}

// === impl Slot ===

impl Slot {
    fn accept(&mut self, file: &Path, loaded: LoadedPlugin, live: &Live) {
        let manifest = &loaded.plugin.manifest;
        let replaced = self.loaded.as_ref().map(|old| old.plugin.manifest.version.as_str());
        tracing::info!(
            plugin = manifest.name,
            version = manifest.version,
            file = %file.display(),
            digest = loaded.plugin.digest.short(),
            ms = loaded.took.as_millis() as u64,
            replaced,
            "loaded plugin"
        );
        if let Some(other) = displaced(&manifest.name, &live.state().pipeline.config.providers) {
            let host = manifest.base_url.as_ref().map(BaseUrl::host);
            let (plugin, file) = (&manifest.name, file.display());
            tracing::warn!(plugin, %file, host, "this file takes the place of the built-in plugin {other} for {plugin}/…");
        }
        live.metrics.plugin_loaded(file, true);
        live.metrics.version_born(&loaded.plugin);
        *self = Self { loaded: Some(loaded), failure: None };
    }

    /// The file can't be loaded; what was loaded of it serves on.
    fn fail(&mut self, reason: String, digest: Option<Digest>) -> Outcome {
        let told = self.failure.as_ref().is_some_and(|failure| failure.told && failure.reason == reason);
        let (since, seen) = (SystemTime::now(), Instant::now());
        self.failure = Some(Failure { reason, digest, since, seen, told });
        Outcome::Changed
    }

    fn status<'a>(
        &'a self,
        file: &Path,
        serving: &mut BTreeMap<&'a str, String>,
        registry: &mut Registry,
    ) -> PluginStatus {
        let reason = self.failure.as_ref().map(|failure| failure.reason.clone());
        let since = self.failure.as_ref().map(|failure| failure.since);
        let since = since.or(self.loaded.as_ref().map(|loaded| loaded.since)).unwrap_or(SystemTime::UNIX_EPOCH);
        let claimed = self.loaded.as_ref().map(|loaded| claim(loaded, file.display().to_string(), serving, registry));
        let (standing, reason) = match (claimed, reason) {
            (None, reason) => (Standing::Failed, reason),
            (Some(Ok(())), None) => (Standing::Serving, None),
            (Some(Ok(())), reason) => (Standing::Stale, reason),
            (Some(Err(shadowed)), reason) => (Standing::Shadowed, Some(reason.unwrap_or(shadowed))),
        };
        PluginStatus { file: Some(file.to_owned()), standing, reason, since, loaded: self.loaded.clone() }
    }
}

/// The built-in plugin that a file of this name takes calls from.
fn displaced<'a>(name: &'a str, providers: &'a Providers) -> Option<&'a str> {
    let is_built_in = |name: &&str| BUILT_IN.iter().any(|(known, _)| known == name);
    Some(name).filter(is_built_in).or_else(|| providers.get(name).map(Provider::plugin).filter(is_built_in))
}

/// Takes the plugin's name for it, unless somebody has it.
fn claim<'a>(
    loaded: &'a LoadedPlugin,
    owner: String,
    serving: &mut BTreeMap<&'a str, String>,
    registry: &mut Registry,
) -> Result<(), String> {
    let name = loaded.plugin.manifest.name.as_str();
    if let Some(other) = serving.get(name) {
        return Err(format!("shadowed by {other}, which is called {name} too"));
    }
    serving.insert(name, owner);
    registry.insert(loaded.plugin.clone());
    Ok(())
}

/// Reads a file that should be as `stamp` says.
fn read(path: &Path, stamp: Stamp) -> Content {
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.bytes()).unwrap_or_default());
    let read = std::fs::File::open(path).and_then(|file| file.take(stamp.bytes() + 1).read_to_end(&mut bytes));
    match read {
        _ if Stamp::of(path) != Some(stamp) => Content::Changing,
        Ok(_) => Content::Bytes(bytes),
        Err(error) => Content::Bad(error.to_string()),
    }
}
