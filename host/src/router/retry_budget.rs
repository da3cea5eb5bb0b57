//! How many calls may be repeats, so that repeats don't feed an outage.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::routing;

/// So many seconds' worth of the trickle can be saved up, and is there at first.
const SAVED_SECONDS: f64 = 10.0;
/// So many first attempts' worth can be saved up.
const SAVED_CALLS: f64 = 100.0;
/// What is counted: thousandths of a repeat.
const UNIT: f64 = 1000.0;

/// What a group may spend on repeats: a share of its first attempts, and a trickle for a gateway with little traffic.
///
/// What is saved outlives a reload; the share and the trickle are those of the config.
#[derive(Debug)]
pub struct RetryBudget {
    /// For a first attempt.
    deposit: i64,
    per_second: f64,
    cap: i64,
    saved: Arc<Saved>,
}

/// What is there.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// Deposits go straight in here; the cap is applied when something is taken, which comes to the same.
    amount: AtomicI64,
    /// When the trickle was last added.
    trickled: Mutex<Option<Instant>>,
}

impl RetryBudget {
    pub(super) fn new(config: &routing::RetryBudget, saved: Arc<Saved>) -> Self {
        let units = |amount: f64| (amount.max(0.0) * UNIT) as i64;
        let cap = units(SAVED_SECONDS * config.min_per_second + SAVED_CALLS * config.share);
        Self { deposit: units(config.share), per_second: config.min_per_second.max(0.0), cap, saved }
    }

    /// A call begins: its share is put in.
    pub fn deposit(&self) {
        self.saved.amount.fetch_add(self.deposit, Ordering::Relaxed);
    }

    /// Takes one repeat, if there is one.
    pub fn try_withdraw(&self, now: Instant) -> bool {
        self.withdraw(UNIT as i64, now)
    }

    /// Takes one repeat, there or not: a failover or a hedge. The debt goes no further than the cap.
    pub fn withdraw_anyway(&self, now: Instant) {
        self.withdraw(-self.cap, now);
    }

    /// Repeats that could be made now.
    pub fn left(&self, now: Instant) -> f64 {
        let trickled = *self.saved.trickled.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = trickled.map_or(SAVED_SECONDS, |last| now.saturating_duration_since(last).as_secs_f64());
        let trickle = (seconds * self.per_second * UNIT) as i64;
        let there = self.saved.amount.load(Ordering::Acquire).saturating_add(trickle).min(self.cap);
        there.max(0) as f64 / UNIT
    }

    /// Takes one if at least `least` is there.
    fn withdraw(&self, least: i64, now: Instant) -> bool {
        let mut trickled = self.saved.trickled.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = trickled.map_or(SAVED_SECONDS, |last| now.saturating_duration_since(last).as_secs_f64());
        let trickle = (seconds * self.per_second * UNIT) as i64;
        // Less than a unit is left to be added the next time.
        if trickle > 0 || trickled.is_none() {
            *trickled = Some(trickled.map_or(now, |last| last.max(now)));
        }
        let one = UNIT as i64;
        let mut taken = false;
        let update = |amount: i64| {
            let there = amount.saturating_add(trickle).min(self.cap);
            taken = there >= least;
            Some(if taken { (there - one).max(-self.cap) } else { there })
        };
        // It always updates: `update` never says no.
        let _ = self.saved.amount.fetch_update(Ordering::AcqRel, Ordering::Acquire, update);
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn budget(share: f64, min_per_second: f64) -> RetryBudget {
        RetryBudget::new(&routing::RetryBudget { share, min_per_second }, Arc::default())
    }

    fn repeats(budget: &RetryBudget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.try_withdraw(now)).count()
    }

    #[test]
    fn a_share_of_first_attempts_may_be_repeated() {
        let now = Instant::now();
        let budget = budget(0.2, 0.0);
        assert_eq!(repeats(&budget, now), 0);
        (0..50).for_each(|_| budget.deposit());
        assert_eq!(repeats(&budget, now), 10);
        (0..5000).for_each(|_| budget.deposit());
        assert!((budget.left(now) - 20.0).abs() < 0.01, "{}", budget.left(now));
        assert_eq!(repeats(&budget, now), 20, "no more is saved up than 100 attempts' share");
    }

    #[test]
    fn a_trickle_is_free() {
        let now = Instant::now();
        let budget = budget(0.0, 2.0);
        assert_eq!(repeats(&budget, now), 20, "ten seconds of it at first");
        assert_eq!(repeats(&budget, now + Duration::from_millis(1500)), 3);
        assert_eq!(repeats(&budget, now + Duration::from_secs(1000)), 20);
    }

    #[test]
    fn failovers_are_never_refused_and_make_bounded_debts() {
        let now = Instant::now();
        let budget = budget(0.0, 1.0);
        (0..1000).for_each(|_| budget.withdraw_anyway(now));
        assert_eq!(repeats(&budget, now + Duration::from_secs(10)), 0);
        assert_eq!(repeats(&budget, now + Duration::from_secs(15)), 5);
    }

    #[test]
    fn what_is_saved_outlives_a_reload() {
        let now = Instant::now();
        let saved = Arc::<Saved>::default();
        let config = routing::RetryBudget { share: 0.5, min_per_second: 1.0 };
        assert_eq!(repeats(&RetryBudget::new(&config, saved.clone()), now), 10);
        assert_eq!(repeats(&RetryBudget::new(&config, saved), now), 0);
    }

    proptest! {
        #[test]
        fn repeats_never_exceed_the_share_the_trickle_and_what_may_be_saved(
            share in 0.0f64..2.0,
            per_second in 0.0f64..20.0,
            steps in prop::collection::vec((0u64..5000, 0usize..40, 0usize..40), 1..60),
        ) {
            let start = Instant::now();
            let budget = budget(share, per_second);
            let (mut millis, mut firsts, mut spent) = (0, 0, 0);
            for (wait, calls, tries) in steps {
                millis += wait;
                (0..calls).for_each(|_| budget.deposit());
                firsts += calls;
                let now = start + Duration::from_millis(millis);
                spent += (0..tries).filter(|_| budget.try_withdraw(now)).count();
                let cap = SAVED_SECONDS * per_second + SAVED_CALLS * share;
                let most = share * firsts as f64 + per_second * millis as f64 / 1000.0 + cap;
                prop_assert!(spent as f64 <= most + 1e-6, "{spent} of {most}");
            }
        }
    }
}
