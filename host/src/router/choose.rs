//! Which of a group's deployments serves an attempt, and why.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::vitals::Flight;
use super::{Resolved, Route, Router, Target};

/// What an attempt wants.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The client wants a stream.
    pub streaming: bool,
    /// Positions of the deployments that have failed this call, in order.
    pub tried: &'a [usize],
    /// Whether one that has failed may be called again.
    pub again: bool,
    /// Whether a deployment can serve the request at all; the text is the provider's own name of the model.
    pub fits: &'a (dyn Fn(&Target, &str) -> Result<(), Misfit> + Sync),
    /// Tokens that the request is thought to take.
    pub tokens: u64,
}

/// Why a deployment can't serve a request, whatever its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The prompt doesn't fit the model's context window.
    ContextWindow {
        /// The prompt's length, at least or about.
        tokens: u64,
        /// What the model takes.
        limit: u64,
    },
    /// The model can't do something: "take pictures", "call tools".
    Lacks(&'static str),
    /// Its tags are others than the request's.
    Tags,
    /// It can't be asked at all: no plugin, no key, another endpoint.
    Unusable,
}

/// A deployment for one attempt.
#[derive(Debug)]
pub struct Pick {
    /// Which.
    pub route: Route,
    /// Why this one.
    pub reason: Reason,
    /// The attempt, as the deployment counts it.
    pub flight: Flight,
}

/// Why a deployment was chosen; its text is for logs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// There is no other.
    Only,
    /// Its turn, by the weights.
    Turn,
    /// A second one beside an attempt that is slow.
    Hedge,
}

/// Why there is no deployment for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDeployment {
    /// All that could serve have failed this call.
    Exhausted,
    /// None can serve such a request; why the best of them can't.
    NoneFits(Misfit),
    /// All are left alone for a while.
    Cooling {
        /// Until the first comes back.
        back_in: Duration,
        /// All of them because of a rate limit.
        rate_limited: bool,
    },
    /// All have as many calls under way as they may.
    Full,
    /// All have had their calls or tokens of this minute.
    RateLimited {
        /// Until the first has some again.
        back_in: Duration,
    },
    /// The operator has blocked all.
    Blocked,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("the only deployment"),
            Self::Turn => f.write_str("its turn"),
            Self::Hedge => f.write_str("beside a slow attempt"),
        }
    }
}

impl Router {
    /// The deployment for an attempt, its slot taken.
    ///
    /// # Errors
    /// There is none now.
    pub fn choose(&self, resolved: &Resolved, query: &Query<'_>, now: Instant) -> Result<Pick, NoDeployment> {
        let targets = &resolved.group.targets;
        let untried = targets.iter().find(|target| !query.tried.contains(&target.position));
        let target = untried.or_else(|| targets.first().filter(|_| query.again)).ok_or(NoDeployment::Exhausted)?;
        let model = resolved.model(target);
        (query.fits)(target, &model).map_err(NoDeployment::NoneFits)?;
        let flight = target.vitals.begin(now);
        Ok(Pick { route: Route { target: target.clone(), model }, reason: Reason::Only, flight })
    }
}
