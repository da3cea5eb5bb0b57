//! Every plugin that there is: those inside the binary, those named one by one, those in the folder.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Live;
use super::loader::load;
use super::retry::Retry;
use super::settle::Stamp;
use super::state::{LoadedPlugin, PluginStatus, Standing};
use crate::config::{PluginLimitsTable, Provider, Providers};
use crate::file::{self, shown};
use crate::plugin::{BUILT_IN, BaseUrl, Digest, LoadError, Plugin, Registry, Runtime};

/// How long a file that is gone serves on while others are being loaded.
const MAKE_BEFORE_BREAK: Duration = Duration::from_secs(5);
/// A file that can't be loaded may be one that is still being written: the log waits for this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How many files are compiled at once: each holds its bytes and the compiler's memory.
const MAX_LOADS: usize = 4;

/// All plugins, and what became of each file.
pub(super) struct Shelf {
    runtime: Arc<Runtime>,
    built_in: Vec<LoadedPlugin>,
    /// `--plugin`, the last first: it has the last word.
    named: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Slot>,
    /// Where loads that are done are told.
    done: mpsc::UnboundedSender<Load>,
    /// When a file was begun to be loaded last.
    last_load: Option<Instant>,
}

/// What came of loading a file.
pub(super) struct Load {
    /// Which file.
    pub file: PathBuf,
    /// How the file was when it was read.
    pub stamp: Stamp,
    digest: Digest,
    result: Result<LoadedPlugin, LoadError>,
}

/// A file.
#[derive(Default)]
struct Slot {
    loaded: Option<LoadedPlugin>,
    failure: Option<Failure>,
    /// What is being loaded of it.
    loading: Option<Stamp>,
}

/// Why a file can't be loaded.
struct Failure {
    reason: String,
    /// Of what was tried.
    digest: Option<Digest>,
    retry: Retry,
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
    /// The file changed while it was read, or has to wait for other loads, its own last one among them.
    Wait,
}

/// What was read of a file.
enum Content {
    Bytes(Vec<u8>),
    Changing,
    Bad(io::Error),
}

// === impl Shelf ===

impl Shelf {
    /// The plugins inside the binary.
    ///
    /// # Errors
    /// One of them can't be loaded.
    pub(super) async fn new(
        runtime: Arc<Runtime>,
        named: &[PathBuf],
        done: mpsc::UnboundedSender<Load>,
    ) -> Result<Self, LoadError> {
        let mut built_in = Vec::new();
        for (name, bytes) in BUILT_IN {
            built_in.push(load(&runtime, format!("built-in plugin {name}"), bytes.to_vec()).await?);
        }
        Ok(Self {
            runtime,
            built_in,
            named: named.iter().rev().cloned().collect(),
            files: BTreeMap::new(),
            done,
            last_load: None,
        })
    }

    /// The files that were named one by one.
    pub(super) fn named(&self) -> impl Iterator<Item = &Path> {
        self.named.iter().map(PathBuf::as_path)
    }

    /// Does what `stamp` of `file` asks for: begins to load it, or lets go. What comes of a load is told to
    /// [`Self::finish`], so that a file that takes long holds up nothing else.
    pub(super) async fn update(&mut self, file: &Path, stamp: Option<Stamp>, live: &Live) -> Outcome {
        let Some(stamp) = stamp else {
            // What takes its place may be on its way, from another folder for example.
            return if self.is_about_to_load(Instant::now()) { Outcome::Wait } else { self.remove(file, live) };
        };
        let loads = self.files.values().filter(|slot| slot.loading.is_some()).count();
        let (path, known) = (file.to_owned(), self.files.entry(file.to_owned()).or_default());
        if known.loading.is_some() || loads >= MAX_LOADS {
            return Outcome::Wait;
        }
        // Before it is read, for it may be larger than memory.
        if let Err(error) = Plugin::check_size(&self.runtime, &shown(file), stamp.bytes()) {
            return known.fail(&error, None);
        }
        // On another thread: a slow disk holds up nobody's call.
        let read = tokio::task::spawn_blocking(move || read(&path, stamp)).await;
        let bytes = match read.unwrap_or_else(|error| Content::Bad(io::Error::other(error))) {
            Content::Bytes(bytes) => bytes,
            Content::Changing => return Outcome::Wait,
            Content::Bad(source) => return known.fail(&LoadError::Read { file: shown(file), source }, None),
        };
        let digest = Digest::of(&bytes);
        if known.loaded.as_ref().is_some_and(|loaded| loaded.plugin.digest == digest) {
            return if known.failure.take().is_some() { Outcome::Changed } else { Outcome::Same };
        }
        let failed = known.failure.as_ref().filter(|failure| failure.digest == Some(digest));
        if failed.is_some_and(|failure| !failure.retry.is_due(Instant::now())) {
            return Outcome::Same;
        }
        known.loading = Some(stamp);
        self.last_load = Some(Instant::now());
        let (runtime, done, file) = (self.runtime.clone(), self.done.clone(), file.to_owned());
        tokio::spawn(async move {
            let result = load(&runtime, shown(&file), bytes).await;
            // Nobody listens any more where the process ends.
            let _ = done.send(Load { file, stamp, digest, result });
        });
        Outcome::Same
    }

    /// Takes in what came of a load. `now` is how the file is seen by now: what was loaded of another content, or of a
    /// file that is gone, is let go.
    pub(super) fn finish(&mut self, load: Load, now: Option<Stamp>, live: &Live) -> Outcome {
        let Load { file, stamp, digest, result } = load;
        let Some(slot) = self.files.get_mut(&file).filter(|slot| slot.loading == Some(stamp)) else {
            return Outcome::Same;
        };
        slot.loading = None;
        if now != Some(stamp) {
            return Outcome::Same;
        }
        // The limits may have changed since it began.
        let loaded = result.and_then(|mut loaded| {
            if !loaded.plugin.has_limits_of(&self.runtime) {
                loaded.plugin = Arc::new(loaded.plugin.with_limits(&self.runtime)?);
            }
            Ok(loaded)
        });
        match loaded {
            Ok(loaded) => {
                slot.accept(&file, loaded, live);
                Outcome::Changed
            }
            Err(error) => slot.fail(&error, Some(digest)),
        }
    }

    /// Whether another plugin may be there in a moment.
    fn is_about_to_load(&self, now: Instant) -> bool {
        self.is_loading() && self.last_load.is_some_and(|began| now < began + MAKE_BEFORE_BREAK)
    }

    /// Whether a file is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.files.values().any(|slot| slot.loading.is_some())
    }

    /// Whether it isn't known yet what becomes of a file that was named.
    pub(super) fn awaits_named(&self) -> bool {
        let unknown = |slot: &Slot| slot.loaded.is_none() && slot.failure.is_none();
        self.named.iter().filter_map(|file| self.files.get(file)).any(unknown)
    }

    /// Whether a file was named.
    pub(super) fn is_named(&self, file: &Path) -> bool {
        self.named.iter().any(|named| named == file)
    }

    /// The files whose failure may be over.
    pub(super) fn to_retry(&self, now: Instant) -> Vec<PathBuf> {
        let failed = |slot: &Slot| slot.failure.as_ref().is_some_and(|failure| failure.retry.is_due(now));
        let due = self.files.iter().filter(|(_, slot)| slot.loading.is_none() && failed(slot));
        due.map(|(file, _)| file.clone()).collect()
    }

    /// Tries all that failed again: somebody asks for it, or limits are others.
    pub(super) fn retry_all(&mut self) {
        let failures = self.files.values_mut().filter_map(|slot| slot.failure.as_mut());
        failures.for_each(|failure| failure.retry.ask(Instant::now()));
    }

    fn remove(&mut self, file: &Path, live: &Live) -> Outcome {
        let Some(slot) = self.files.remove(file) else { return Outcome::Same };
        live.metrics.plugin_forgotten(file);
        if let Some(LoadedPlugin { plugin, .. }) = slot.loaded {
            let manifest = &plugin.manifest;
            tracing::info!(plugin = manifest.name, version = manifest.version, file = %shown(file), "removed plugin");
        }
        Outcome::Changed
    }

    /// Puts every plugin under other limits. What is loaded stays loaded, if need be under the limits that it has.
    pub(super) fn set_limits(&mut self, limits: PluginLimitsTable, live: &Live) {
        self.runtime.set_limits(limits);
        let loaded = self.files.values_mut().filter_map(|slot| slot.loaded.as_mut());
        for loaded in loaded.chain(&mut self.built_in) {
            match loaded.plugin.with_limits(&self.runtime) {
                Ok(plugin) => loaded.plugin = Arc::new(plugin),
                Err(error) => tracing::warn!("a plugin keeps the limits that it was loaded under: {error}"),
            }
            live.metrics.version_born(&loaded.plugin);
        }
    }

    /// The reason that one of the files that were named can't be loaded.
    pub(super) fn named_failure(&self) -> Option<String> {
        let mut failures = self.named().map(|file| match self.files.get(file) {
            Some(slot) => slot.failure.as_ref().map(|failure| failure.reason.clone()),
            None => Some(format!("can't read {}: there is no such file", shown(file))),
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
            tracing::error!(file = %shown(file), serves_on, "can't load plugin: {}", failure.reason);
        }
    }

    /// When a failure has to be told, or its file tried again.
    pub(super) fn next(&self) -> Option<Instant> {
        let idle = self.files.values().filter(|slot| slot.loading.is_none());
        let failures = idle.filter_map(|slot| slot.failure.as_ref());
        let next = |failure: &Failure| [failure.retry.next(), (!failure.told).then_some(failure.seen + PATIENCE)];
        failures.flat_map(next).flatten().min()
    }

    /// Who serves, and how every plugin does. Files that were named come first, then those of the folder in the order
    /// of their names, then what is built in.
    pub(super) fn arrange(&self) -> (Registry, Vec<PluginStatus>) {
        let mut registry = Registry::default();
        let mut statuses = Vec::new();
        let named = self.named.iter().filter_map(|file| Some((file, self.files.get(file)?)));
        let found = self.files.iter().filter(|(file, _)| !self.named.contains(file));
        let mut serving: BTreeMap<&str, String> = BTreeMap::new();
        let known = named.chain(found).filter(|(_, slot)| slot.loaded.is_some() || slot.failure.is_some());
        for (file, slot) in known {
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
            file = %shown(file),
            digest = loaded.plugin.digest.short(),
            ms = loaded.took.as_millis() as u64,
            replaced,
            "loaded plugin"
        );
        if let Some(other) = displaced(&manifest.name, &live.state().pipeline.config.providers) {
            let host = manifest.base_url.as_ref().map(BaseUrl::host);
            let (plugin, file) = (&manifest.name, shown(file));
            tracing::warn!(
                plugin,
                file,
                host,
                "this file takes the place of the built-in plugin {other} for {plugin}/…"
            );
        }
        live.metrics.plugin_loaded(file, true);
        live.metrics.version_born(&loaded.plugin);
        *self = Self { loaded: Some(loaded), failure: None, loading: None };
    }

    /// The file can't be loaded; what was loaded of it serves on.
    fn fail(&mut self, error: &LoadError, digest: Option<Digest>) -> Outcome {
        let (mut retry, now) = (Retry::default(), Instant::now());
        let (mut since, mut seen, mut told) = (SystemTime::now(), now, false);
        let reason = error.in_one_line();
        if let Some(old) = self.failure.take().filter(|old| old.digest == digest) {
            retry = old.retry;
            if old.reason == reason {
                (since, seen, told) = (old.since, old.seen, old.told);
            }
        }
        retry.failed(now, error.is_transient());
        self.failure = Some(Failure { reason, digest, retry, since, seen, told });
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
        let claimed = self.loaded.as_ref().map(|loaded| claim(loaded, shown(file), serving, registry));
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
    let opened = match file::open(path) {
        Ok(opened) => opened,
        Err(_) if Stamp::of(path) != Some(stamp) => return Content::Changing,
        Err(error) => return Content::Bad(error),
    };
    let (file, metadata) = opened;
    let read = file::read(file, &metadata, stamp.bytes());
    match read {
        _ if Stamp::from(&metadata) != stamp || Stamp::of(path) != Some(stamp) => Content::Changing,
        Ok(bytes) => Content::Bytes(bytes),
        Err(error) => Content::Bad(error),
    }
}
