//! What one key, user, team, model or deployment has used: one lock for each, held for a few instructions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Rate, Scope};
use crate::minute::LastMinute;

/// A slot is given back whenever a call ends: who found none may come again after this time.
const SOON: Duration = Duration::from_secs(1);
/// Terms that are remembered: the one that holds, the one before it, in which calls may still be under way, and the count
/// of a budget that had no period.
const MOST_TERMS: usize = 3;

/// What one scope has used.
#[derive(Debug)]
pub(super) struct Account {
    /// Tells accounts apart, and is the order in which several are locked.
    pub(super) number: u64,
    pub(super) scope: Scope,
    state: Mutex<State>,
}

/// The numbers.
#[derive(Debug, Default)]
pub(super) struct State {
    /// There as long as there is something in it.
    windows: Option<Box<Windows>>,
    parallel: i64,
    terms: SmallVec<[Purse; 1]>,
}

#[derive(Debug, Default)]
struct Windows {
    requests: LastMinute<i64>,
    tokens: LastMinute<i64>,
}

/// Money since the beginning of one period, in 10⁻¹² USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Purse {
    since: Option<SystemTime>,
    /// What this process's calls have cost.
    own: i64,
    /// What of that the database knows.
    written: i64,
    /// What the database says beyond `written`: what there was before this process, and what other gateways add. Below
    /// zero after somebody has set the sum to less.
    others: i64,
    /// What calls under way may cost.
    reserved: i64,
    /// Somebody was told that the soft budget is spent.
    warned: bool,
}

// === impl Account ===

impl Account {
    pub(super) fn new(scope: Scope) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), scope, state: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panicked, numbers stay numbers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// What is used and reserved of a rate.
    pub(super) fn used(&mut self, rate: Rate, now: Instant) -> i64 {
        match (rate, &mut self.windows) {
            (Rate::Parallel, _) => self.parallel,
            (_, None) => 0,
            (Rate::Requests, Some(windows)) => windows.requests.total(now),
            (Rate::Tokens, Some(windows)) => windows.tokens.total(now),
        }
    }

    /// Takes of a rate; tells in which second, for [`State::give_back`].
    pub(super) fn take(&mut self, rate: Rate, amount: i64, now: Instant) -> u64 {
        if rate == Rate::Parallel {
            self.parallel = self.parallel.saturating_add(amount);
            return 0;
        }
        self.window(rate).add(amount, now)
    }

    /// What was taken in that second is less after all.
    pub(super) fn give_back(&mut self, rate: Rate, amount: i64, second: u64, now: Instant) {
        if rate == Rate::Parallel {
            self.parallel = self.parallel.saturating_sub(amount).max(0);
        } else if self.windows.is_some() {
            self.window(rate).take_back(amount, second, now);
        }
    }

    /// How long until no more than `most` is used of a rate.
    pub(super) fn wait(&mut self, rate: Rate, most: i64, now: Instant) -> Duration {
        match (rate, &self.windows) {
            (Rate::Parallel, _) if self.parallel <= most => Duration::ZERO,
            (Rate::Parallel, _) => SOON,
            (_, None) => Duration::ZERO,
            (_, Some(_)) => self.window(rate).time_until(|used| *used <= most, now),
        }
    }

    fn window(&mut self, rate: Rate) -> &mut LastMinute<i64> {
        let windows = self.windows.get_or_insert_default();
        if rate == Rate::Requests { &mut windows.requests } else { &mut windows.tokens }
    }

    /// What is spent since, reservations not counted.
    pub(super) fn spent(&self, since: Option<SystemTime>) -> i64 {
        self.terms.iter().find(|purse| purse.since == since).map_or(0, Purse::spent)
    }

    /// What is spent and reserved since.
    pub(super) fn spent_or_reserved(&self, since: Option<SystemTime>) -> i64 {
        let purse = self.terms.iter().find(|purse| purse.since == since);
        purse.map_or(0, |purse| purse.spent().saturating_add(purse.reserved))
    }

    pub(super) fn reserve(&mut self, since: Option<SystemTime>, amount: i64) {
        let purse = self.purse(since);
        purse.reserved = purse.reserved.saturating_add(amount);
    }

    /// What was reserved isn't any more, and this was spent.
    pub(super) fn settle(&mut self, since: Option<SystemTime>, reserved: i64, cost: i64) {
        let purse = self.purse(since);
        purse.reserved = purse.reserved.saturating_sub(reserved).max(0);
        purse.own = purse.own.saturating_add(cost.max(0));
    }

    /// The database has these calls of ours.
    pub(super) fn written(&mut self, since: Option<SystemTime>, amount: i64) {
        if let Some(purse) = self.terms.iter_mut().find(|purse| purse.since == since) {
            purse.written = purse.written.saturating_add(amount);
        }
    }

    /// The database says that so much was spent since. Of terms that are over nobody wants to know.
    pub(super) fn known(&mut self, since: Option<SystemTime>, total: i64) {
        let newest = self.terms.iter().map(|purse| purse.since).max();
        if since.is_some() && newest.is_some_and(|newest| newest > since) {
            return;
        }
        let purse = self.purse(since);
        purse.others = total.saturating_sub(purse.written);
    }

    /// Somebody says what was spent since.
    pub(super) fn set(&mut self, since: Option<SystemTime>, total: i64) {
        let purse = self.purse(since);
        purse.others = total.saturating_sub(purse.own);
        purse.warned = false;
    }

    /// Nothing is spent, in no term; returns these.
    pub(super) fn begin_anew(&mut self) -> SmallVec<[Option<SystemTime>; 1]> {
        let terms: SmallVec<_> = self.terms.iter().map(|purse| purse.since).collect();
        terms.iter().for_each(|since| self.set(*since, 0));
        terms
    }

    /// Whether it is more than `soft`, and nobody has been told in this term.
    pub(super) fn passes(&mut self, since: Option<SystemTime>, soft: i64) -> bool {
        let purse = self.purse(since);
        let passes = purse.spent() > soft && !purse.warned;
        purse.warned |= passes;
        passes
    }

    fn purse(&mut self, since: Option<SystemTime>) -> &mut Purse {
        let position = match self.terms.iter().position(|purse| purse.since == since) {
            Some(position) => position,
            None => {
                self.forget_old();
                self.terms.push(Purse { since, ..Purse::default() });
                self.terms.len() - 1
            }
        };
        self.terms.get_mut(position).expect("it was found, or has just been put there")
    }

    /// Forgets terms that are over and that no call under way belongs to.
    fn forget_old(&mut self) {
        while self.terms.len() >= MOST_TERMS {
            let over = |purse: &&Purse| purse.since.is_some() && purse.reserved == 0;
            let Some(oldest) = self.terms.iter().filter(over).filter_map(|purse| purse.since).min() else { return };
            self.terms.retain(|purse| purse.since != Some(oldest));
        }
    }

    /// Frees what it can do without. Whether nothing is left that anybody could miss.
    pub(super) fn tidy(&mut self, now: Instant) -> bool {
        let used = self.used(Rate::Requests, now) != 0 || self.used(Rate::Tokens, now) != 0;
        if !used {
            self.windows = None;
        }
        let in_use = |purse: &Purse| purse.reserved != 0 || purse.spent() != 0 || purse.own != purse.written;
        !used && self.parallel == 0 && !self.terms.iter().any(in_use)
    }
}

impl Purse {
    fn spent(&self) -> i64 {
        self.others.saturating_add(self.own).max(0)
    }
}
