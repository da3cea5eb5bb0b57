//! Requests and tokens of the last minute, and the limits on them.

use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use tokio::time::Instant;

use crate::minute::LastMinute;

/// `rpm` and `tpm`, where they bind.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::router) struct Limits {
    pub(in crate::router) requests: Option<u64>,
    pub(in crate::router) tokens: Option<u64>,
}

/// Requests and tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::router) struct Used {
    pub(in crate::router) requests: u64,
    pub(in crate::router) tokens: u64,
}

/// What a call was thought to take when it was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    tokens: u64,
    second: u64,
}

/// What a deployment has used within the last minute.
#[derive(Debug, Default)]
pub(super) struct Rate(LastMinute<Used>);

impl AddAssign for Used {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

impl SubAssign for Used {
    fn sub_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_sub(other.requests);
        self.tokens = self.tokens.saturating_sub(other.tokens);
    }
}

impl Limits {
    pub(in crate::router) fn bind(&self) -> bool {
        self.requests.is_some() || self.tokens.is_some()
    }

    /// Whether one more request fits. One that is larger than a whole minute's tokens is let in when nothing else is
    /// there: the provider may see it differently.
    fn allow(&self, used: &Used, tokens: u64) -> bool {
        self.requests.is_none_or(|limit| used.requests < limit)
            && self.tokens.is_none_or(|limit| used.tokens == 0 || used.tokens.saturating_add(tokens) <= limit)
    }
}

impl Rate {
    /// How long until a request of so many tokens fits; `None` when it does.
    pub(super) fn wait(&mut self, limits: &Limits, tokens: u64, now: Instant) -> Option<Duration> {
        if limits.allow(&self.0.total(now), tokens) {
            return None;
        }
        Some(self.0.time_until(|used| limits.allow(used, tokens), now))
    }

    /// Counts a request before it is made.
    pub(super) fn reserve(&mut self, tokens: u64, now: Instant) -> Reservation {
        let second = self.0.add(Used { requests: 1, tokens }, now);
        Reservation { tokens, second }
    }

    /// Counts the tokens that a request took, instead of those that it was thought to take.
    pub(super) fn settle(&mut self, reserved: Option<Reservation>, tokens: Option<u64>, now: Instant) {
        let Some(reserved) = reserved else {
            self.0.add(Used { requests: 1, tokens: tokens.unwrap_or(0) }, now);
            return;
        };
        if let Some(tokens) = tokens {
            self.0.take_back(Used { requests: 0, tokens: reserved.tokens }, reserved.second, now);
            self.0.add(Used { requests: 0, tokens }, now);
        }
    }

    /// The request isn't made after all.
    pub(super) fn forget(&mut self, reserved: Reservation, now: Instant) {
        self.0.take_back(Used { requests: 1, tokens: reserved.tokens }, reserved.second, now);
    }

    pub(super) fn used(&mut self, now: Instant) -> Used {
        self.0.total(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_thought_to_be_taken_until_it_is_known_how_many_were() {
        let now = Instant::now();
        let limits = Limits { requests: None, tokens: Some(1000) };
        let mut rate = Rate::default();
        let reserved = rate.reserve(900, now);
        assert_eq!(rate.wait(&limits, 200, now), Some(Duration::from_secs(61)));
        rate.settle(Some(reserved), Some(100), now);
        assert_eq!(rate.wait(&limits, 200, now), None);
        assert_eq!(rate.used(now), Used { requests: 1, tokens: 100 });
    }

    #[test]
    fn a_request_beyond_a_minutes_tokens_is_let_in_alone() {
        let now = Instant::now();
        let limits = Limits { requests: None, tokens: Some(1000) };
        let mut rate = Rate::default();
        assert_eq!(rate.wait(&limits, 5000, now), None);
        rate.reserve(1, now);
        assert!(rate.wait(&limits, 5000, now).is_some());
    }
}
