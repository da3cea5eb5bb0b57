//! When the next probes in the background are due.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::HealthChecks;

/// When probes in the background ran last, and how much earlier or later than asked for the next ones do: replicas that
/// were started together shall not probe together for ever.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    ran: Option<(Instant, f64)>,
}

impl Schedule {
    /// Whether they are due: at once where they have never run, or were off in the meantime.
    pub(super) fn is_due(&mut self, checks: &HealthChecks, now: Instant) -> bool {
        if !checks.background {
            self.ran = None;
            return false;
        }
        let waits = |spread: f64| Duration::try_from_secs_f64(checks.interval.as_secs_f64() * spread);
        self.ran.is_none_or(|(ran, spread)| waits(spread).is_ok_and(|wait| now.duration_since(ran) >= wait))
    }

    /// They have run; `drawn`, from 0 to 1, decides about the time until they do so again: the interval, a tenth more or
    /// less.
    pub(super) fn ran(&mut self, now: Instant, drawn: f64) {
        self.ran = Some((now, 0.9 + 0.2 * drawn.clamp(0.0, 1.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_run_at_once_and_then_an_interval_apart_a_tenth_more_or_less() {
        let on = HealthChecks { background: true, interval: Duration::from_secs(100), ..HealthChecks::default() };
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        for (drawn, not_yet, due) in [(0.0, 89, 91), (0.5, 99, 101), (1.0, 109, 111)] {
            let mut schedule = Schedule::default();
            assert!(schedule.is_due(&on, begin));
            schedule.ran(begin, drawn);
            assert!(!schedule.is_due(&on, after(not_yet)), "{drawn}");
            assert!(schedule.is_due(&on, after(due)), "{drawn}");
        }
    }

    #[test]
    fn a_shorter_interval_and_being_switched_on_count_at_once() {
        let mut checks = HealthChecks { background: true, ..HealthChecks::default() };
        let (begin, mut schedule) = (Instant::now(), Schedule::default());
        schedule.ran(begin, 0.5);
        let soon = begin + Duration::from_secs(20);
        assert!(!schedule.is_due(&checks, soon));
        checks.interval = Duration::from_secs(10);
        assert!(schedule.is_due(&checks, soon));
        schedule.ran(soon, 0.5);
        checks.background = false;
        assert!(!schedule.is_due(&checks, soon));
        checks.background = true;
        assert!(schedule.is_due(&checks, soon), "it was off in between");
    }
}
