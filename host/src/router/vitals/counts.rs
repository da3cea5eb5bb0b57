//! What became of a deployment's calls, and how all that is known of it is shown.

use std::time::Duration;

use tokio::time::Instant;

use crate::router::FailureKind;

/// What became of a deployment's attempts since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whole answers.
    pub successes: u64,
    /// Failures, by the number of their kind: the order of [`FailureKind::ALL`].
    pub failures: [u64; FailureKind::ALL.len()],
    /// Attempts that nobody waited for any longer.
    pub cancelled: u64,
    /// How often it was left alone.
    pub cooldowns: u64,
    /// First pieces of answers that came.
    pub first_bytes: u64,
    /// The time to them, added up.
    pub first_byte_time: Duration,
    /// The time of whole answers, added up.
    pub success_time: Duration,
}

impl Counts {
    /// Failures of a kind.
    pub fn failures_of(&self, kind: FailureKind) -> u64 {
        self.failures.get(kind as usize).copied().unwrap_or_default()
    }

    /// Failures of all kinds.
    pub fn all_failures(&self) -> u64 {
        self.failures.iter().sum()
    }

    pub(super) fn failed(&mut self, kind: FailureKind) {
        if let Some(count) = self.failures.get_mut(kind as usize) {
            *count += 1;
        }
    }
}

/// Whether a deployment is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Closed,
    /// It is left alone.
    Cooling {
        /// For so long.
        remaining: Duration,
        /// The failure that began it.
        because: FailureKind,
    },
    /// One call is to find out whether it is well again.
    HalfOpen {
        /// The failure that began it.
        because: FailureKind,
    },
}

/// How a deployment does at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// Whether it is called.
    pub state: State,
    /// Attempts under way.
    pub in_flight: u32,
    /// Attempts so far, those under way among them.
    pub attempts: u64,
    /// What became of the others.
    pub counts: Counts,
    /// The last failure that counted against it or not: its kind, and how long ago.
    pub last_failure: Option<(FailureKind, Duration)>,
    /// Requests of the last minute: those that ended in it; where `rpm` or `tpm` bind, those that began in it.
    pub requests_per_minute: u64,
    /// Their tokens.
    pub tokens_per_minute: u64,
    /// Seconds for an output token of answers that are no streams: a moving average that fades with a time constant of 30 s.
    pub seconds_per_token: Option<f64>,
    /// Seconds to the first piece of a stream, likewise.
    pub seconds_to_first_piece: Option<f64>,
}

/// The last failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastFailure {
    pub(super) kind: FailureKind,
    pub(super) at: Instant,
}
