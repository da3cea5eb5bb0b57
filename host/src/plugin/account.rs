//! What the host keeps about a loaded plugin while it serves: its limits, its counts, whether it is in quarantine.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::metered::Places;
use super::per_second::PerSecond;
use super::quarantine::{Admission, Quarantine, Turn};
use super::stats::{Fault, Stats};
use super::{CallError, Digest};
use crate::config::PluginLimits;

/// One loaded plugin's books.
#[derive(Debug)]
pub(super) struct Account {
    pub name: Arc<str>,
    pub limits: PluginLimits,
    pub stats: Arc<Stats>,
    pub quarantine: Arc<Quarantine>,
    pub log: Arc<LogQuota>,
    /// Where its calls compute that aren't done at once.
    pub places: Arc<Places>,
    /// Clocks stand still and random numbers repeat.
    pub deterministic: bool,
}

/// The books of all plugins that this runtime has loaded, by name. Looked at when one is loaded, never by a call.
#[derive(Debug, Default)]
pub(super) struct Accounts(Mutex<BTreeMap<String, Kept>>);

/// What outlives one load.
#[derive(Clone, Debug)]
struct Kept {
    stats: Arc<Stats>,
    digest: Digest,
    quarantine: Arc<Quarantine>,
    log: Arc<LogQuota>,
    places: Arc<Places>,
}

/// How many lines a plugin may still log within this second.
#[derive(Debug)]
pub(super) struct LogQuota {
    since: Instant,
    lines: PerSecond,
}

/// One call on its plugin's books. What is known of it when it is dropped is what it came to.
#[derive(Debug)]
pub(super) struct Tally {
    account: Arc<Account>,
    admission: Admission,
    went_well: bool,
    fault: Option<Fault>,
}

// === impl Account ===

impl Account {
    /// Lets a call in.
    ///
    /// # Errors
    /// The plugin is in quarantine, or has as many calls as it may.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Tally, CallError> {
        self.stats.begin();
        let admission = self.quarantine.admit(Instant::now()).map_err(|retry_after| {
            self.stats.finish(Some(Fault::Quarantined));
            CallError::Quarantined { retry_after }
        })?;
        let running = self.stats.running.fetch_add(1, Relaxed);
        let mut tally = Tally { account: Arc::clone(self), admission, went_well: false, fault: None };
        let most = self.limits.concurrent_calls;
        if most > 0 && running >= most {
            let error = CallError::Busy(format!("it serves {most} calls already, its limit"));
            tally.failed(&error);
            return Err(error);
        }
        Ok(tally)
    }

    /// Whether one more line may be logged now.
    pub(super) fn may_log(&self) -> bool {
        let second = u32::try_from(self.log.since.elapsed().as_secs()).unwrap_or(u32::MAX);
        self.log.lines.count(second) <= self.limits.log_lines_per_second
    }

    /// Tells the operator.
    fn announce(&self, turn: Option<Turn>) {
        let plugin = &*self.name;
        match turn {
            None => {}
            Some(Turn::Out { lasts, failures, calls }) => tracing::warn!(
                plugin,
                failures,
                calls,
                "in quarantine for {} s: {failures} of its last {calls} calls failed by its own fault",
                lasts.as_secs()
            ),
            Some(Turn::Back) => tracing::info!(plugin, "out of quarantine: a call went well"),
        }
    }
}

// === impl Accounts ===

impl Accounts {
    /// The books for the version `digest` of the plugin `name`: counts go on, quarantine ends with a version.
    pub(super) fn open(&self, name: &str, digest: &Digest, limits: PluginLimits, deterministic: bool) -> Account {
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.entry(name.to_owned()).or_insert_with(|| Kept {
            stats: Arc::default(),
            digest: *digest,
            quarantine: Arc::new(Quarantine::new(now)),
            log: Arc::new(LogQuota { since: now, lines: PerSecond::default() }),
            places: Arc::default(),
        });
        if entry.digest != *digest {
            (entry.digest, entry.quarantine) = (*digest, Arc::new(Quarantine::new(now)));
        }
        let Kept { stats, quarantine, log, places, .. } = entry.clone();
        Account { name: Arc::from(name), limits, stats, quarantine, log, places, deterministic }
    }
}

// === impl Tally ===

impl Tally {
    /// The plugin's books.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The plugin did what it is for. A plugin in quarantine is out of it with that.
    pub(super) fn went_well(&mut self) {
        if !std::mem::replace(&mut self.went_well, true) && self.admission == Admission::Probe {
            self.account.announce(self.account.quarantine.went_well(self.admission, Instant::now()));
            self.admission = Admission::Normal;
        }
    }

    /// The call failed. What fails first counts.
    pub(super) fn failed(&mut self, error: &CallError) {
        self.fault.get_or_insert_with(|| error.into());
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Account { stats, quarantine, limits, .. } = &*self.account;
        stats.running.fetch_sub(1, Relaxed);
        stats.finish(self.fault);
        let turn = match self.fault {
            Some(fault) if fault.is_own() => quarantine.failed(self.admission, Instant::now(), limits.quarantine_after),
            Some(Fault::Failed) => quarantine.went_well(self.admission, Instant::now()),
            None if self.went_well => quarantine.went_well(self.admission, Instant::now()),
            Some(_) | None => {
                quarantine.abandoned(self.admission);
                None
            }
        };
        self.account.announce(turn);
    }
}
