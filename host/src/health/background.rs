//! Probes by the clock: `background_health_checks`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, MissedTickBehavior};

use super::schedule::Schedule;
use super::{Checked, Health, Phase, What};
use crate::pipeline::{Pipeline, Probed, Revision};
use crate::reload::{Live, State};
use crate::router::{FailureKind, Target};

/// How often the settings in use are looked at: a reload may have switched probes on, or off, or repaired a deployment.
const LOOK: Duration = Duration::from_secs(1);

/// The probes by the clock.
#[derive(Default)]
pub(super) struct Background {
    schedule: Schedule,
    /// Never awaited by a look: a deployment that keeps a probe waiting keeps nothing else waiting.
    under_way: FuturesUnordered<BoxFuture<'static, (Revision, Arc<Checked>)>>,
    /// Whose probes those are.
    asked: HashSet<Revision>,
}

impl Health {
    /// Probes by the clock as long as the settings in use say so, until the gateway drains.
    pub async fn watch(self: Arc<Self>, live: Arc<Live>) {
        let mut phase = self.phase.subscribe();
        let work = async {
            let mut background = Background::default();
            let mut looks = tokio::time::interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = looks.tick() => background.look(&self, &live.state()),
                    Some((revision, checked)) = background.under_way.next() => {
                        background.note(&self, revision, checked);
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            // The sender is ours, so it lives.
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => {}
        }
    }

    /// What routing shall make of what the background found: nothing, unless the operator wants that.
    fn tell_router(&self, pipeline: &Pipeline) {
        let found = self.found();
        for target in pipeline.router.targets() {
            let found = found.in_background(pipeline.revision(target));
            let heeded = found.filter(|_| pipeline.config.health.routes && !target.deployment.health.not_in_background);
            target.vitals.set_probe_result(heeded.is_some_and(|checked| is_unwell(&checked.probed)));
        }
    }
}

impl Background {
    /// Begins the probes that are due: of all deployments by the clock, and at once of those that are new, or that a
    /// reload made others of.
    pub(super) fn look(&mut self, health: &Arc<Health>, state: &Arc<State>) {
        let pipeline = &state.pipeline;
        let checks = &pipeline.config.health;
        health.found().retain(pipeline);
        let now = Instant::now();
        // A round ends before the next one begins.
        let all = self.schedule.is_due(checks, now) && self.under_way.is_empty();
        if all {
            self.schedule.ran(now, drawn());
        }
        if checks.background {
            for target in in_background(state) {
                let revision = pipeline.revision(target);
                let is_due = all || health.found().in_background(revision).is_none();
                if is_due && self.asked.insert(revision) {
                    let run = health.probe(state, target, What { revision, probe: checks.probe });
                    self.under_way.push(run.map(move |checked| (revision, checked)).boxed());
                }
            }
        } else {
            self.under_way.clear();
            self.asked.clear();
            health.found().forget_background();
        }
        health.tell_router(pipeline);
    }

    fn note(&mut self, health: &Health, revision: Revision, checked: Arc<Checked>) {
        self.asked.remove(&revision);
        health.found().note_in_background(revision, checked);
    }

    /// Waits for all probes under way.
    #[cfg(test)]
    pub(super) async fn settle(&mut self, health: &Health) {
        while let Some((revision, checked)) = self.under_way.next().await {
            self.note(health, revision, checked);
        }
    }
}

/// Whether a deployment is left out: only for what counts against one. A rate limit passes, and cooldowns see to it.
pub(super) fn is_unwell(probed: &Probed) -> bool {
    probed.failure().is_some_and(|kind| kind.counts() && kind != FailureKind::RateLimited)
}

/// The deployments that the background probes.
fn in_background(state: &State) -> impl Iterator<Item = &Arc<Target>> {
    let targets = state.pipeline.router.targets().iter();
    targets.filter(|target| !target.deployment.health.not_in_background)
}

/// From 0 to 1.
fn drawn() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}
