//! What this gateway holds of the limits that are shared, and what Redis isn't told yet.
//!
//! What is to be told is summed up by counter: it takes no more room than there are counters, however long Redis is away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::super::{Amount, Claim, End, Rate};
use super::names::Names;

/// So many counters may wait to be told of; what is beyond them is in the database only.
const MOST_UNTOLD: usize = 50_000;
/// Changes in one batch.
const BATCH: usize = 500;

/// What is held and what is untold.
#[derive(Debug)]
pub(super) struct Ledger {
    began: Instant,
    state: Mutex<State>,
    /// What tests say the time is.
    #[cfg(test)]
    pub(super) now_of_tests: std::sync::atomic::AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the names that this gateway has had in Redis.
    generation: u64,
    /// Parallel calls and reserved money, by counter.
    held: HashMap<String, i64>,
    untold: Untold,
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Untold {
    /// Differences of what is held.
    held: HashMap<String, i64>,
    /// Money, and since when at least it waits.
    spent: HashMap<String, (i64, u64)>,
    /// Money that somebody has spent from now on, whatever was counted.
    set: HashMap<String, i64>,
    /// Of rates: what wasn't needed of what was taken in a second, below 0.
    back: HashMap<(String, u64), i64>,
    /// Of rates: what was used beyond what was taken.
    late: HashMap<String, i64>,
}

/// Changes that are told together.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) counter: String,
    pub(super) what: What,
    pub(super) amount: i64,
}

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// What is held.
    Held,
    /// What is spent from now on, whatever was counted.
    Set,
    /// What is spent, some of it then: in ms since the ledger began.
    Spent(u64),
    /// What was taken in a second.
    Back(u64),
    /// What was used beyond what was taken.
    Late,
}

// === impl Ledger ===

impl Default for Ledger {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::default(),
            #[cfg(test)]
            now_of_tests: Default::default(),
        }
    }
}

impl Ledger {
    /// The time, in ms since the ledger began.
    pub(super) fn now(&self) -> u64 {
        #[cfg(test)]
        if let now @ 1.. = self.now_of_tests.load(std::sync::atomic::Ordering::Relaxed) {
            return now;
        }
        self.began.elapsed().as_millis() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims were taken in Redis by the name of this generation; or, with `None`, only here.
    pub(super) fn taken(&self, names: &Names, claims: &[Claim], generation: Option<u64>) {
        let mut state = self.state();
        // What was taken by an older name, or not at all, is void there: it is told again.
        let is_known = generation == Some(state.generation);
        for claim in claims.iter().filter(|claim| is_held(claim)) {
            let counter = names.counter(claim);
            if !is_known {
                change(&mut state.untold.held, counter.clone(), claim.reserved());
            }
            change(&mut state.held, counter, claim.reserved());
        }
    }

    /// How what is held of a claim's counter has changed, which whoever asks tells now; nothing if another name has the say.
    /// Money is given back together with what of it was spent: in between there would be more than there is.
    pub(super) fn untold_of(&self, counter: &str, generation: u64) -> i64 {
        let mut state = self.state();
        if state.generation != generation || state.untold.spent.contains_key(counter) {
            return 0;
        }
        state.untold.held.remove(counter).unwrap_or_default()
    }

    /// They have ended. `second` is when their rates were counted, if they were.
    pub(super) fn ended(&self, names: &Names, claims: &[Claim], second: Option<u64>, end: End) {
        let now = self.now();
        let mut guard = self.state();
        let state = &mut *guard;
        for claim in claims {
            let counter = names.counter(claim);
            let (reserved, kept) = (claim.reserved(), claim.kept(end));
            if is_held(claim) {
                change(&mut state.untold.held, counter.clone(), reserved.saturating_neg());
                change(&mut state.held, counter.clone(), reserved.saturating_neg());
            } else if let Some(second) = second {
                let difference = kept.saturating_sub(reserved);
                if difference < 0 && state.untold.back.len() < MOST_UNTOLD {
                    change(&mut state.untold.back, (counter, second), difference);
                } else if difference > 0 && state.untold.late.len() < MOST_UNTOLD {
                    change(&mut state.untold.late, counter, difference);
                }
                continue;
            }
            if matches!(claim.of, Amount::Money { .. }) && kept != 0 {
                let count = state.untold.spent.len();
                match state.untold.spent.get_mut(&counter) {
                    Some((sum, _)) => *sum = sum.saturating_add(kept),
                    None if count < MOST_UNTOLD => drop(state.untold.spent.insert(counter, (kept, now))),
                    None => state.forgotten += 1,
                }
            }
        }
    }

    /// Somebody has spent so much from now on.
    pub(super) fn set_spent(&self, counter: String, spent: i64) {
        let mut state = self.state();
        state.untold.spent.remove(&counter);
        state.untold.set.insert(counter, spent);
    }

    /// This gateway gets another name: which, by its number, and what it holds.
    pub(super) fn rejoin(&self) -> (u64, Vec<(String, i64)>) {
        let mut state = self.state();
        state.generation += 1;
        state.untold.held = HashMap::new();
        (state.generation, state.held.iter().map(|(counter, sum)| (counter.clone(), *sum)).collect())
    }

    /// Windows that rates are counted in are over.
    pub(super) fn forget_rates(&self) {
        let mut state = self.state();
        state.untold.back = HashMap::new();
        state.untold.late = HashMap::new();
    }

    /// Some of what is to be told, which isn't kept here any longer; `None`: there is nothing.
    pub(super) fn untold(&self) -> Option<Batch> {
        let mut state = self.state();
        let untold = &mut state.untold;
        let mut changes = Vec::new();
        let change = |(counter, amount), what| Change { counter, what, amount };
        changes.extend(drain(&mut untold.set, BATCH).map(|entry| change(entry, What::Set)));
        let left = BATCH.saturating_sub(changes.len());
        changes.extend(
            drain(&mut untold.spent, left).map(|(counter, (sum, since))| change((counter, sum), What::Spent(since))),
        );
        // After what was spent, never before it.
        let left = BATCH.saturating_sub(changes.len());
        changes.extend(drain(&mut untold.held, left).map(|entry| change(entry, What::Held)));
        let left = BATCH.saturating_sub(changes.len());
        changes.extend(
            drain(&mut untold.back, left).map(|((counter, second), sum)| change((counter, sum), What::Back(second))),
        );
        let left = BATCH.saturating_sub(changes.len());
        changes.extend(drain(&mut untold.late, left).map(|entry| change(entry, What::Late)));
        (!changes.is_empty()).then_some(Batch { changes })
    }

    /// How many sums were not kept for Redis, for want of room.
    pub(super) fn forgotten(&self) -> u64 {
        self.state().forgotten
    }
}

/// Whether it is held until the call ends.
fn is_held(claim: &Claim) -> bool {
    matches!(claim.of, Amount::Money { .. } | Amount::Rate { what: Rate::Parallel, .. })
}

/// Adds; a sum of nothing takes no room.
fn change<K: std::hash::Hash + Eq>(sums: &mut HashMap<K, i64>, counter: K, amount: i64) {
    use std::collections::hash_map::Entry;
    match sums.entry(counter) {
        Entry::Occupied(mut entry) => {
            *entry.get_mut() = entry.get().saturating_add(amount);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        Entry::Vacant(entry) if amount != 0 => drop(entry.insert(amount)),
        Entry::Vacant(_) => {}
    }
}

/// Takes out some entries. A map that is emptied gives its room back.
fn drain<K: Clone + std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, most: usize) -> impl Iterator<Item = (K, V)> {
    let some = if map.len() <= most {
        std::mem::take(map).into_iter().collect()
    } else {
        let keys: Vec<K> = map.keys().take(most).cloned().collect();
        keys.into_iter().filter_map(|key| map.remove_entry(&key)).collect::<Vec<_>>()
    };
    some.into_iter()
}

// === impl Batch ===

impl Batch {
    /// What of it may be told by another name: all but what was held by the old one.
    pub(super) fn without_held(mut self) -> Self {
        self.changes.retain(|change| change.what != What::Held);
        self
    }
}
