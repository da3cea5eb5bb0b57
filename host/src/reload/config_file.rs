//! The configuration's files: when they changed, and whether what they say now can be used.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::SystemTime;

use tokio::time::Instant;

use super::settle::{SETTLE, Settling, Stamp, stamps};
use super::state::{ConfigStatus, Reloaded};
use crate::config::{self, Config, ConfigError, Date, Environment, Finding, Loaded, Origin, Report, Severity};
use crate::plugin::Registry;

/// The configuration's files, and what became of them.
pub(super) struct ConfigFile {
    origin: Origin,
    environment: Environment,
    settling: Settling,
    /// The first file and all that it includes, as far as they are known.
    files: Vec<PathBuf>,
    loaded_at: SystemTime,
    /// Why what is in the files isn't in use.
    error: Option<String>,
    /// Warnings that are in the log already.
    told: HashSet<String>,
}

// === impl ConfigFile ===

impl ConfigFile {
    /// Of a configuration that was just loaded.
    pub(super) fn new(config: &Config, report: &Report, environment: &Environment) -> Self {
        let mut file = Self {
            origin: config.origin.clone(),
            environment: environment.clone(),
            settling: Settling::default(),
            files: report.files().to_vec(),
            loaded_at: SystemTime::now(),
            error: None,
            told: HashSet::new(),
        };
        file.settling.see(Instant::now(), stamps(&file.files));
        file.settling.take_all();
        file
    }

    /// The files to look at.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Notes how the files are.
    pub(super) fn see(&mut self, now: Instant, found: BTreeMap<PathBuf, Stamp>) {
        self.settling.see(now, found);
    }

    /// Whether a file has changed, and has been left alone since.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        // All have to be: one of them alone may refer to what comes with another.
        let changed = self.settling.due(now, std::time::Duration::ZERO).len();
        changed > 0 && changed == self.settling.due(now, SETTLE).len()
    }

    /// When to look whether one is.
    pub(super) fn next(&self) -> Option<Instant> {
        self.settling.next()
    }

    /// Reads the files again, in place of those in use.
    ///
    /// # Errors
    /// They can't be used; everything that is wrong with them, a line each.
    pub(super) async fn read(&mut self) -> Result<Loaded, String> {
        // The day is another one by now, which matters to models that retire.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let environment = self.environment.clone().on(Date::from_unix_seconds(now.as_secs()));
        let (origin, files) = (self.origin.clone(), self.files.clone());
        // Looked at first: what changes while it is read is a reason to read it again.
        let read = move || (stamps(&files), config::load(origin, &environment));
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|error| format!("reading the configuration failed: {error}"));
        let checked = read.and_then(|(seen, read)| {
            self.settling.see(Instant::now(), seen);
            self.settling.take_all();
            self.checked(read)
        });
        self.error = checked.as_ref().err().cloned();
        checked
    }

    fn checked(&mut self, read: Result<Loaded, ConfigError>) -> Result<Loaded, String> {
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(error @ ConfigError::Read { .. }) => return Err(format!("{:#}", anyhow::Error::from(error))),
            Err(ConfigError::Invalid(report)) => {
                // An include that is missing is waited for, and what the old configuration included may still be right.
                let news = report.files().iter().filter(|file| !self.files.contains(file));
                self.files.extend(news.cloned().collect::<Vec<_>>());
                return Err(ConfigError::Invalid(report).to_string());
            }
        };
        if let Some(problem) = loaded.config.master_key_problem() {
            return Err(format!("{}: {problem}", self.origin));
        }
        self.files = loaded.report.files().to_vec();
        Ok(loaded)
    }

    /// Why what is in the files isn't in use.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The files are in use as they are.
    pub(super) fn accepted(&mut self) {
        self.loaded_at = SystemTime::now();
    }

    /// Logs the warnings that are new.
    pub(super) fn tell_warnings(&mut self, report: &mut Report, plugins: &Registry) {
        report.plugin_is_there(|provider| plugins.plugin(provider).is_some());
        let warnings: HashSet<String> = report.of(Severity::Warning).map(Finding::to_string).collect();
        let news = report.of(Severity::Warning).filter(|finding| !self.told.contains(&finding.to_string()));
        news.for_each(|finding| tracing::warn!("{finding}"));
        self.told = warnings;
    }

    /// How it does.
    pub(super) fn status(&self) -> ConfigStatus {
        let error = self.error.clone();
        ConfigStatus { loaded_at: self.loaded_at, files: self.files.clone(), error }
    }
}

/// What `new` changes of `old`. What can't change while the gateway runs is put back.
pub(super) fn difference(old: &Config, new: &mut Config) -> Reloaded {
    let mut needs_restart = Vec::new();
    if std::mem::replace(&mut new.logging.json, old.logging.json) != old.logging.json {
        needs_restart.push("litellm_settings.json_logs");
    }
    if std::mem::replace(&mut new.logging.level, old.logging.level) != old.logging.level {
        needs_restart.push("litellm_settings.set_verbose");
    }
    let (was, is) = (old.plugin_limits.stack_bytes, &mut new.plugin_limits.stack_bytes);
    if std::mem::replace(is, was) != was {
        needs_restart.push("ai_api_settings.plugin_limits.*.stack_kb");
    }
    // Clients were told it at the start.
    if std::mem::replace(&mut new.root_path, old.root_path.clone()) != old.root_path {
        needs_restart.push("environment_variables.SERVER_ROOT_PATH");
    }
    // Both are opened once; what hangs on them outlives reloads.
    if new.store != old.store {
        needs_restart.push("general_settings.database_url");
        new.store = old.store.clone();
    }
    if new.redis != old.redis {
        needs_restart.push("router_settings.redis_host");
        new.redis = old.redis.clone();
    }
    Reloaded { changes: old.fingerprint.changes(&new.fingerprint), needs_restart }
}
