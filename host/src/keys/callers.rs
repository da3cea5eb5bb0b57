//! What calls look keys up in: immutable maps that are replaced, so that nobody waits for anybody.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::roster::Changed;
use super::{Caller, KeyHash};

/// One for each value of a hash's first byte: a change copies one map of these, so that making ten thousand keys one after
/// another copies forty entries each time.
const SHARDS: usize = 256;

/// All callers, by the hashes of their keys. Readers take no lock; writers come one at a time.
#[derive(Debug)]
pub(super) struct Callers {
    shards: Vec<ArcSwap<Shard>>,
}

type Shard = HashMap<KeyHash, Arc<Caller>>;

impl Default for Callers {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| ArcSwap::default()).collect() }
    }
}

impl Callers {
    pub(super) fn get(&self, hash: &KeyHash) -> Option<Arc<Caller>> {
        self.shards.get(place(hash))?.load().get(hash).cloned()
    }

    /// Makes these changes.
    pub(super) fn change(&self, changed: Changed) {
        let mut by_shard: HashMap<usize, Vec<_>> = HashMap::new();
        for (hash, caller) in changed {
            by_shard.entry(place(&hash)).or_default().push((hash, caller));
        }
        for (place, changed) in by_shard {
            let Some(shard) = self.shards.get(place) else { continue };
            let mut callers = Shard::clone(&shard.load());
            for (hash, caller) in changed {
                match caller {
                    Some(caller) => callers.insert(hash, caller),
                    None => callers.remove(&hash),
                };
            }
            shard.store(Arc::new(callers));
        }
    }

    /// These and no others.
    pub(super) fn replace(&self, all: HashMap<KeyHash, Arc<Caller>>) {
        let mut shards: Vec<Shard> = (0..self.shards.len()).map(|_| Shard::new()).collect();
        for (hash, caller) in all {
            if let Some(shard) = shards.get_mut(place(&hash)) {
                shard.insert(hash, caller);
            }
        }
        for (shard, callers) in self.shards.iter().zip(shards) {
            shard.store(Arc::new(callers));
        }
    }
}

fn place(hash: &KeyHash) -> usize {
    let [first, ..] = hash.0;
    usize::from(first)
}
