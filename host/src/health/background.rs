//! Probes by the clock: `background_health_checks`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Health;
use super::schedule::Schedule;
use crate::config::HealthChecks;
use crate::pipeline::Probed;
use crate::reload::{Live, State};
use crate::router::{FailureKind, Target};

/// How often the settings in use are looked at: a reload may have switched probes on, or off.
const LOOK: Duration = Duration::from_secs(1);

impl Health {
    /// Probes by the clock as long as the settings in use say so, until the gateway drains.
    pub async fn watch(self: Arc<Self>, live: Arc<Live>) {
        let mut draining = self.draining.subscribe();
        let mut schedule = Schedule::default();
        let work = async {
            loop {
                let state = live.state();
                let checks = state.pipeline.config.health;
                if schedule.is_due(&checks, Instant::now()) {
                    let targets = in_background(&state);
                    self.check(&state, &targets, checks.probe).await;
                    schedule.ran(Instant::now(), drawn());
                }
                self.tell_router(&checks, state.pipeline.router.targets());
                drop(state);
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = work => {}
            // The sender is ours, so it lives.
            _ = draining.wait_for(|draining| *draining) => {}
        }
    }

    /// What routing shall make of the last results: nothing, unless the operator wants that.
    fn tell_router(&self, checks: &HealthChecks, targets: &[Arc<Target>]) {
        for target in targets {
            let heeded = checks.background && checks.routes && !target.deployment.health.not_in_background;
            let found = if heeded { self.last(target) } else { None };
            target.vitals.set_probe_result(found.is_some_and(|checked| is_unwell(&checked.probed)));
        }
    }
}

/// Whether a deployment is left out: only for what counts against one. A rate limit passes, and cooldowns see to it.
fn is_unwell(probed: &Probed) -> bool {
    probed.failure().is_some_and(|kind| kind.counts() && kind != FailureKind::RateLimited)
}

/// The deployments that the background probes.
fn in_background(state: &State) -> Vec<Arc<Target>> {
    let targets = state.pipeline.router.targets().iter();
    targets.filter(|target| !target.deployment.health.not_in_background).cloned().collect()
}

/// From 0 to 1.
fn drawn() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::auth::Authenticator;
    use crate::canonical::ProviderError;
    use crate::config::{self, Environment, Origin};
    use crate::pipeline::{GatewayError, Pipeline};
    use crate::plugin::Registry;
    use crate::reload::ConfigStatus;
    use crate::upstream::{Upstream, UpstreamError};

    fn live() -> Arc<Live> {
        let loaded = config::load(Origin::BuiltIn, &Environment::default()).expect("it is built in");
        let upstream = Upstream::new(std::time::Duration::from_secs(10)).expect("a client needs nothing");
        let pipeline = Pipeline::new(loaded.config, Registry::default(), upstream);
        let config = ConfigStatus { loaded_at: SystemTime::UNIX_EPOCH, files: Vec::new(), error: None };
        let authenticator = Authenticator::new(&pipeline.config.general);
        Arc::new(Live::still(State {
            pipeline: Arc::new(pipeline),
            authenticator,
            plugins: Vec::new(),
            folder: None,
            config,
        }))
    }

    #[tokio::test]
    async fn the_background_ends_when_the_gateway_drains() {
        let health = Arc::new(Health::default());
        let watch = tokio::spawn(health.clone().watch(live()));
        tokio::task::yield_now().await;
        assert!(!watch.is_finished());
        health.drain();
        watch.await.expect("it ends");
    }

    #[test]
    fn what_counts_against_a_deployment_leaves_it_out_and_a_rate_limit_does_not() {
        let found = |error| {
            is_unwell(&Probed { probe: None, took: Duration::ZERO, listed: None, note: None, error: Some(error) })
        };
        let provider = "acme".to_owned();
        assert!(found(GatewayError::Upstream { provider, source: UpstreamError::Connect("refused".to_owned()) }));
        let unset = GatewayError::NoCredential { model: "m".to_owned(), variable: "KEY".to_owned() };
        assert!(!found(unset), "no call gets as far as the deployment");
        let limited = ProviderError::new("acme", 429, &http::HeaderMap::new(), b"{}");
        assert!(!found(GatewayError::Provider(Box::new(limited))));
    }
}
