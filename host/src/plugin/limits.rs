//! Keeps one instance inside its limits.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::stats::Stats;
use crate::config::PluginLimits;

/// How often the epoch advances: a guest that computes for longer yields its thread this often.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Bytes of one log line.
pub(super) const LOG_LINE_BYTES: usize = 1024;

/// Keeps one store inside its limits, and remembers when it wasn't.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_bytes: usize,
    table_elements: usize,
    counts: Counts,
    /// All linear memories together.
    memory: usize,
    /// What it grew beyond what it began with, which is counted among all instances of the plugin.
    grown: usize,
    total_memory_bytes: usize,
    stats: Arc<Stats>,
    /// Whether growth was refused: the trap that follows is then one of memory.
    pub refused: bool,
    /// Whether growth was refused because all instances together have too much.
    pub crowded: bool,
}

#[derive(Debug)]
struct Counts {
    instances: usize,
    memories: usize,
    tables: usize,
}

impl Limiter {
    /// A limiter for one store.
    pub(super) fn new(limits: &PluginLimits, stats: Arc<Stats>) -> Self {
        let PluginLimits { memory_bytes, total_memory_bytes, table_elements, .. } = *limits;
        let PluginLimits { instances, memories, tables, .. } = *limits;
        let counts = Counts { instances, memories, tables };
        let (refused, crowded) = (false, false);
        Self { memory_bytes, table_elements, counts, memory: 0, grown: 0, total_memory_bytes, stats, refused, crowded }
    }

    /// Counts growth among all instances of the plugin, unless that would be too much.
    fn grow(&mut self, bytes: usize) -> bool {
        let before = self.stats.grown_bytes.fetch_add(bytes, Relaxed);
        let allowed = before.saturating_add(bytes) <= self.total_memory_bytes;
        if allowed {
            self.grown += bytes;
        } else {
            self.stats.grown_bytes.fetch_sub(bytes, Relaxed);
        }
        allowed
    }

    /// The linear memory that the store has.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.stats.grown_bytes.fetch_sub(self.grown, Relaxed);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Growth that the machine then fails to give stays counted: a guest can't make it count less than it has.
        let more = desired.saturating_sub(current);
        let total = self.memory.saturating_add(more);
        if total > self.memory_bytes {
            self.refused = true;
            return Ok(false);
        }
        // What an instance begins with is an image that all of them share until they write to it.
        if current > 0 && !self.grow(more) {
            self.crowded = true;
            return Ok(false);
        }
        self.memory = total;
        self.stats.had_memory(total);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_elements)
    }

    fn instances(&self) -> usize {
        self.counts.instances
    }

    fn tables(&self) -> usize {
        self.counts.tables
    }

    fn memories(&self) -> usize {
        self.counts.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_together_stay_inside_the_limit() {
        let stats = Arc::<Stats>::default();
        let limits = PluginLimits { memory_bytes: 100, ..PluginLimits::default() };
        let mut limiter = Limiter::new(&limits, Arc::clone(&stats));
        let mut grow = |current, desired| limiter.memory_growing(current, desired, None).expect("no error");
        assert_eq!([grow(0, 40), grow(0, 60), grow(40, 41), grow(60, 60)], [true, true, false, true]);
        assert_eq!((stats.snapshot().peak_memory_bytes, limiter.refused), (100, true));
    }

    #[test]
    fn what_all_instances_grow_by_stays_inside_the_limit_and_is_given_back() {
        let stats = Arc::<Stats>::default();
        let limits = PluginLimits { total_memory_bytes: 100, ..PluginLimits::default() };
        let instance = || Limiter::new(&limits, Arc::clone(&stats));
        let (mut one, mut two) = (instance(), instance());
        assert!(one.memory_growing(0, 1000, None).expect("no error"), "what it begins with doesn't count");
        assert!(one.memory_growing(1000, 1060, None).expect("no error"));
        assert!(!two.memory_growing(10, 60, None).expect("no error"));
        assert_eq!((two.refused, two.crowded), (false, true));
        drop(one);
        assert!(two.memory_growing(10, 60, None).expect("no error"));
    }
}
