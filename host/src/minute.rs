//! Sums over the last minute.

use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use tokio::time::Instant;

/// The second that has begun, and the sixty before it.
const SLOTS: usize = 61;

/// What was added within the last minute.
///
/// Sums are kept by the second, and one is forgotten when the last instant of it is a minute ago. So nothing is
/// forgotten too early: whatever is kept below a limit here is below it in any sixty seconds, and at most one second's
/// worth is remembered for up to a second longer.
#[derive(Debug)]
pub(crate) struct LastMinute<T> {
    /// Seconds are counted from the first use.
    start: Option<Instant>,
    second: u64,
    slots: [T; SLOTS],
    total: T,
}

impl<T: Default> Default for LastMinute<T> {
    fn default() -> Self {
        Self { start: None, second: 0, slots: std::array::from_fn(|_| T::default()), total: T::default() }
    }
}

impl<T: AddAssign + SubAssign + Copy + Default> LastMinute<T> {
    /// Forgets what is older than a minute. Time that runs backwards, as seen by another thread, stands still here.
    fn advance(&mut self, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let second = now.saturating_duration_since(start).as_secs();
        let passed = second.saturating_sub(self.second);
        if passed >= SLOTS as u64 {
            self.slots = [T::default(); SLOTS];
            self.total = T::default();
        } else {
            for gone in self.second + 1..=self.second + passed {
                let forgotten = std::mem::take(self.slot(gone));
                self.total -= forgotten;
            }
        }
        self.second = self.second.max(second);
    }

    fn slot(&mut self, second: u64) -> &mut T {
        let index = (second % SLOTS as u64) as usize;
        self.slots.get_mut(index).expect("a remainder is less than the number of slots")
    }

    /// Adds, and tells in which second, for [`LastMinute::take_back`].
    pub(crate) fn add(&mut self, amount: T, now: Instant) -> u64 {
        self.advance(now);
        *self.slot(self.second) += amount;
        self.total += amount;
        self.second
    }

    /// Takes back what was added in a second, if that isn't forgotten yet.
    pub(crate) fn take_back(&mut self, amount: T, second: u64, now: Instant) {
        self.advance(now);
        if second + SLOTS as u64 > self.second {
            *self.slot(second) -= amount;
            self.total -= amount;
        }
    }

    /// The sum of the last minute.
    pub(crate) fn total(&mut self, now: Instant) -> T {
        self.advance(now);
        self.total
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How long until the sum, with nothing added, is as wanted; a minute if it never is.
    pub(crate) fn time_until(&mut self, wanted: impl Fn(&T) -> bool, now: Instant) -> Duration {
        self.advance(now);
        let Some(start) = self.start else { return Duration::ZERO };
        let mut left = self.total;
        if wanted(&left) {
            return Duration::ZERO;
        }
        for second in self.second.saturating_sub(SLOTS as u64 - 1)..=self.second {
            left -= *self.slot(second);
            if wanted(&left) {
                let end = start + Duration::from_secs(second + SLOTS as u64);
                return end.saturating_duration_since(now);
            }
        }
        Duration::from_secs(60)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_sum_comes_down_when_it_was_said_to() {
        let start = Instant::now();
        let mut minute = LastMinute::<u64>::default();
        minute.add(3, start);
        minute.add(4, after(start, 10_500));
        let wait = minute.time_until(|sum| *sum <= 4, after(start, 11_000));
        assert_eq!(wait, Duration::from_secs(50));
        assert_eq!(minute.total(after(start, 60_999)), 7);
        assert_eq!(minute.total(after(start, 11_000) + wait), 4);
        assert_eq!(minute.time_until(|sum| *sum == 0, after(start, 61_000)), Duration::from_secs(10));
        assert_eq!(minute.total(after(start, 500_000)), 0);
    }

    #[test]
    fn what_is_taken_back_is_gone_once() {
        let start = Instant::now();
        let mut minute = LastMinute::<u64>::default();
        let second = minute.add(5, start);
        minute.take_back(5, second, after(start, 60_000));
        assert_eq!(minute.total(after(start, 60_000)), 0);
        let second = minute.add(5, after(start, 61_000));
        minute.take_back(5, second, after(start, 300_000));
        assert_eq!(minute.total(after(start, 300_000)), 0);
    }

    proptest! {
        #[test]
        fn nothing_of_the_last_minute_is_missing_and_nothing_older_than_61_seconds_is_left(
            steps in prop::collection::vec((0u64..30_000, 0u64..5), 1..80)
        ) {
            let start = Instant::now();
            let mut minute = LastMinute::<u64>::default();
            let mut added: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for (wait, amount) in steps {
                now += wait;
                minute.add(amount, after(start, now));
                added.push((now, amount));
                let within = |age: u64| added.iter().filter(|(at, _)| at + age > now).map(|(_, n)| n).sum::<u64>();
                let total = minute.total(after(start, now));
                prop_assert!(within(60_000) <= total && total <= within(61_000));
            }
        }
    }
}
