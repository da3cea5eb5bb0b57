//! What is written together, and how it is taken apart where the database refuses it: one call that it can't take must not
//! cost the others their place in the books.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::aggregate::{Kept, merge};
use crate::store::Batch;
use crate::usage::CallRecord;

/// Calls, and sums of calls for which the queue had no place.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) sums: Batch,
    pub(super) calls: Vec<Arc<CallRecord>>,
}

// === impl Load ===

impl Load {
    pub(super) fn is_empty(&self) -> bool {
        self.sums.is_empty() && self.calls.is_empty()
    }

    /// Its calls, but for those of which only sums are left.
    pub(super) fn number(&self) -> u64 {
        u64::try_from(self.calls.len()).unwrap_or(u64::MAX)
    }

    /// How many calls are in no sum of a day without it.
    pub(super) fn loss(&self) -> u64 {
        let summed: i64 = self.sums.daily.values().map(|sums| sums.calls).sum();
        self.number().saturating_add(u64::try_from(summed).unwrap_or(0))
    }

    /// All of it, under a name of its own.
    pub(super) fn batch(&self, kept: Kept) -> Batch {
        let mut batch = kept.batch();
        merge(&mut batch, self.sums.clone());
        for call in &self.calls {
            kept.add(&mut batch, call.clone());
        }
        batch
    }

    /// Two smaller ones; `None`: it can't be taken apart.
    pub(super) fn halves(mut self) -> Option<[Self; 2]> {
        if !self.calls.is_empty() && !self.sums.is_empty() {
            let calls = std::mem::take(&mut self.calls);
            return Some([self, Self { calls, sums: Batch::default() }]);
        }
        if self.calls.len() > 1 {
            let calls = self.calls.split_off(self.calls.len() / 2);
            return Some([self, Self { calls, sums: Batch::default() }]);
        }
        let Batch { daily, tags, totals, .. } = &mut self.sums;
        let mut other = Batch::default();
        // Sums of one kind, then half of them.
        match [!daily.is_empty(), !tags.is_empty(), !totals.is_empty()] {
            [true, true, _] | [true, _, true] => other.daily = std::mem::take(daily),
            [_, true, true] => other.tags = std::mem::take(tags),
            _ => {
                other.daily = second_half(daily);
                other.tags = second_half(tags);
                other.totals = second_half(totals);
            }
        }
        (!other.is_empty()).then(|| [self, Self { sums: other, calls: Vec::new() }])
    }
}

/// Nothing of one alone.
fn second_half<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>) -> BTreeMap<K, V> {
    let middle = map.keys().nth(map.len().div_ceil(2)).cloned();
    middle.map(|middle| map.split_off(&middle)).unwrap_or_default()
}
