//! How the gateway does, and how its deployments do when they are asked without a call.
//!
//! ```text
//! GET /health ──────────┐
//! background, by clock ─┴─► check (one run for all who ask for the same) ─► Pipeline::probe ─► last results
//! ```
//!
//! What routes calls by default is what live traffic shows (`router::Vitals`), and not this: a probe that a provider
//! answers says little of the next call. Only with `enable_health_check_routing` a deployment is left out for what the
//! background found.
//!
//! It outlives reloads: deployments are known by their ids.

mod background;
mod runs;
mod schedule;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::FutureExt;
use futures_util::stream::{self, StreamExt};
use tokio::sync::watch;

use crate::config::Probe;
use crate::pipeline::Probed;
use crate::reload::State;
use crate::router::{FailureKind, Target};
use runs::Runs;

/// How the gateway does.
#[derive(Debug)]
pub struct Health {
    /// No new traffic, please: the process is about to end.
    draining: watch::Sender<bool>,
    /// What each deployment's last probe found, by its id. Never locked while something is awaited.
    last: Mutex<HashMap<String, Arc<Checked>>>,
    /// Probes under way, for others who ask for the same.
    runs: Runs<What, Results>,
}

/// What a probe found, and when.
#[derive(Debug)]
pub struct Checked {
    /// When it was found.
    pub at: SystemTime,
    /// What.
    pub probed: Probed,
}

/// Deployments, and what their probes found.
pub type Results = Arc<[(Arc<Target>, Arc<Checked>)]>;

/// What is asked for: of which deployments, by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct What {
    probe: Probe,
    ids: Vec<String>,
}

// === impl Health ===

impl Default for Health {
    fn default() -> Self {
        Self { draining: watch::Sender::new(false), last: Mutex::default(), runs: Runs::default() }
    }
}

impl Health {
    /// Lets readiness fail from now on, while calls are still served; and ends what goes on in the background.
    pub fn drain(&self) {
        if !self.draining.send_replace(true) {
            tracing::info!("draining: not ready for new traffic any more");
        }
    }

    /// Whether the process is about to end.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Probes these deployments. Who asks for the same while it goes on gets the same results.
    pub async fn check(self: &Arc<Self>, state: &Arc<State>, targets: &[Arc<Target>], probe: Probe) -> Results {
        let what = What { probe, ids: targets.iter().map(|target| target.deployment.id.clone()).collect() };
        let start = || probe_all(self.clone(), state.clone(), targets.to_vec(), probe).boxed();
        self.runs.join(what, start).await
    }

    /// What the deployment's last probe found.
    pub fn last(&self, target: &Target) -> Option<Arc<Checked>> {
        locked(&self.last).get(&target.deployment.id).cloned()
    }

    /// Keeps what a probe found, and tells the log where it is news.
    fn note(&self, target: &Target, checked: &Arc<Checked>) {
        let before = locked(&self.last).insert(target.deployment.id.clone(), checked.clone());
        let was_well = before.is_none_or(|before| before.probed.error.is_none());
        let (model, deployment) = (&target.deployment.model_name, &target.deployment.id);
        let kind = checked.probed.failure().map_or("", FailureKind::name);
        match (&checked.probed.error, was_well) {
            (Some(error), true) => tracing::warn!(model, deployment, kind, "a probe failed: {error}"),
            (None, false) => tracing::info!(model, deployment, "a probe went well again"),
            _ => {}
        }
    }

    /// Forgets deployments that are gone.
    fn retain(&self, targets: &[Arc<Target>]) {
        let known: std::collections::HashSet<&str> =
            targets.iter().map(|target| target.deployment.id.as_str()).collect();
        locked(&self.last).retain(|id, _| known.contains(id.as_str()));
    }
}

async fn probe_all(health: Arc<Health>, state: Arc<State>, targets: Vec<Arc<Target>>, probe: Probe) -> Results {
    let pipeline = &state.pipeline;
    let checks = &pipeline.config.health;
    let probes = targets.into_iter().map(|target| {
        let health = &health;
        async move {
            let time = target.deployment.health.timeout.unwrap_or(checks.timeout);
            let probed = pipeline.probe(&target, probe, time).await;
            let checked = Arc::new(Checked { at: SystemTime::now(), probed });
            health.note(&target, &checked);
            (target, checked)
        }
    });
    let results = stream::iter(probes).buffered(checks.concurrency).collect::<Vec<_>>().await;
    health.retain(pipeline.router.targets());
    results.into()
}

/// Nobody panics while they hold one of these locks, so what is in it is whole.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
