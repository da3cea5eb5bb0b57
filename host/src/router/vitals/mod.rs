//! How a deployment does: what is under way, whether it is called, how quick it is, what it has used and counted.
//!
//! Choosing reads two atomics of it; what else there is stands behind one lock, which is taken when an attempt begins
//! only where the deployment isn't well or its `rpm` and `tpm` bind, and once when it ends.

mod circuit;
mod counts;
mod flight;
mod latency;
mod rate;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::FailureKind;
use super::rules::Rules;
use circuit::{Circuit, Gate, Permit};
use counts::LastFailure;
use latency::Latency;
use rate::{Rate, Reservation, Used};

pub use counts::{Counts, Snapshot, State};
pub use flight::{Consequence, Flight};
pub(super) use rate::Limits;

/// A probe may end at any time: who waits for it looks again after this time.
const PROBE_POLL: Duration = Duration::from_millis(100);

/// How a deployment does.
#[derive(Debug, Default)]
pub struct Vitals {
    in_flight: AtomicU32,
    /// It isn't called as usual: the lock knows more.
    unwell: AtomicBool,
    /// A probe without a call found it so, and the operator wants that to be heeded.
    found_unwell: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    circuit: Circuit,
    rate: Rate,
    latency: Latency,
    counts: Counts,
    last_failure: Option<LastFailure>,
}

/// Why a deployment can't be called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It is left alone.
    Cooling { back_in: Duration, because: FailureKind },
    /// It has as many calls under way as it may.
    Full,
    /// It has had its calls or tokens of this minute.
    RateLimited { back_in: Duration },
}

/// What an attempt has been given.
#[derive(Debug, Default)]
struct Grant {
    probe: Option<Permit>,
    reservation: Option<Reservation>,
}

impl Vitals {
    /// What is in the way of an attempt, without beginning it. `spared`: cooldowns don't hold for it.
    pub(super) fn obstacle(&self, rules: &Rules, spared: bool, tokens: u64, now: Instant) -> Option<Obstacle> {
        if rules.slots.is_some_and(|slots| self.in_flight() >= slots) {
            return Some(Obstacle::Full);
        }
        let unwell = !spared && self.unwell();
        if !unwell && !rules.limits.bind() {
            return None;
        }
        let mut record = self.record();
        let cooling = if unwell { record.cooling(now) } else { None };
        cooling.or_else(|| record.over(rules, tokens, now))
    }

    /// Takes a slot, the permit to probe, and the place among a minute's calls, where those are needed.
    ///
    /// # Errors
    /// Something is in the way; nothing was taken. But if it isn't [`Obstacle::Full`], a slot was for a moment, so that
    /// others may have found none.
    fn admit(&self, rules: &Rules, spared: bool, tokens: u64, now: Instant) -> Result<Grant, Obstacle> {
        if !self.take_slot(rules.slots) {
            return Err(Obstacle::Full);
        }
        let unwell = !spared && self.unwell();
        if !unwell && !rules.reserves {
            return Ok(Grant::default());
        }
        let mut record = self.record();
        if let Some(obstacle) = record.over(rules, tokens, now) {
            return Err(self.refuse(obstacle));
        }
        let probe = if unwell { record.circuit.start_probe(&rules.cooldown, now) } else { None };
        if let Some(cooling) = record.cooling(now).filter(|_| unwell && probe.is_none()) {
            return Err(self.refuse(cooling));
        }
        let reservation = rules.reserves.then(|| record.rate.reserve(tokens, now));
        Ok(Grant { probe, reservation })
    }

    fn refuse(&self, obstacle: Obstacle) -> Obstacle {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
        obstacle
    }

    fn take_slot(&self, slots: Option<u32>) -> bool {
        let Some(slots) = slots else {
            self.in_flight.fetch_add(1, Ordering::AcqRel);
            return true;
        };
        let one_more = |taken| (taken < slots).then_some(taken + 1);
        self.in_flight.try_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// What a probe without a call found, for those who have `enable_health_check_routing`: a deployment that it found
    /// unwell gets no calls while another one can take them.
    pub fn set_probe_result(&self, unwell: bool) {
        self.found_unwell.store(unwell, Ordering::Relaxed);
    }

    /// What it found.
    pub fn found_unwell(&self) -> bool {
        self.found_unwell.load(Ordering::Relaxed)
    }

    fn unwell(&self) -> bool {
        self.unwell.load(Ordering::Acquire)
    }

    /// Changes the circuit, and what is seen of it without the lock.
    fn change<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut record = self.record();
        let changed = change(&mut record);
        self.unwell.store(!record.circuit.is_closed(), Ordering::Release);
        changed
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Whatever panicked, numbers stay numbers.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it will be called again at the latest, if it is left alone.
    pub(super) fn returns_at(&self) -> Option<Instant> {
        match self.unwell().then(|| self.record().circuit.gate())? {
            Gate::Cooling { until, .. } | Gate::Probing { until, .. } => Some(until),
            Gate::Closed => None,
        }
    }

    /// The time within which this share of its last 128 streams, or of its last 128 other calls, had shown a first byte;
    /// `None` while fewer than 20 have.
    pub fn first_byte_quantile(&self, share: f64, streaming: bool) -> Option<Duration> {
        self.record().latency.first_byte_quantile(share, streaming)
    }

    /// Seconds for an output token, or to the first piece of a stream: the moving average.
    pub(super) fn pace(&self, streaming: bool, now: Instant) -> Option<f64> {
        self.record().latency.average(streaming, now)
    }

    /// The same as LiteLLM takes it.
    pub(super) fn mean_pace(&self, streaming: bool, ttl: Duration, now: Instant) -> Option<f64> {
        self.record().latency.mean(streaming, ttl, now)
    }

    /// It has another key or address from now on: what came of the old one is no reason to leave it alone. Tells how
    /// often that was.
    pub(super) fn change_access(&self) -> u64 {
        self.found_unwell.store(false, Ordering::Relaxed);
        self.change(|record| record.circuit.change_access())
    }

    /// What it has used in the last minute.
    pub(super) fn used(&self, now: Instant) -> Used {
        self.record().rate.used(now)
    }

    /// How it does now.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut record = self.record();
        let used = record.rate.used(now);
        let in_flight = self.in_flight();
        let counts = record.counts;
        let ended = counts.successes + counts.all_failures() + counts.cancelled;
        Snapshot {
            state: record.circuit.state(now),
            in_flight,
            attempts: ended + u64::from(in_flight),
            counts,
            last_failure: record.last_failure.map(|last| (last.kind, now.saturating_duration_since(last.at))),
            requests_per_minute: used.requests,
            tokens_per_minute: used.tokens,
            seconds_per_token: record.latency.average(false, now),
            seconds_to_first_piece: record.latency.average(true, now),
        }
    }
}

impl Record {
    fn cooling(&self, now: Instant) -> Option<Obstacle> {
        match self.circuit.gate() {
            Gate::Closed => None,
            Gate::Cooling { until, because } => {
                (until > now).then(|| Obstacle::Cooling { back_in: until - now, because })
            }
            Gate::Probing { until, because, .. } => {
                (until > now).then(|| Obstacle::Cooling { back_in: PROBE_POLL.min(until - now), because })
            }
        }
    }

    fn over(&mut self, rules: &Rules, tokens: u64, now: Instant) -> Option<Obstacle> {
        if !rules.limits.bind() {
            return None;
        }
        self.rate.wait(&rules.limits, tokens, now).map(|back_in| Obstacle::RateLimited { back_in })
    }
}
