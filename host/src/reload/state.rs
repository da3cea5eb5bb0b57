//! What requests are served with, and how they get at it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::Metrics;
use crate::accounts::Accounts;
use crate::admission::{Admission, Connections};
use crate::auth::Authenticator;
use crate::config::Changes;
use crate::pipeline::Pipeline;
use crate::plugin::Plugin;

/// Everything that a request needs, as it was when it began. Never changed: a reload makes another.
#[derive(Debug)]
pub struct State {
    /// Answers calls.
    pub pipeline: Arc<Pipeline>,
    /// Checks keys.
    pub authenticator: Authenticator,
    /// All plugins, those that don't serve too.
    pub plugins: Vec<PluginStatus>,
    /// The folder that plugins are dropped into, if there is one.
    pub folder: Option<PathBuf>,
    /// Where the configuration came from, and how it does.
    pub config: ConfigStatus,
}

/// A plugin, or a file that should be one.
#[derive(Clone, Debug)]
pub struct PluginStatus {
    /// Where it is; `None`: inside this binary.
    pub file: Option<PathBuf>,
    /// How it does.
    pub standing: Standing,
    /// What is wrong, in one sentence.
    pub reason: Option<String>,
    /// Since when it is so.
    pub since: SystemTime,
    /// The last version that could be loaded.
    pub loaded: Option<LoadedPlugin>,
}

/// How a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It serves.
    Serving,
    /// It serves, but its file says something else by now, which can't be loaded.
    Stale,
    /// It can't be loaded.
    Failed,
    /// Another one of the same name serves.
    Shadowed,
}

/// A plugin that could be loaded.
#[derive(Clone, Debug)]
pub struct LoadedPlugin {
    /// The plugin itself.
    pub plugin: Arc<Plugin>,
    /// Its component's length.
    pub bytes: u64,
    /// How long it took to load, compiling included.
    pub took: Duration,
    /// When that was.
    pub since: SystemTime,
}

/// How the configuration does.
#[derive(Clone, Debug)]
pub struct ConfigStatus {
    /// When the one in use was loaded.
    pub loaded_at: SystemTime,
    /// Its file, and those that it includes; empty for the built-in one.
    pub files: Vec<PathBuf>,
    /// Why what is in the files now is not in use.
    pub error: Option<String>,
}

/// What a reload did.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    /// What differs.
    pub changes: Changes,
    /// What has another value by now and only a restart brings about.
    pub needs_restart: Vec<&'static str>,
}

/// The state that is current.
#[derive(Debug)]
pub struct Live {
    pub(super) state: ArcSwap<State>,
    pub(super) commands: mpsc::Sender<Command>,
    /// What reloads count.
    pub metrics: Metrics,
    /// Who is in, whatever is reloaded meanwhile.
    pub admission: Arc<Admission>,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// Keys, limits and money.
    pub accounts: Arc<Accounts>,
}

/// What can be asked of the reloader.
#[derive(Debug)]
pub(super) enum Command {
    /// Read the configuration again.
    ReloadConfig(oneshot::Sender<Result<Reloaded, String>>),
}

// === impl Live ===

impl Live {
    /// A state that nothing reloads: `bench/stages` counts the gateway's own work without plugins to compile first.
    #[doc(hidden)]
    pub fn still(state: State) -> Self {
        let (commands, _) = mpsc::channel(1);
        Self::new(state, commands, Arc::default())
    }

    pub(super) fn new(state: State, commands: mpsc::Sender<Command>, accounts: Arc<Accounts>) -> Self {
        let admission = Arc::new(Admission::new(state.pipeline.config.load.admission));
        Self {
            state: ArcSwap::from_pointee(state),
            commands,
            metrics: Metrics::default(),
            admission,
            connections: Arc::default(),
            accounts,
        }
    }

    /// The state to serve a request with, from its beginning to its end.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Reads the configuration again and waits until it is in use.
    ///
    /// # Errors
    /// It can't be used, and nothing has changed; everything that is wrong with it, a line each.
    pub async fn reload_config(&self) -> Result<Reloaded, String> {
        let ending = || "the gateway is ending".to_owned();
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::ReloadConfig(answer)).await.map_err(|_| ending())?;
        answered.await.map_err(|_| ending())?
    }
}

// === impl Standing ===

impl Standing {
    /// Whether calls go to it.
    pub fn serves(self) -> bool {
        matches!(self, Self::Serving | Self::Stale)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Shadowed => "shadowed",
        }
    }
}
