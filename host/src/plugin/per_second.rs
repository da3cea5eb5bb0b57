//! Counts of the last seconds, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The count of one second, in the lower half; which second, in the upper.
///
/// Two threads that meet at the turn of a second may count a call for its neighbour: nothing here needs better.
#[derive(Debug, Default)]
struct Second(AtomicU64);

/// How often something happened within a second.
#[derive(Debug, Default)]
pub(super) struct PerSecond(Second);

/// How often something happened within the last [`Window::SECONDS`].
#[derive(Debug, Default)]
pub(super) struct Window([Second; Window::SECONDS as usize]);

impl Second {
    /// Counts once more in `second`; returns the count.
    fn count(&self, second: u32) -> u32 {
        let mut seen = self.0.load(Relaxed);
        loop {
            let count = if (seen >> 32) as u32 == second { (seen as u32).saturating_add(1) } else { 1 };
            let next = u64::from(second) << 32 | u64::from(count);
            match self.0.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return count,
                Err(other) => seen = other,
            }
        }
    }
}

impl PerSecond {
    /// Counts once more in `second`; returns how often that was within it.
    pub(super) fn count(&self, second: u32) -> u32 {
        self.0.count(second)
    }
}

impl Window {
    /// How far it looks back.
    pub(super) const SECONDS: u32 = 30;

    /// Counts once more in `second`.
    pub(super) fn count(&self, second: u32) {
        if let Some(slot) = self.0.get((second % Self::SECONDS) as usize) {
            slot.count(second);
        }
    }

    /// The count of the last seconds, `second` included.
    pub(super) fn sum(&self, second: u32) -> u64 {
        let slots = self.0.iter().map(|slot| slot.0.load(Relaxed));
        let recent = slots.filter(|slot| second.saturating_sub((slot >> 32) as u32) < Self::SECONDS);
        recent.map(|slot| u64::from(slot as u32)).sum()
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.0.iter().for_each(|slot| slot.0.store(0, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_begins_at_one() {
        let rate = PerSecond::default();
        assert_eq!([rate.count(7), rate.count(7), rate.count(8), rate.count(8)], [1, 2, 1, 2]);
    }

    #[test]
    fn a_window_forgets_what_is_older() {
        let window = Window::default();
        for second in [0, 0, 10, 29] {
            window.count(second);
        }
        for (second, sum) in [(29, 4), (30, 2), (39, 2), (40, 1), (58, 1), (59, 0)] {
            assert_eq!(window.sum(second), sum, "in second {second}");
        }
    }
}
