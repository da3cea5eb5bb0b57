//! What the config says of one deployment's routing, ready to be used: its own word before everybody's.

use std::time::Duration;

use super::FailureKind;
use super::vitals::Limits;
use crate::config::routing::{ByKind, StrategyKind};
use crate::config::{Deployment, Routing};

/// A minute with so many calls of a group's deployment says something about it (LiteLLM's).
const ENOUGH_CALLS: u32 = 5;
/// And of a lone one, as leaving it alone is leaving everybody without an answer (LiteLLM's).
const ENOUGH_CALLS_ALONE: u32 = 1000;

/// What binds a deployment.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) cooldown: CooldownRules,
    /// `max_parallel_requests`.
    pub(super) slots: Option<u32>,
    /// `rpm` and `tpm`, if they bind.
    pub(super) limits: Limits,
    /// Requests are counted before they are made: they bind, or the strategy looks at them.
    pub(super) reserves: bool,
}

/// When a deployment is left alone, and for how long.
#[derive(Clone, Debug)]
pub(super) struct CooldownRules {
    /// For how long at first; `None`: never.
    pub(super) time: Option<Duration>,
    /// No other deployment of its group may be called.
    pub(super) alone: bool,
    /// Clients name the provider's model.
    any_model: bool,
    own_policy: ByKind,
    own_allowed: Option<u32>,
    policy: ByKind,
    allowed: Option<u32>,
}

/// Failures within a minute that are forgiven.
enum Allowance {
    /// Of this kind and those that share its key: somebody wrote a policy for it.
    OfKind(u32),
    /// Of all kinds: the deployment's own number.
    Own(u32),
    /// Of all kinds: everybody's number.
    Everybodys(u32),
}

/// A minute's calls that say something about their deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lately {
    pub(super) calls: u32,
    pub(super) failures: u32,
    /// Failures that one key of a policy speaks of.
    pub(super) alike: u32,
}

impl Rules {
    /// The rules of a deployment that shares its name with `others` more that may be called.
    pub(super) fn new(routing: &Routing, deployment: &Deployment, others: usize) -> Self {
        let own = &deployment.routing;
        let cooldowns = &routing.cooldowns;
        let time = own.cooldown_time.unwrap_or(cooldowns.time);
        let by_usage = routing.strategy == StrategyKind::Usage;
        let limits =
            if routing.limits_bind() { Limits { requests: own.rpm, tokens: own.tpm } } else { Limits::default() };
        Self {
            cooldown: CooldownRules {
                time: Some(time).filter(|time| cooldowns.enabled && !time.is_zero()),
                alone: others == 0,
                any_model: deployment.model.contains('*'),
                own_policy: own.allowed_fails_policy,
                own_allowed: own.allowed_fails,
                policy: cooldowns.policy,
                allowed: cooldowns.allowed_fails,
            },
            slots: own.max_parallel_requests,
            limits,
            reserves: limits.bind() || by_usage,
        }
    }
}

impl CooldownRules {
    /// Whether such a failure says something about the deployment. Where clients name the model, one that doesn't exist
    /// is theirs.
    pub(super) fn counts(&self, kind: FailureKind) -> bool {
        kind.counts() && !(self.any_model && kind == FailureKind::NotFound)
    }

    /// Whether a deployment that has failed in this way is to be left alone.
    pub(super) fn demand(&self, kind: FailureKind, lately: Lately) -> bool {
        match self.allowance(kind) {
            Some(Allowance::OfKind(allowed)) => lately.alike > allowed,
            Some(Allowance::Own(allowed)) => !self.exempt(kind) && lately.failures > allowed,
            Some(Allowance::Everybodys(allowed)) => !self.alone && lately.failures > allowed,
            None if says_no(kind) => !self.alone,
            None if self.alone => lately.calls >= ENOUGH_CALLS_ALONE && lately.failures == lately.calls,
            None => lately.calls >= ENOUGH_CALLS && u64::from(lately.failures) * 2 > u64::from(lately.calls),
        }
    }

    /// A lone deployment that says no: its reason is told as it is, call by call.
    pub(super) fn exempt(&self, kind: FailureKind) -> bool {
        self.alone && says_no(kind)
    }

    /// The deployment's own policy, its own number for all kinds, the router's policy, the router's number: in this
    /// order, for each kind. So the router's policy says nothing to a deployment that has a number of its own.
    fn allowance(&self, kind: FailureKind) -> Option<Allowance> {
        let own = || kind.of(&self.own_policy).map(Allowance::OfKind).or(self.own_allowed.map(Allowance::Own));
        let everybodys = || kind.of(&self.policy).map(Allowance::OfKind).or(self.allowed.map(Allowance::Everybodys));
        own().or_else(everybodys)
    }
}

/// One such answer is enough: the next call would get the same.
fn says_no(kind: FailureKind) -> bool {
    use FailureKind::{Authentication, NotFound, Permission, Quota, RateLimited};
    matches!(kind, Authentication | Permission | Quota | NotFound | RateLimited)
}
