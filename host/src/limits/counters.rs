//! All accounts, by scope. A call takes none of these locks: whoever calls keeps its accounts at hand.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::time::Instant;

use super::Scope;
use super::account::Account;

const SHARDS: usize = 16;

type Shard = RwLock<HashMap<Scope, Arc<Account>>>;

/// All accounts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    hasher: RandomState,
    shards: [Shard; SHARDS],
}

impl Counters {
    /// The account of a scope, made if there is none.
    pub(super) fn account(&self, scope: &Scope) -> Arc<Account> {
        if let Some(account) = self.find(scope) {
            return account;
        }
        let mut shard = self.shard(scope).write().unwrap_or_else(PoisonError::into_inner);
        shard.entry(scope.clone()).or_insert_with(|| Arc::new(Account::new(scope.clone()))).clone()
    }

    /// The account of a scope, if there is one.
    pub(super) fn find(&self, scope: &Scope) -> Option<Arc<Account>> {
        self.shard(scope).read().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    /// The accounts of these, and of single models of theirs.
    pub(super) fn of_all(&self, owners: &HashSet<Scope>) -> Vec<Arc<Account>> {
        let is_theirs = |scope: &Scope| match scope {
            Scope::Model(owner, _) => owners.contains(&**owner),
            own => owners.contains(own),
        };
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            found.extend(shard.values().filter(|account| is_theirs(&account.scope)).cloned());
        }
        found
    }

    /// Forgets accounts that nobody has and that say nothing, and frees what the others can do without.
    pub(super) fn tidy(&self, now: Instant) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, account| {
                let says_nothing = account.lock().tidy(now);
                // Under the lock nobody takes another one.
                !says_nothing || Arc::strong_count(account) > 1
            });
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn shard(&self, scope: &Scope) -> &Shard {
        let index = self.hasher.hash_one(scope) as usize % SHARDS;
        self.shards.get(index).expect("a remainder is less than the number of shards")
    }
}
