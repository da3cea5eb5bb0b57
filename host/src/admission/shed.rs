//! Why the gateway doesn't take on more, and how often it didn't.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a call, or a connection, was not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shed {
    /// All places are taken, and as many calls wait as may.
    #[error("too many calls are under way, and too many wait")]
    QueueFull,
    /// It waited as long as one may, and no place became free.
    #[error("too many calls are under way, and none ended in time")]
    QueueTimeout,
    /// It waited, and had to make room for a caller that had fewer calls waiting.
    #[error("too many calls are under way, and this caller has more than its share of those that wait")]
    Displaced,
    /// The caller has as many calls under way as one caller may.
    #[error("the caller has {limit} calls under way, which is its limit")]
    CallerLimit {
        /// `max_parallel_requests`.
        limit: usize,
    },
    /// As many connections are open as may be.
    #[error("too many connections are open")]
    Connections,
}

/// How often, for each reason.
#[derive(Debug, Default)]
pub(super) struct ShedCounts([AtomicU64; 5]);

// === impl Shed ===

impl Shed {
    /// The label of each reason, in the order of [`Self::index`].
    const NAMES: [&'static str; 5] = ["queue_full", "queue_timeout", "displaced", "caller_limit", "connections"];

    fn index(self) -> usize {
        match self {
            Self::QueueFull => 0,
            Self::QueueTimeout => 1,
            Self::Displaced => 2,
            Self::CallerLimit { .. } => 3,
            Self::Connections => 4,
        }
    }
}

// === impl ShedCounts ===

impl ShedCounts {
    pub(super) fn count(&self, shed: Shed) {
        if let Some(count) = self.0.get(shed.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Shed::NAMES.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}
