//! What is measured, and of whom: times, processor time, memory.

mod cores;
mod metric;
mod process;
mod spread;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

pub(crate) use cores::busy;
pub(crate) use metric::{Metric, Run, compare};
pub(crate) use process::{Memory, cpu_of, own_cpu, with_children};
pub(crate) use spread::{Spread, summarise};

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the program began: what the fake stamps chunks with, and the load compares.
pub(crate) fn nanos() -> u64 {
    nanos_between(*EPOCH, Instant::now())
}

/// Nanoseconds from one moment to a later one; 0 if it isn't later.
pub(crate) fn nanos_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

/// Times in nanoseconds, up to ten minutes, with three digits.
#[derive(Debug, Clone)]
pub(crate) struct Times(Histogram<u64>);

const LONGEST: Duration = Duration::from_secs(600);

// === impl Times ===

impl Times {
    pub(crate) fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
        Self(Histogram::new_with_bounds(1, longest, 3).expect("bounds and digits that are possible"))
    }

    /// Longer times count as the longest.
    pub(crate) fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos.max(1));
    }

    /// The time in nanoseconds that this share of all was not slower than; `None` where there are none.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut times = Times::new();
        assert_eq!(times.quantile(0.5), None);
        for time in 1..=1000 {
            times.record(time * 1000);
        }
        for (share, expected) in [(0.5, 500_000.0), (0.99, 990_000.0), (0.999, 999_000.0)] {
            let found = times.quantile(share).unwrap();
            assert!((found / expected - 1.0_f64).abs() < 0.001, "{share}: {found} instead of {expected}");
        }
    }

    #[test]
    fn a_time_beyond_the_longest_counts_as_the_longest() {
        let mut times = Times::new();
        times.record(u64::MAX);
        assert!(times.quantile(1.0).unwrap() >= LONGEST.as_nanos() as f64);
    }
}
