//! Probes by the clock: `background_health_checks`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Health;
use super::schedule::Schedule;
use crate::reload::{Live, State};
use crate::router::Target;

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
    use crate::config::{self, Environment, Origin};
    use crate::pipeline::Pipeline;
    use crate::plugin::Registry;
    use crate::reload::ConfigStatus;
    use crate::upstream::Upstream;

    fn live() -> Arc<Live> {
        let loaded = config::load(Origin::BuiltIn, &Environment::default()).expect("it is built in");
        let upstream = Upstream::new().expect("a client needs nothing");
        let pipeline = Pipeline::new(loaded.config, Registry::default(), upstream);
        let config = ConfigStatus { loaded_at: SystemTime::UNIX_EPOCH, files: Vec::new(), error: None };
        let authenticator = Authenticator::new(&pipeline.config.general);
        Arc::new(Live::still(State { pipeline, authenticator, plugins: Vec::new(), folder: None, config }))
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
}
