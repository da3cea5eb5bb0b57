//! WASI with nothing behind it, for the runtimes of other languages.
//!
//! There are no files, variables, arguments or sockets; standard input is empty, and what a guest prints goes to the
//! log. Clocks and random numbers are the machine's own, unless the plugin runs deterministically: then every instance
//! sees the same times and the same numbers.

use std::mem;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWrite;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx};

use super::account::Account;
use super::limits::LOG_LINE_BYTES;

/// Things of the host that a guest may hold: streams, what it waits for. A runtime needs a few.
const MAX_RESOURCES: usize = 1000;
/// Random bytes for one call of a guest.
const MAX_RANDOM_BYTES: u64 = 1 << 20;
/// 2001-09-09 01:46:40 UTC, where a deterministic wall clock stands.
const FIXED_TIME: Duration = Duration::from_secs(1_000_000_000);

/// WASI for one instance.
pub(super) struct Wasi {
    pub ctx: WasiCtx,
    pub table: ResourceTable,
    /// Lines printed by this call.
    pub lines: Arc<AtomicU32>,
}

impl Wasi {
    /// WASI for an instance of the plugin.
    pub(super) fn new(account: &Arc<Account>) -> Self {
        let lines = Arc::new(AtomicU32::new(0));
        let printed = |name| Printed {
            account: Arc::clone(account),
            name,
            lines: Arc::clone(&lines),
            unfinished: Arc::default(),
        };
        let mut builder = WasiCtx::builder();
        builder.stdout(printed("stdout")).stderr(printed("stderr")).max_random_size(MAX_RANDOM_BYTES);
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        if account.deterministic {
            builder.secure_random(numbers(1)).insecure_random(numbers(2)).insecure_random_seed(3);
            builder.wall_clock(FixedClock).monotonic_clock(CountingClock(AtomicU64::new(0)));
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self { ctx: builder.build(), table, lines }
    }
}

/// Random numbers that are the same every time: long enough not to look like a pattern.
fn numbers(seed: u8) -> Deterministic {
    Deterministic::new((0..=u8::MAX).flat_map(|block| Sha256::digest([seed, block])).collect())
}

/// A clock that stands still.
struct FixedClock;

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        FIXED_TIME
    }
}

/// A clock that advances by a microsecond whenever it is looked at, so that who waits for it gets there.
struct CountingClock(AtomicU64);

impl HostMonotonicClock for CountingClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(1000, Relaxed)
    }
}

/// What a guest prints, a line of the log for each of its lines.
#[derive(Clone)]
struct Printed {
    account: Arc<Account>,
    name: &'static str,
    lines: Arc<AtomicU32>,
    unfinished: Arc<Mutex<Vec<u8>>>,
}

impl Printed {
    fn print(&self, mut bytes: &[u8]) {
        let mut unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            keep(&mut unfinished, line);
            self.log(&mem::take(&mut *unfinished));
            bytes = rest.get(1..).unwrap_or_default();
        }
        keep(&mut unfinished, bytes);
    }

    fn log(&self, line: &[u8]) {
        let lines = self.lines.fetch_add(1, Relaxed);
        if lines >= self.account.limits.log_lines_per_call || !self.account.may_log() {
            self.account.stats.dropped_log_line();
            return;
        }
        let line: String = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).collect();
        tracing::debug!(plugin = &*self.account.name, "{}: {line}", self.name);
    }
}

/// Adds to a line what still has room.
fn keep(line: &mut Vec<u8>, more: &[u8]) {
    let room = LOG_LINE_BYTES.saturating_sub(line.len()).min(more.len());
    line.extend_from_slice(more.get(..room).unwrap_or_default());
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // For versions of WASI that aren't linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::bindings::random::random::Host as _;

    use super::super::Digest;
    use super::super::account::Accounts;
    use super::*;
    use crate::config::PluginLimits;

    fn random(deterministic: bool) -> u64 {
        let account = Accounts::default().open("acme", &Digest::of(b""), PluginLimits::default(), deterministic);
        Wasi::new(&Arc::new(account)).ctx.random().get_random_u64().expect("there are random numbers")
    }

    #[test]
    fn random_numbers_repeat_where_a_plugin_is_deterministic_and_nowhere_else() {
        assert_eq!(random(true), random(true));
        assert_ne!(random(false), random(false));
    }

    #[test]
    fn a_deterministic_clock_advances_only_when_it_is_looked_at() {
        let clock = CountingClock(AtomicU64::new(0));
        assert_eq!([clock.now(), clock.now()], [0, 1000]);
        assert_eq!(FixedClock.now(), FixedClock.now());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        let mut line = Vec::new();
        keep(&mut line, &[b'x'; 5000]);
        keep(&mut line, b"more");
        assert_eq!(line.len(), LOG_LINE_BYTES);
    }
}
