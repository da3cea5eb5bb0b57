//! What one instance may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// What one instance may use. Containment is the same for every plugin, ours too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Linear memory. Room for the largest body that the gateway takes, a few times over.
    pub memory_bytes: usize,
    /// Processor time of one guest call; the clock runs in ticks of [`TICK`].
    pub call_time: Duration,
    /// Bytes that one guest call may hand to the host.
    pub output_bytes: usize,
    /// Log lines of one exchange.
    pub log_lines: u32,
    /// Bytes of one log line.
    pub log_line_bytes: usize,
}

/// How often the epoch advances: a guest that computes for longer yields its thread this often.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// What an instance may use unless somebody says otherwise.
pub(super) const DEFAULT: Limits = Limits {
    memory_bytes: 512 << 20,
    call_time: Duration::from_secs(2),
    output_bytes: 256 << 20,
    log_lines: 16,
    log_line_bytes: 1024,
};

/// Keeps one store inside its limits, and remembers when it wasn't.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_bytes: usize,
    /// Whether growth was refused: the trap that follows is then one of memory.
    pub refused: bool,
}

impl Limiter {
    /// A limiter for one store.
    pub(super) fn new(limits: &Limits) -> Self {
        Self { memory_bytes: limits.memory_bytes, refused: false }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.memory_bytes;
        self.refused |= !allowed;
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 100_000)
    }
}
