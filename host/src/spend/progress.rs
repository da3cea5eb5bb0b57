//! How far the writer is: for metrics, for `/health`, and for one line a minute while something is wrong.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How often trouble is told again.
const REPEAT: Duration = Duration::from_secs(60);

/// Counts, kept by the writer.
#[derive(Debug, Default)]
pub struct Progress {
    queued: AtomicUsize,
    queued_bytes: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
}

/// The counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Calls that wait to be written.
    pub queued: usize,
    /// Calls that were written.
    pub written: u64,
    /// Calls whose rows had no place in the queue; what they cost is counted all the same.
    pub dropped: u64,
    /// Calls that are in no sum of the database either.
    pub lost: u64,
    /// What the database said the last time, if it failed.
    pub last_error: Option<String>,
    /// Since when it fails.
    pub failing_since: Option<SystemTime>,
}

#[derive(Debug)]
struct Trouble {
    since: SystemTime,
    error: String,
    told: Instant,
}

// === impl Progress ===

impl Progress {
    /// How things are.
    pub fn status(&self) -> Status {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        Status {
            queued: self.queued.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            last_error: trouble.as_ref().map(|trouble| trouble.error.clone()),
            failing_since: trouble.as_ref().map(|trouble| trouble.since),
        }
    }

    /// Makes room for a call of so many bytes; `false`: there is none.
    pub(super) fn enqueue(&self, bytes: usize, most: usize) -> bool {
        if self.queued_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > most {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.queued.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The room that it had is free again.
    pub(super) fn dequeue(&self, calls: usize, bytes: usize) {
        self.queued.fetch_sub(calls, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, calls: u64) {
        self.dropped.fetch_add(calls, Ordering::Relaxed);
    }

    pub(super) fn lost(&self, calls: u64) {
        self.lost.fetch_add(calls, Ordering::Relaxed);
    }

    /// A batch was written.
    pub(super) fn wrote(&self, calls: u64) {
        self.written.fetch_add(calls, Ordering::Relaxed);
        let over = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(trouble) = over {
            let lasted = trouble.since.elapsed().unwrap_or_default().as_secs();
            tracing::info!(
                seconds = lasted,
                dropped = self.dropped.load(Ordering::Relaxed),
                "the database takes what calls have cost again"
            );
        }
    }

    /// A batch was not written. Told at once, and then once a minute.
    pub(super) fn failed(&self, error: String) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = trouble.as_ref().is_none_or(|trouble| now.duration_since(trouble.told) >= REPEAT);
        let since = trouble.as_ref().map_or_else(SystemTime::now, |trouble| trouble.since);
        let told = if due { now } else { trouble.as_ref().map_or(now, |trouble| trouble.told) };
        *trouble = Some(Trouble { since, error: error.clone(), told });
        drop(trouble);
        if due {
            tracing::warn!(
                error,
                waiting = self.queued.load(Ordering::Relaxed),
                dropped = self.dropped.load(Ordering::Relaxed),
                lost = self.lost.load(Ordering::Relaxed),
                "what calls have cost can't be written to the database; calls go on, and it is tried again"
            );
        }
    }
}
