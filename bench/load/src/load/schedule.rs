//! When the calls of an open loop are due.

use std::io;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Calls at a fixed rate, each with the moment that it is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    start: Instant,
    every: Duration,
    next: u32,
}

/// A timer of the kernel: tokio's rounds up to the next millisecond, which would be most of what is measured.
#[derive(Debug)]
pub(super) struct Timer(AsyncFd<OwnedFd>);

// === impl Schedule ===

impl Schedule {
    /// The first call is due one period after `start`.
    pub(super) fn new(start: Instant, per_second: u32) -> Self {
        Self { start, every: Duration::from_secs(1) / per_second.max(1), next: 1 }
    }

    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// The next call that is due by `now`, with its own moment: a late look finds all that it missed.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let due = self.start + self.every * self.next;
        (due <= now).then(|| {
            self.next += 1;
            due
        })
    }
}

// === impl Timer ===

impl Timer {
    pub(super) fn every(period: Duration) -> io::Result<Self> {
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let period = Timespec::try_from(period).map_err(io::Error::other)?;
        let times = Itimerspec { it_interval: period, it_value: period };
        rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for descriptors that others may close; this one is owned"
        )]
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Waits until it went off since the last time.
    pub(super) async fn tick(&self) -> io::Result<()> {
        let read = |timer: &OwnedFd| Ok(rustix::io::read(timer, &mut [0; 8])?);
        self.0.async_io(Interest::READABLE, read).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_look_finds_every_call_with_the_moment_it_was_due() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut schedule = Schedule::new(start, 1000);

        assert_eq!(schedule.due(start), None);
        assert_eq!(schedule.due(at(1)), Some(at(1)));
        assert_eq!(schedule.due(at(1)), None);
        // A stall of three milliseconds holds up three calls, which are timed from when they were due.
        let missed: Vec<_> = std::iter::from_fn(|| schedule.due(at(4))).collect();
        assert_eq!(missed, [at(2), at(3), at(4)]);
    }

    #[tokio::test]
    async fn a_timer_goes_off_no_earlier_than_it_should() {
        let (start, period) = (Instant::now(), Duration::from_millis(2));
        let timer = Timer::every(period).unwrap();
        timer.tick().await.unwrap();
        timer.tick().await.unwrap();
        assert!(start.elapsed() >= period * 2);
    }
}
