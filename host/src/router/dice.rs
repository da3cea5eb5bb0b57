//! Randomness for the strategies that draw.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// What SplitMix64 steps by: 2⁶⁴ divided by the golden ratio.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64 over an atomic counter: all threads draw from one sequence, which its seed decides. A library's generator
/// is a thread's own or behind a lock.
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        let mixed = self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`; 0 where that is 0.
    pub(super) fn below(&self, sides: usize) -> usize {
        // The upper half of the product is even enough for any group's size.
        ((u128::from(self.next()) * sides as u128) >> 64) as usize
    }

    /// Two different numbers below `sides`, which is at least 2.
    pub(super) fn two_below(&self, sides: usize) -> (usize, usize) {
        let first = self.below(sides);
        let second = self.below(sides.saturating_sub(1));
        (first, if second >= first { second + 1 } else { second })
    }
}

impl Default for Dice {
    /// Another sequence for each process and each router.
    fn default() -> Self {
        Self::seeded(RandomState::new().hash_one("dice"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_sequence_and_all_sides_come_up() {
        let draw = |seed| {
            let dice = Dice::seeded(seed);
            (0..60).map(|_| dice.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!((0..6).all(|side| draw(7).contains(&side)));
    }

    #[test]
    fn two_are_never_the_same() {
        let dice = Dice::seeded(1);
        for sides in 2..9 {
            for _ in 0..100 {
                let (a, b) = dice.two_below(sides);
                assert!(a != b && a < sides && b < sides, "{a} {b} of {sides}");
            }
        }
    }
}
