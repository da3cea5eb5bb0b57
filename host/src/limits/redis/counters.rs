//! What there is to say about the counting in Redis: for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counted since the process began.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Whether claims are taken in Redis at the moment.
    connected: AtomicBool,
    taken: AtomicU64,
    refused: AtomicU64,
    alone: AtomicU64,
    unanswered: AtomicU64,
    slow: AtomicU64,
    lost: AtomicU64,
    batches: AtomicU64,
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether calls are counted in Redis at the moment.
    pub connected: bool,
    /// Calls that were counted in Redis.
    pub taken: u64,
    /// Calls that Redis said no to.
    pub refused: u64,
    /// Calls that were let in by what this gateway counts for itself, as Redis couldn't be asked.
    pub alone: u64,
    /// Calls that Redis could have counted and was not there to, those that were refused for it (`fail_closed_…`) too.
    pub unanswered: u64,
    /// Questions that Redis didn't answer in time.
    pub slow: u64,
    /// How often Redis was given up, to be looked for again.
    pub lost: u64,
    /// Batches of settled calls that Redis was told.
    pub batches: u64,
    /// Sums that Redis is never told for want of room; the database has them.
    pub forgotten: u64,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Taken,
    Refused,
    Alone,
    Unanswered,
    Slow,
    Lost,
    Batch,
}

// === impl Counters ===

impl Counters {
    pub(super) fn add(&self, what: Count) {
        let counter = match what {
            Count::Taken => &self.taken,
            Count::Refused => &self.refused,
            Count::Alone => &self.alone,
            Count::Unanswered => &self.unanswered,
            Count::Slow => &self.slow,
            Count::Lost => &self.lost,
            Count::Batch => &self.batches,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    pub(super) fn figures(&self, forgotten: u64) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            connected: self.connected.load(Ordering::Relaxed),
            taken: read(&self.taken),
            refused: read(&self.refused),
            alone: read(&self.alone),
            unanswered: read(&self.unanswered),
            slow: read(&self.slow),
            lost: read(&self.lost),
            batches: read(&self.batches),
            forgotten,
        }
    }
}
