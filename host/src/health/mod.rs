//! How the gateway does, and how its deployments do when they are asked without a call.
//!
//! ```text
//! GET /health ───────────► check ─┐  (one probe of a kind for all who ask,     ┌─► latest ──────► GET /health, /router
//! background, by clock ─► look ───┴─►  so many at a time) ─► Pipeline::probe ──┴─► background ──► GET /health, routing
//! ```
//!
//! What routes calls by default is what live traffic shows (`router::Vitals`), and not this: a probe that a provider
//! answers says little of the next call. Only with `enable_health_check_routing` a deployment is left out for what the
//! background found; what somebody asked for on top of that steers nothing.
//!
//! It outlives reloads: results belong to a [`Revision`] of a deployment, so that nothing that was found out about what
//! a deployment was before a reload is told, or heeded, of what it is after that.

mod background;
mod found;
mod runs;
mod schedule;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::{FutureExt, join_all};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::config::Probe;
use crate::pipeline::{Pipeline, Probed, Revision};
use crate::reload::State;
use crate::router::{FailureKind, Target};
use found::Found;
use runs::{Run, Runs};

/// A result this young is told again instead of being found once more: who asks in a loop asks nobody but us.
const FRESH: Duration = Duration::from_secs(5);
/// What probes at a time share: each takes what its configuration's `health_check_concurrency` leaves it. So there is
/// one limit for all who ask, across reloads too. Divided by anything up to 1000 it lets exactly so many in.
const SHARES: u32 = 1_000_000;

/// How the gateway does.
#[derive(Debug)]
pub struct Health {
    phase: watch::Sender<Phase>,
    /// Never locked while something is awaited.
    found: Mutex<Found>,
    /// Probes under way, for others who ask for the same.
    runs: Runs<What, Arc<Checked>>,
    shares: Semaphore,
}

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// No new traffic, please: the process is about to end.
    Draining,
    /// It was asked to end.
    Ending,
}

/// What a probe found, and when.
#[derive(Debug)]
pub struct Checked {
    /// When it was found.
    pub at: SystemTime,
    /// What.
    pub probed: Probed,
    since: Instant,
}

/// Deployments, and what their probes found.
pub type Results = Vec<(Arc<Target>, Arc<Checked>)>;

/// What is asked for: of which deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct What {
    revision: Revision,
    probe: Probe,
}

// === impl Health ===

impl Default for Health {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            found: Mutex::default(),
            runs: Runs::default(),
            shares: Semaphore::new(SHARES as usize),
        }
    }
}

impl Health {
    /// Lets readiness fail from now on, while calls are still served; and ends what goes on in the background.
    pub fn drain(&self) {
        let is_news = self.phase.send_if_modified(|phase| {
            let serves = *phase == Phase::Serving;
            if serves {
                *phase = Phase::Draining;
            }
            serves
        });
        if is_news {
            tracing::info!("draining: not ready for new traffic any more");
        }
    }

    /// The same, and nobody waits for the drain any longer: the process was asked to end.
    pub fn end(&self) {
        self.drain();
        self.phase.send_replace(Phase::Ending);
    }

    /// Whether the process is about to end.
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() != Phase::Serving
    }

    /// Waits until the process was asked to end.
    pub async fn ending(&self) {
        // The sender is ours, so it lives.
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Ending).await;
    }

    /// Probes these deployments, but for those of which a probe of the kind has just told.
    pub async fn check(self: &Arc<Self>, state: &Arc<State>, targets: &[Arc<Target>], probe: Probe) -> Results {
        let results = targets.iter().map(|target| async move {
            let what = What { revision: state.pipeline.revision(target), probe };
            let fresh = self.found().latest(what).filter(|checked| checked.since.elapsed() < FRESH);
            let checked = match fresh {
                Some(checked) => checked,
                None => self.probe(state, target, what).await,
            };
            (target.clone(), checked)
        });
        join_all(results).await
    }

    /// What the deployment's last probe found, of whatever kind and whoever asked.
    pub fn last(&self, pipeline: &Pipeline, target: &Target) -> Option<Arc<Checked>> {
        self.found().last(pipeline.revision(target))
    }

    /// What the background found last, where it does look again.
    pub fn in_background(&self, pipeline: &Pipeline, target: &Target) -> Option<Arc<Checked>> {
        let looks = pipeline.config.health.background && !target.deployment.health.not_in_background;
        if looks && !self.is_draining() { self.found().in_background(pipeline.revision(target)) } else { None }
    }

    /// Probes, together with all who want the same at this moment. It goes on to its end: whoever asks and leaves would
    /// else have providers asked again and again.
    fn probe(self: &Arc<Self>, state: &Arc<State>, target: &Arc<Target>, what: What) -> Run<Arc<Checked>> {
        let start = || probe(self.clone(), state.clone(), target.clone(), what).boxed();
        self.runs.join(what, start)
    }

    /// Keeps what a probe found, and tells the log where it is news.
    fn note(&self, target: &Target, what: What, checked: &Arc<Checked>) {
        let is_news = self.found().note(what, &target.deployment.id, checked);
        let (model, deployment) = (&target.deployment.model_name, &target.deployment.id);
        let kind = checked.probed.failure().map_or("", FailureKind::name);
        match (&checked.probed.error, is_news) {
            (Some(error), true) => tracing::warn!(model, deployment, kind, "a probe failed: {error}"),
            (None, true) => tracing::info!(model, deployment, "a probe went well again"),
            (_, false) => {}
        }
    }

    /// Nobody panics while they hold the lock, so what is in it is whole.
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn probe(health: Arc<Health>, state: Arc<State>, target: Arc<Target>, what: What) -> Arc<Checked> {
    let pipeline = &state.pipeline;
    let checks = &pipeline.config.health;
    let share = u32::try_from(checks.concurrency).map_or(1, |concurrency| SHARES / concurrency.clamp(1, SHARES));
    // Nobody closes it.
    let _place = health.shares.acquire_many(share).await;
    let time = target.deployment.health.timeout.unwrap_or(checks.timeout);
    let probed = pipeline.probe(&target, what.probe, time).await;
    let checked = Arc::new(Checked { at: SystemTime::now(), since: Instant::now(), probed });
    health.note(&target, what, &checked);
    checked
}
