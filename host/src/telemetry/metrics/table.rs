//! Labels to series.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::labels::{Labels, Of};
use super::series::Series;

/// So many tables, that calls on different cores seldom touch the same one.
const SHARDS: usize = 32;

/// All series. Written to when a call is the first of its kind.
#[derive(Debug)]
pub(super) struct Table {
    hasher: RandomState,
    /// By the hash of their labels; several where hashes coincide.
    shards: [RwLock<HashMap<u64, Vec<Arc<Series>>>>; SHARDS],
    count: AtomicUsize,
    most: usize,
    /// Of all that came when there were so many.
    rest: Arc<Series>,
}

// === impl Table ===

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: Default::default(),
            count: AtomicUsize::new(0),
            most,
            rest: Arc::new(Series::new(Labels::of_the_rest())),
        }
    }

    /// The series of a call.
    pub(super) fn of(&self, labels: &Of<'_>) -> Arc<Series> {
        let mut hasher = self.hasher.build_hasher();
        labels.hash(&mut hasher);
        let hash = hasher.finish();
        let Some(shard) = self.shards.get(hash as usize % SHARDS) else { return self.rest.clone() };
        let find = |known: &HashMap<u64, Vec<Arc<Series>>>| {
            known.get(&hash)?.iter().find(|series| labels.is(&series.labels)).cloned()
        };
        if let Some(series) = find(&shard.read().unwrap_or_else(PoisonError::into_inner)) {
            return series;
        }
        if self.count.load(Ordering::Relaxed) >= self.most {
            return self.rest.clone();
        }
        let mut known = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = find(&known) {
            return series;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let series = Arc::new(Series::new(labels.owned()));
        known.entry(hash).or_default().push(series.clone());
        series
    }

    /// All that something was counted of.
    pub(super) fn all(&self) -> Vec<Arc<Series>> {
        let mut all = Vec::with_capacity(self.count.load(Ordering::Relaxed) + 1);
        for shard in &self.shards {
            all.extend(shard.read().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned());
        }
        if self.count.load(Ordering::Relaxed) >= self.most {
            all.push(self.rest.clone());
        }
        all
    }
}
