//! Groups that are built by hand, and what is chosen of them.

mod choosing;
mod circuit;
mod cooldowns;
mod limits;
mod strategies;

use std::sync::LazyLock;

use tokio::time::Instant;

use super::*;
use crate::config::routing::DeploymentRouting;
use crate::config::{Environment, Origin, Routing, load};

/// What the benches are made from.
static BUILT_IN: LazyLock<Config> =
    LazyLock::new(|| load(Origin::BuiltIn, &Environment::default()).expect("what is built in is right").config);

/// Deployments of one name, `m`, with what each says of its routing.
struct Bench {
    config: Config,
    router: Router,
    start: Instant,
}

impl Bench {
    fn new(routing: Routing, deployments: impl IntoIterator<Item = DeploymentRouting>) -> Self {
        Self::with(routing, deployments, |_, _| ())
    }

    fn of(count: usize) -> Self {
        Self::new(Routing::default(), vec![DeploymentRouting::default(); count])
    }

    fn with(
        routing: Routing,
        deployments: impl IntoIterator<Item = DeploymentRouting>,
        change: impl Fn(usize, &mut Deployment),
    ) -> Self {
        let mut config = BUILT_IN.clone();
        let model = config.deployments.first().expect("a model is built in").clone();
        let deployment = |(index, routing): (usize, DeploymentRouting)| {
            let (id, model_name) = (format!("d{index}"), "m".to_owned());
            let mut deployment = Deployment { id, model_name, routing, ..model.clone() };
            change(index, &mut deployment);
            deployment
        };
        config.deployments = deployments.into_iter().enumerate().map(deployment).collect();
        config.routing = routing;
        Self::of_config(config)
    }

    fn of_config(config: Config) -> Self {
        let router = Router::with_dice(&config, None, Dice::seeded(1));
        Self { config, router, start: Instant::now() }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + std::time::Duration::from_secs_f64(seconds)
    }

    fn choose(&self, tried: &[usize], now: Instant) -> Result<Pick, NoDeployment> {
        self.ask(&Query { tried, ..ANY }, now)
    }

    fn ask(&self, query: &Query<'_>, now: Instant) -> Result<Pick, NoDeployment> {
        let resolved = self.router.resolve("m").expect("there is such a group");
        self.router.choose(&resolved, query, now)
    }

    /// One call that fails.
    fn fail(&self, tried: &[usize], kind: FailureKind, now: Instant) -> Consequence {
        self.choose(tried, now).expect("there is one to call").flight.fail(failure(kind), now)
    }

    /// One call that works.
    fn succeed(&self, tried: &[usize], now: Instant) -> usize {
        let pick = self.choose(tried, now).expect("there is one to call");
        pick.flight.succeed(None, now);
        pick.route.target.position
    }

    fn vitals(&self, position: usize) -> &Vitals {
        &self.router.targets()[position].vitals
    }

    fn state(&self, position: usize, now: Instant) -> State {
        self.vitals(position).snapshot(now).state
    }
}

/// A request that all deployments can serve.
const ANY: Query<'_> = Query { streaming: false, tried: &[], again: false, fits: &|_, _| Ok(()), tokens: 0 };

fn failure(kind: FailureKind) -> Failure {
    Failure { kind, retry_after: None }
}
