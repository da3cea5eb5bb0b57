//! What is counted of a plugin's calls.
//!
//! Counts belong to the plugin's name and go on when a new version of it is loaded; quarantine belongs to a version. All
//! are relaxed atomics: a call costs a handful of additions, and a reader sees each number right, if not all of them of
//! the same instant.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::CallError;

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The plugin said so: its provider's fault, or the client's.
    Failed,
    /// It trapped.
    Trapped,
    /// It ran for too long.
    OutOfTime,
    /// It wanted too much memory.
    OutOfMemory,
    /// It did what no plugin may do.
    Refused,
    /// There was no room for another call.
    Busy,
    /// It is in quarantine, so that it wasn't asked.
    Quarantined,
}

/// Counts of one plugin, by its name.
#[derive(Debug, Default)]
pub(super) struct Stats {
    begun: AtomicU64,
    finished: AtomicU64,
    faults: [AtomicU64; Fault::ALL.len()],
    cpu_nanos: AtomicU64,
    peak_memory_bytes: AtomicU64,
    /// What its instances have grown by, all together.
    pub(super) grown_bytes: AtomicUsize,
    instances: AtomicU32,
    instances_made: AtomicU64,
    pub(super) running: AtomicU32,
    log_lines_dropped: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// Calls that the plugin was asked to serve, those that were turned away included.
    pub begun: u64,
    /// Calls that came to an end, whichever.
    pub finished: u64,
    /// Failures, in the order of [`Fault::ALL`].
    pub faults: [u64; Fault::ALL.len()],
    /// Processor time inside the guest; waiting for a thread doesn't count.
    pub cpu: Duration,
    /// The most linear memory that one instance has had.
    pub peak_memory_bytes: u64,
    /// Instances that exist now, those that wait for their next call included.
    pub instances: u32,
    /// Instances made so far.
    pub instances_made: u64,
    /// Calls under way.
    pub running: u32,
    /// Log lines beyond the limits, which nobody has seen.
    pub log_lines_dropped: u64,
}

// === impl Fault ===

impl Fault {
    /// Every kind, in the order of [`StatsSnapshot::faults`].
    pub const ALL: [Self; 7] =
        [Self::Failed, Self::Trapped, Self::OutOfTime, Self::OutOfMemory, Self::Refused, Self::Busy, Self::Quarantined];

    /// A word for a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Trapped => "trapped",
            Self::OutOfTime => "out_of_time",
            Self::OutOfMemory => "out_of_memory",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether it is the plugin's own doing, not its provider's, its client's or the host's.
    pub fn is_own(self) -> bool {
        match self {
            Self::Trapped | Self::OutOfTime | Self::OutOfMemory | Self::Refused => true,
            Self::Failed | Self::Busy | Self::Quarantined => false,
        }
    }
}

impl From<&CallError> for Fault {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::Failed(_) => Self::Failed,
            CallError::Trapped(_) => Self::Trapped,
            CallError::OutOfTime(_) => Self::OutOfTime,
            CallError::OutOfMemory(_) => Self::OutOfMemory,
            CallError::Refused(_) => Self::Refused,
            CallError::Busy(_) => Self::Busy,
            CallError::Quarantined { .. } => Self::Quarantined,
        }
    }
}

// === impl Stats ===

impl Stats {
    /// The counts now.
    pub(super) fn snapshot(&self) -> StatsSnapshot {
        let finished = self.finished.load(Relaxed);
        StatsSnapshot {
            begun: self.begun.load(Relaxed).max(finished),
            finished,
            faults: self.faults.each_ref().map(|count| count.load(Relaxed)),
            cpu: Duration::from_nanos(self.cpu_nanos.load(Relaxed)),
            peak_memory_bytes: self.peak_memory_bytes.load(Relaxed),
            instances: self.instances.load(Relaxed),
            instances_made: self.instances_made.load(Relaxed),
            running: self.running.load(Relaxed),
            log_lines_dropped: self.log_lines_dropped.load(Relaxed),
        }
    }

    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    pub(super) fn finish(&self, fault: Option<Fault>) {
        self.finished.fetch_add(1, Relaxed);
        if let Some(count) = fault.and_then(|fault| self.faults.get(fault as usize)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn ran(&self, cpu: Duration) {
        self.cpu_nanos.fetch_add(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn instance_made(&self) {
        self.instances_made.fetch_add(1, Relaxed);
        self.instances.fetch_add(1, Relaxed);
    }

    pub(super) fn instance_gone(&self) {
        self.instances.fetch_sub(1, Relaxed);
    }

    pub(super) fn had_memory(&self, bytes: usize) {
        let bytes = bytes as u64;
        // Nearly always it is no more than before, and reading is cheaper than writing.
        if self.peak_memory_bytes.load(Relaxed) < bytes {
            self.peak_memory_bytes.fetch_max(bytes, Relaxed);
        }
    }

    pub(super) fn dropped_log_line(&self) {
        self.log_lines_dropped.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_place_and_a_name_of_its_own() {
        let stats = Stats::default();
        for (index, fault) in Fault::ALL.into_iter().enumerate() {
            stats.begin();
            stats.finish(Some(fault));
            let snapshot = stats.snapshot();
            assert_eq!((snapshot.faults[index], snapshot.finished), (1, index as u64 + 1), "{fault:?}");
        }
        let mut names = Fault::ALL.map(Fault::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }

    #[test]
    fn the_peak_is_the_most() {
        let stats = Stats::default();
        for bytes in [3, 9, 5] {
            stats.had_memory(bytes);
        }
        assert_eq!(stats.snapshot().peak_memory_bytes, 9);
    }
}
