//! Whether a deployment is called at all.
//!
//! ```text
//! closed --failures--> cooling --its time is over--> half-open: one call probes it --an answer--> closed
//!                         ^------------------the probe fails: twice as long-----------|
//! ```
//!
//! A probe that is under way for as long as a cooldown says nothing yet, and another one may begin beside it: whichever
//! answers ends the cooldown, and whichever fails begins the next.

use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use tokio::time::Instant;

use super::{Consequence, State};
use crate::minute::LastMinute;
use crate::router::rules::{CooldownRules, Lately};
use crate::router::{Failure, FailureKind};

/// A cooldown doubles no more often than this: 8 times its time at most.
const MAX_DOUBLINGS: u32 = 3;
/// The longest `Retry-After` that is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Whether a deployment is called, and what of the last minute decides about it.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    gate: Gate,
    /// How often the deployment's key or address was changed.
    access: u64,
    /// Cooldowns so far, each failed probe's among them.
    cooldowns: u64,
    /// Probes that failed since the last success.
    failed_probes: u32,
    lately: LastMinute<Tally>,
}

/// Who may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Gate {
    /// Everybody.
    #[default]
    Closed,
    /// Nobody until then; the first one after that probes.
    Cooling { until: Instant, because: FailureKind },
    /// Nobody until then: a probe is under way, of which nobody knows when it ends. The first one after that probes, too.
    Probing { began: Instant, until: Instant, because: FailureKind },
}

/// What a probe holds: of which cooldown it is, and since when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Permit {
    cooldown: u64,
    began: Instant,
}

/// Calls that say something about the deployment.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    successes: u32,
    failures: [u32; FailureKind::ALL.len()],
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.successes = self.successes.saturating_add(other.successes);
        for (count, more) in self.failures.iter_mut().zip(other.failures) {
            *count = count.saturating_add(more);
        }
    }
}

impl SubAssign for Tally {
    fn sub_assign(&mut self, other: Self) {
        self.successes = self.successes.saturating_sub(other.successes);
        for (count, less) in self.failures.iter_mut().zip(other.failures) {
            *count = count.saturating_sub(less);
        }
    }
}

impl Tally {
    const SUCCESS: Self = Self { successes: 1, failures: [0; FailureKind::ALL.len()] };

    fn failure(kind: FailureKind) -> Self {
        Self { successes: 0, failures: FailureKind::ALL.map(|each| u32::from(each == kind)) }
    }

    fn seen_from(&self, kind: FailureKind) -> Lately {
        let failures: u32 = self.failures.iter().sum();
        let alike = FailureKind::ALL.iter().zip(self.failures).filter(|(each, _)| each.policy() == kind.policy());
        Lately { calls: self.successes + failures, failures, alike: alike.map(|(_, count)| count).sum() }
    }
}

impl Circuit {
    pub(super) fn is_closed(&self) -> bool {
        self.gate == Gate::Closed
    }

    pub(super) fn is_cooling(&self) -> bool {
        matches!(self.gate, Gate::Cooling { .. })
    }

    pub(super) fn gate(&self) -> Gate {
        self.gate
    }

    /// Begins anew, and tells how often that was. Permits from before are worth nothing.
    pub(super) fn change_access(&mut self) -> u64 {
        *self = Self { access: self.access + 1, cooldowns: self.cooldowns + 1, ..Self::default() };
        self.access
    }

    /// Whether what came of a call with this key and address says something about those that it has now.
    pub(super) fn concerns(&self, access: u64) -> bool {
        self.access == access
    }

    /// Takes a permit to probe, if there is one now. It is the only one for as long as a cooldown takes.
    pub(super) fn start_probe(&mut self, rules: &CooldownRules, now: Instant) -> Option<Permit> {
        match self.gate {
            Gate::Cooling { until, because } | Gate::Probing { until, because, .. } if until <= now => {
                let next = now + rules.time.unwrap_or_default();
                self.gate = Gate::Probing { began: now, until: next, because };
                Some(Permit { cooldown: self.cooldowns, began: now })
            }
            _ => None,
        }
    }

    /// Whether what becomes of a probe decides: the cooldown that it is of isn't over, and no other probe of it failed.
    fn decides(&self, permit: Permit) -> bool {
        !self.is_closed() && permit.cooldown == self.cooldowns
    }

    /// A probe brought the beginning of an answer.
    pub(super) fn answered(&mut self, permit: Permit) {
        if self.decides(permit) {
            self.gate = Gate::Closed;
            // What was before the cooldown says nothing about now.
            self.lately.clear();
        }
    }

    /// A call brought a whole answer. What began before a cooldown doesn't end it.
    pub(super) fn succeeded(&mut self, now: Instant) {
        if self.is_closed() {
            self.failed_probes = 0;
        }
        self.lately.add(Tally::SUCCESS, now);
    }

    /// A probe ended without saying anything: if none began after it the next call probes.
    pub(super) fn told_nothing(&mut self, permit: Permit) {
        if let Gate::Probing { began, because, .. } = self.gate
            && self.decides(permit)
            && permit.began == began
        {
            self.gate = Gate::Cooling { until: began, because };
        }
    }

    /// A call failed in a way that counts.
    pub(super) fn failed(
        &mut self,
        failure: Failure,
        permit: Option<Permit>,
        rules: &CooldownRules,
        now: Instant,
    ) -> Consequence {
        let Failure { kind, retry_after } = failure;
        let permit = permit.filter(|permit| self.decides(*permit));
        let probe = permit.is_some();
        self.lately.add(Tally::failure(kind), now);
        let time = rules.time.filter(|_| !(probe && rules.exempt(kind)));
        let Some(time) = time else {
            permit.into_iter().for_each(|permit| self.answered(permit));
            return Consequence::Counted;
        };
        if probe {
            self.failed_probes = (self.failed_probes + 1).min(MAX_DOUBLINGS);
        }
        let retry_after = retry_after.filter(|wait| !wait.is_zero()).map(|wait| wait.min(MAX_RETRY_AFTER));
        let until = now + retry_after.unwrap_or(time.saturating_mul(1 << self.failed_probes));
        let demanded = probe || rules.demand(kind, self.lately.total(now).seen_from(kind));
        let (until, because) = match self.gate {
            _ if probe => (until, kind),
            Gate::Closed if demanded => (until, kind),
            // The later deadline holds, with the reason for it.
            Gate::Cooling { until: before, because } if demanded && before >= until => (before, because),
            Gate::Cooling { .. } if demanded => (until, kind),
            // Who began before the cooldown knows nothing that the probe won't find out.
            Gate::Closed | Gate::Cooling { .. } | Gate::Probing { .. } => return Consequence::Counted,
        };
        // One that is made longer is still the same.
        self.cooldowns += u64::from(probe || self.is_closed());
        self.gate = Gate::Cooling { until, because };
        Consequence::CooledDown(until)
    }

    pub(super) fn state(&self, now: Instant) -> State {
        match self.gate {
            Gate::Closed => State::Closed,
            Gate::Cooling { until, because } if until > now => State::Cooling { remaining: until - now, because },
            Gate::Cooling { because, .. } | Gate::Probing { because, .. } => State::HalfOpen { because },
        }
    }
}
