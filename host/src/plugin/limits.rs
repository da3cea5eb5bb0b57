//! Keeps one instance inside its limits.

use std::time::Duration;

use wasmtime::ResourceLimiter;

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
    /// All linear memories together, now and at most.
    memory: usize,
    peak: usize,
    /// Whether growth was refused: the trap that follows is then one of memory.
    pub refused: bool,
}

#[derive(Debug)]
struct Counts {
    instances: usize,
    memories: usize,
    tables: usize,
}

impl Limiter {
    /// A limiter for one store.
    pub(super) fn new(limits: &PluginLimits) -> Self {
        let PluginLimits { memory_bytes, table_elements, instances, memories, tables, .. } = *limits;
        let counts = Counts { instances, memories, tables };
        Self { memory_bytes, table_elements, counts, memory: 0, peak: 0, refused: false }
    }

    /// The most linear memory that the store has had.
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// The linear memory that the store has.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Growth that the machine then fails to give stays counted: a guest can't make it count less than it has.
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        let allowed = total <= self.memory_bytes;
        if allowed {
            self.memory = total;
            self.peak = self.peak.max(total);
        }
        self.refused |= !allowed;
        Ok(allowed)
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
        let mut limiter = Limiter::new(&PluginLimits { memory_bytes: 100, ..PluginLimits::default() });
        let mut grow = |current, desired| limiter.memory_growing(current, desired, None).expect("no error");
        assert_eq!([grow(0, 40), grow(0, 60), grow(40, 41), grow(60, 60)], [true, true, false, true]);
        assert_eq!((limiter.peak(), limiter.refused), (100, true));
    }
}
