//! Changes while the gateway runs: plugins that are dropped in, replaced and removed; a configuration that is edited.
//!
//! ```text
//! files ─► watch ─► settle ─► shelf (read, compile, describe) ─┐
//! SIGHUP, POST /config/reload ─► config_file (read, check) ────┴─► State ─► one pointer, swapped
//! ```
//!
//! One task, the [`Reloader`], owns what should be and is the only one that changes it. Requests hold the [`State`] that
//! they began with, so that a swap is nothing that they notice: no lock, no pause, no half of it. What can't be loaded
//! changes nothing, and is told: in the log, in `GET /plugins` and in the metrics.

mod check;
mod config_file;
mod folder;
mod loader;
mod look;
mod metrics;
mod retry;
mod settle;
mod shelf;
mod state;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::auth::Authenticator;
use crate::config::{Environment, Loaded};
use crate::file::shown;
use crate::pipeline::Pipeline;
use crate::plugin::Runtime;
use crate::upstream::Upstream;

pub use check::check;
use config_file::ConfigFile;
pub use folder::Folder;
use look::Look;
pub use metrics::Metrics;
use settle::{SETTLE, Settling};
use shelf::{Load, Outcome, PATIENCE, Shelf};
use state::Command;
pub use state::{ConfigStatus, Live, LoadedPlugin, PluginStatus, Reloaded, Standing, State};
use watch::Watcher;

/// How often files are looked at although nothing was heard of them.
const POLL: Duration = Duration::from_secs(2);
/// Events come in flocks: one look for all of them.
const FLOCK: Duration = Duration::from_millis(50);

/// How long the start waits for the folder's files; those that take longer are loaded while the others serve.
const START_WAITS: Duration = Duration::from_secs(5);

/// Where plugins come from, beside those inside the binary.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--plugin`: files.
    pub files: Vec<PathBuf>,
    /// `--plugins`: the folder.
    pub folder: Option<PathBuf>,
}

/// Changes what requests are served with.
pub struct Reloader {
    live: Arc<Live>,
    shelf: Shelf,
    folder: Folder,
    sources: Sources,
    environment: Environment,
    config: ConfigFile,
    /// The plugins' files.
    settling: Settling,
    watcher: Watcher,
    commands: mpsc::Receiver<Command>,
    /// Loads that are done.
    loads: mpsc::UnboundedReceiver<Load>,
    hangup: Signal,
    /// What the log says of the folder.
    told: Option<String>,
}

/// Loads the plugins inside the binary, those that were named, and those in the folder as far as they are ready within
/// seconds; and makes the state that the first request is served with.
///
/// # Errors
/// A plugin inside the binary, or one that was named as a file, can't be loaded. Those in the folder are only reported.
/// Or the system gives no signals.
pub async fn prepare(
    runtime: Arc<Runtime>,
    upstream: Upstream,
    loaded: Loaded,
    environment: &Environment,
    sources: Sources,
    accounts: Arc<Accounts>,
) -> anyhow::Result<(Arc<Live>, Reloader)> {
    let Loaded { config, mut report } = loaded;
    let (done, loads) = mpsc::unbounded_channel();
    let shelf = Shelf::new(runtime, &sources.files, done).await?;
    let (sender, commands) = mpsc::channel(8);
    let file = ConfigFile::new(&config, &report, environment);
    let (registry, plugins) = shelf.arrange();
    let state = State {
        authenticator: Authenticator::new(&config.general),
        folder: None,
        plugins,
        config: file.status(),
        pipeline: Arc::new(Pipeline::new(config, registry, upstream)),
    };
    let folder = Folder::choose(sources.folder.as_deref(), environment, &state.pipeline.config);
    let live = Arc::new(Live::new(state, sender, accounts));
    live.metrics.config_loaded();
    let mut reloader = Reloader {
        live: live.clone(),
        shelf,
        folder,
        sources,
        environment: environment.clone(),
        settling: Settling::default(),
        watcher: Watcher::new(),
        commands,
        loads,
        hangup: signal(SignalKind::hangup()).context("waiting for SIGHUP")?,
        told: None,
        config: file,
    };
    reloader.load_first().await;
    reloader.shelf.tell_failures(Instant::now(), Duration::ZERO, &live);
    if let Some(reason) = reloader.shelf.named_failure() {
        return Err(anyhow!(reason));
    }
    reloader.config.tell_warnings(&mut report, &live.state().pipeline.plugins);
    Ok((live, reloader))
}

impl Reloader {
    /// Loads what the first request should find.
    async fn load_first(&mut self) {
        let patience = Instant::now() + START_WAITS;
        loop {
            self.look(Duration::ZERO).await;
            let is_late = Instant::now() >= patience;
            if !self.shelf.awaits_named() && (is_late || !self.shelf.is_loading()) {
                break;
            }
            tokio::select! {
                Some(load) = self.loads.recv() => self.finish(load),
                () = tokio::time::sleep(SETTLE) => {}
            }
        }
        if self.shelf.is_loading() {
            tracing::info!("not waiting for plugins that take longer to compile; they serve once they are ready");
        }
    }

    /// Runs as long as the process.
    pub async fn run(mut self) {
        loop {
            let next = [self.settling.next(), self.config.next(), self.shelf.next()].into_iter().flatten().min();
            let wake = next.map_or(POLL, |next| next.saturating_duration_since(Instant::now()).clamp(FLOCK, POLL));
            tokio::select! {
                () = self.watcher.changed() => tokio::time::sleep(FLOCK).await,
                () = tokio::time::sleep(wake) => {}
                Some(load) = self.loads.recv() => self.finish(load),
                _ = self.hangup.recv() => {
                    // It has told what is wrong.
                    let _ = self.reload_config(true).await;
                }
                Some(Command::ReloadConfig(answer)) = self.commands.recv() => {
                    let reloaded = self.reload_config(true).await;
                    // Who asked may have left.
                    let _ = answer.send(reloaded);
                }
            }
            self.look(SETTLE).await;
            self.shelf.tell_failures(Instant::now(), PATIENCE, &self.live);
        }
    }

    /// Looks at all files, and acts upon those that have been left alone for `quiet`.
    async fn look(&mut self, quiet: Duration) {
        let (folder, config) = (self.folder.clone(), self.config.files().to_vec());
        let named: Vec<PathBuf> = self.shelf.named().map(Path::to_owned).collect();
        let Ok(look) = tokio::task::spawn_blocking(move || Look::at(&folder, &named, &config)).await else { return };
        let now = Instant::now();
        self.watcher.watch(look.watched);
        self.config.see(now, look.config);
        self.tell_folder(look.folder.as_ref().err(), look.folder_path.as_deref());
        // A folder that can't be read says nothing about its files: they stay as they were.
        if let Ok(mut plugins) = look.folder {
            plugins.extend(look.named);
            self.settling.see(now, plugins);
        }
        if self.config.is_due(now) {
            let _ = self.reload_config(false).await;
        }
        let mut changed = self.live.state.load().folder != look.folder_path;
        let again = self.shelf.to_retry(now).into_iter();
        let again = again.filter_map(|file| self.settling.seen(&file).map(|stamp| (file, Some(stamp))));
        let due: BTreeMap<_, _> = self.settling.due(now, quiet).into_iter().chain(again).collect();
        // Those that were named first, for the start waits for them; those that are gone last, for others may replace them.
        let mut due: Vec<_> = due.into_iter().collect();
        due.sort_by_key(|(file, stamp)| (stamp.is_none(), !self.shelf.is_named(file)));
        for (file, stamp) in due {
            match self.shelf.update(&file, stamp, &self.live).await {
                Outcome::Wait => self.settling.wait(&file, Instant::now()),
                outcome => {
                    self.settling.take(&file, stamp);
                    changed |= outcome == Outcome::Changed;
                }
            }
        }
        if changed {
            self.publish_plugins(look.folder_path);
        }
    }

    /// A load is done.
    fn finish(&mut self, load: Load) {
        let now = self.settling.seen(&load.file);
        if self.shelf.finish(load, now, &self.live) == Outcome::Changed {
            self.publish_plugins(self.live.state().folder.clone());
        }
    }

    /// The swap, where plugins have changed.
    fn publish_plugins(&self, folder: Option<PathBuf>) {
        let current = self.live.state();
        let (registry, plugins) = self.shelf.arrange();
        tell_shadowed(&current.plugins, &plugins);
        self.live.state.store(Arc::new(State {
            pipeline: Arc::new(current.pipeline.with_plugins(registry)),
            authenticator: current.authenticator.clone(),
            plugins,
            folder,
            config: self.config.status(),
        }));
    }

    /// Reads the configuration again and swaps it in, all of it or nothing. `asked`: also where nothing has changed, for
    /// it may refer to what has.
    async fn reload_config(&mut self, asked: bool) -> Result<Reloaded, String> {
        let current = self.live.state();
        let old = &current.pipeline.config;
        let known = self.config.error().map(str::to_owned);
        let Loaded { mut config, mut report } = match self.config.read().await {
            Ok(loaded) => loaded,
            Err(error) => {
                if asked || known.as_ref() != Some(&error) {
                    tracing::error!("the configuration was not reloaded, the old one stays: {error}");
                    self.live.metrics.config_reloaded(false);
                }
                self.publish_config(&current);
                return Err(error);
            }
        };
        if !asked && config.fingerprint == old.fingerprint {
            self.live.metrics.config_loaded();
            self.publish_config(&current);
            return Ok(Reloaded::default());
        }
        let reloaded = config_file::difference(old, &mut config);
        let limits = (config.plugin_limits != old.plugin_limits).then(|| config.plugin_limits.clone());
        self.config.tell_warnings(&mut report, &current.pipeline.plugins);
        self.folder = Folder::choose(self.sources.folder.as_deref(), &self.environment, &config);
        self.config.accepted();
        let changed = limits.is_some();
        if let Some(limits) = limits {
            self.shelf.set_limits(limits, &self.live);
        }
        if changed || asked {
            self.shelf.retry_all();
        }
        // One swap for both: no call sees the new configuration with the old limits.
        let (registry, plugins) = self.shelf.arrange();
        let pipeline = Arc::new(current.pipeline.with_plugins(registry).with_config(config));
        self.live.state.store(Arc::new(State {
            authenticator: Authenticator::new(&pipeline.config.general),
            pipeline,
            plugins,
            folder: current.folder.clone(),
            config: self.config.status(),
        }));
        self.live.admission.set_limits(self.live.state().pipeline.config.load.admission);
        self.live.metrics.config_reloaded(true);
        tell(&reloaded);
        Ok(reloaded)
    }

    /// The swap, where only what is to be told of the configuration has changed.
    fn publish_config(&self, current: &State) {
        self.live.state.store(Arc::new(State {
            authenticator: current.authenticator.clone(),
            pipeline: current.pipeline.clone(),
            plugins: current.plugins.clone(),
            folder: current.folder.clone(),
            config: self.config.status(),
        }));
    }

    /// Logs how the folder does, once for each time that it does otherwise.
    fn tell_folder(&mut self, error: Option<&io::Error>, path: Option<&Path>) {
        let news = path.map(|path| {
            let shown = shown(path);
            match error {
                Some(error) => (false, format!("the plugin folder {shown} can't be read: {error}")),
                None if path.is_dir() => (true, format!("watching the plugin folder {shown}")),
                None => (false, format!("the plugin folder {shown} isn't there; waiting for it")),
            }
        });
        let text = news.as_ref().map(|(_, text)| text.clone());
        if text == self.told {
            return;
        }
        match &news {
            Some((false, text)) => tracing::warn!("{text}"),
            Some((true, text)) => tracing::info!("{text}"),
            None => tracing::info!("the plugin folder is gone"),
        }
        self.told = text;
    }
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Says which files have a plugin that doesn't serve since its name is taken.
fn tell_shadowed(old: &[PluginStatus], new: &[PluginStatus]) {
    for status in new.iter().filter(|status| status.standing == Standing::Shadowed) {
        let known = |old: &PluginStatus| old.file == status.file && old.reason == status.reason;
        if let (Some(file), Some(reason), false) = (&status.file, &status.reason, old.iter().any(known)) {
            tracing::warn!(file = %shown(file), "a plugin does not serve: {reason}");
        }
    }
}

/// Says what a reload did; never a value.
fn tell(reloaded: &Reloaded) {
    let Reloaded { changes, needs_restart } = reloaded;
    let list = |names: &[String]| names.join(", ");
    tracing::info!(
        models_added = list(&changes.models_added),
        models_removed = list(&changes.models_removed),
        models_changed = list(&changes.models_changed),
        settings = list(&changes.settings),
        "reloaded the configuration"
    );
    for key in needs_restart {
        tracing::warn!("{key} has another value by now: it needs a restart");
    }
}
