//! Takes a plugin that keeps failing by its own fault out of service for a while.
//!
//! ```text
//! serving ──(enough own failures, half of the calls or more, within 30 s)──► out for 1 s, 2 s, 4 s … 5 min
//!    ▲                                                                         │ time is up
//!    └──(a probe went well)── probing: a few calls at a time ◄─────────────────┘
//!                                │ a probe failed: out again, for twice as long
//! ```
//!
//! What counts is a share of all calls, so that one client with a request that the plugin can't bear doesn't take it
//! from everybody; and a few calls probe at a time, so that it takes more than one bad one among them to stay out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::per_second::Window;

/// The first time out; each that follows without a good call between is twice as long.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest time out.
const LONGEST: Duration = Duration::from_secs(300);
/// How many calls may find out at a time whether it works again.
const PROBES: u32 = 3;
/// A probe that takes longer than this, a long stream, gives its place to another.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);

/// Whether one version of a plugin is in service.
#[derive(Debug)]
pub(super) struct Quarantine {
    since: Instant,
    /// Whether `inner` has something to say: calls look no further while all is well.
    closed: AtomicBool,
    calls: Window,
    failures: Window,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Until when nobody is let through; afterwards only probes are.
    until: Option<Instant>,
    /// Times out in a row.
    times: u32,
    probing: u32,
    /// When the last probe went in.
    probed: Option<Instant>,
}

/// How a call was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// All is well.
    Normal,
    /// To find out whether it is again.
    Probe,
}

/// What the operator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is out.
    Out {
        /// For how long.
        lasts: Duration,
        /// Own failures of the last 30 s.
        failures: u64,
        /// Calls of the last 30 s.
        calls: u64,
    },
    /// It serves again.
    Back,
}

/// Where a plugin stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It serves.
    Serving,
    /// Nobody is let through for so long.
    Out(Duration),
    /// A few calls find out whether it works again.
    Probing,
}

impl Quarantine {
    /// In service since `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            closed: AtomicBool::new(false),
            calls: Window::default(),
            failures: Window::default(),
            inner: Mutex::default(),
        }
    }

    /// Whether a call may go through at `now`.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn admit(&self, now: Instant) -> Result<Admission, Duration> {
        if !self.closed.load(Ordering::Acquire) {
            return Ok(Admission::Normal);
        }
        let mut inner = self.lock();
        let Some(until) = inner.until else { return Ok(Admission::Normal) };
        if until > now {
            return Err(until - now);
        }
        if inner.probed.is_some_and(|probed| now.saturating_duration_since(probed) >= PROBE_PATIENCE) {
            inner.probing = 0;
        }
        if inner.probing >= PROBES {
            return Err(SHORTEST);
        }
        inner.probing += 1;
        inner.probed = Some(now);
        Ok(Admission::Probe)
    }

    /// A call ended well, as far as the plugin is concerned.
    pub(super) fn went_well(&self, admission: Admission, now: Instant) -> Option<Turn> {
        self.calls.count(self.second(now));
        if admission == Admission::Normal {
            return None;
        }
        let mut inner = self.lock();
        inner.until?;
        *inner = Inner::default();
        self.calls.clear();
        self.failures.clear();
        self.closed.store(false, Ordering::Release);
        Some(Turn::Back)
    }

    /// A call failed by the plugin's own fault. `after` so many it is out; 0 for never.
    pub(super) fn failed(&self, admission: Admission, now: Instant, after: u32) -> Option<Turn> {
        let second = self.second(now);
        self.calls.count(second);
        self.failures.count(second);
        let (failures, calls) = (self.failures.sum(second), self.calls.sum(second));
        if after == 0 {
            return None;
        }
        let mut inner = self.lock();
        let is_out = inner.until.is_some();
        let goes_out = match admission {
            Admission::Probe => {
                inner.probing = inner.probing.saturating_sub(1);
                // Another probe may have come to the same end before.
                inner.until.is_some_and(|until| until <= now)
            }
            Admission::Normal => !is_out && failures >= u64::from(after) && failures * 2 >= calls,
        };
        if !goes_out {
            return None;
        }
        let lasts = LONGEST.min(SHORTEST * 2_u32.saturating_pow(inner.times.min(16)));
        *inner = Inner { until: Some(now + lasts), times: inner.times.saturating_add(1), probing: 0, probed: None };
        self.closed.store(true, Ordering::Release);
        Some(Turn::Out { lasts, failures, calls })
    }

    /// A call came to no end that says anything: its client went away, or there was no room for it.
    pub(super) fn abandoned(&self, admission: Admission) {
        if admission == Admission::Probe {
            let mut inner = self.lock();
            inner.probing = inner.probing.saturating_sub(1);
        }
    }

    /// Where the plugin stands at `now`.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        match self.lock().until {
            None => Standing::Serving,
            Some(until) if until > now => Standing::Out(until - now),
            Some(_) => Standing::Probing,
        }
    }

    fn second(&self, now: Instant) -> u32 {
        // A slot that was never used has second 0 and count 0, so 0 is as good as any.
        u32::try_from(now.saturating_duration_since(self.since).as_secs()).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plugin with a clock that stands still until it is moved.
    struct Bench {
        quarantine: Quarantine,
        now: Instant,
        after: u32,
    }

    impl Bench {
        fn new(after: u32) -> Self {
            let now = Instant::now();
            Self { quarantine: Quarantine::new(now), now, after }
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn call(&self, goes_well: bool) -> Option<Turn> {
            let admission = self.quarantine.admit(self.now).expect("the call is let through");
            match goes_well {
                true => self.quarantine.went_well(admission, self.now),
                false => self.quarantine.failed(admission, self.now, self.after),
            }
        }

        /// Seconds until a call may be let through.
        fn wait(&self) -> Option<u64> {
            match self.quarantine.standing(self.now) {
                Standing::Out(left) => Some(left.as_secs()),
                Standing::Serving | Standing::Probing => None,
            }
        }
    }

    #[test]
    fn enough_failures_take_it_out_if_they_are_half_of_the_calls() {
        // Calls in order (`.` goes well, `x` fails), and whether it is out at their end.
        for (after, calls, out) in [
            (5, "xxxx", false),
            (5, "xxxxx", true),
            (5, ".....xxxx", false),
            (5, ".....xxxxx", true),
            (5, "......xxxxx", false),
            (5, "......xxxxxx", true),
            (1, "x", true),
            (1, "..x", false),
            (0, "xxxxxxxxxxxxxxxxxxxx", false),
        ] {
            let bench = Bench::new(after);
            for call in calls.chars() {
                bench.call(call == '.');
            }
            assert_eq!(bench.wait().is_some(), out, "{calls} with {after}");
        }
    }

    #[test]
    fn failures_that_are_far_apart_are_forgotten() {
        let mut bench = Bench::new(5);
        for _ in 0..20 {
            bench.call(false);
            bench.pass(8);
        }
        assert_eq!(bench.wait(), None);
    }

    #[test]
    fn each_time_out_is_twice_as_long_until_a_probe_goes_well() {
        let mut bench = Bench::new(1);
        for lasts in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert!(matches!(bench.call(false), Some(Turn::Out { .. })), "{lasts}");
            assert_eq!(bench.wait(), Some(lasts));
            assert!(bench.quarantine.admit(bench.now).is_err());
            bench.pass(lasts);
        }
        assert_eq!(bench.quarantine.standing(bench.now), Standing::Probing);
        assert_eq!(bench.call(true), Some(Turn::Back));
        assert_eq!(bench.quarantine.standing(bench.now), Standing::Serving);
        bench.call(false);
        assert_eq!(bench.wait(), Some(1), "it begins anew");
    }

    #[test]
    fn only_a_few_calls_probe_at_a_time() {
        let mut bench = Bench::new(1);
        bench.call(false);
        bench.pass(1);
        let probes: Vec<_> = (0..4).map(|_| bench.quarantine.admit(bench.now)).collect();
        assert_eq!(probes, [Ok(Admission::Probe), Ok(Admission::Probe), Ok(Admission::Probe), Err(SHORTEST)]);
        // One that says nothing makes room for another, and so does time.
        bench.quarantine.abandoned(Admission::Probe);
        assert_eq!(bench.quarantine.admit(bench.now), Ok(Admission::Probe));
        assert_eq!(bench.quarantine.admit(bench.now), Err(SHORTEST));
        bench.pass(PROBE_PATIENCE.as_secs());
        assert_eq!(bench.quarantine.admit(bench.now), Ok(Admission::Probe));
    }

    #[test]
    fn probes_that_fail_together_count_as_one_time_out() {
        let mut bench = Bench::new(1);
        bench.call(false);
        bench.pass(1);
        let probes: Vec<_> = (0..3).map(|_| bench.quarantine.admit(bench.now).expect("let through")).collect();
        let turns: Vec<_> = probes.into_iter().map(|probe| bench.quarantine.failed(probe, bench.now, 1)).collect();
        assert!(matches!(turns[..], [Some(Turn::Out { .. }), None, None]), "{turns:?}");
        assert_eq!(bench.wait(), Some(2));
    }

    #[test]
    fn a_call_from_before_neither_prolongs_nor_ends_it() {
        let mut bench = Bench::new(1);
        let before = bench.quarantine.admit(bench.now).expect("let through");
        let other = bench.quarantine.admit(bench.now).expect("let through");
        bench.call(false);
        assert_eq!(bench.quarantine.failed(before, bench.now, 1), None);
        assert_eq!(bench.quarantine.went_well(other, bench.now), None);
        assert_eq!(bench.wait(), Some(1));
        bench.pass(1);
        assert_eq!(bench.quarantine.admit(bench.now), Ok(Admission::Probe));
    }
}
