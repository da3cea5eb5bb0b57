//! What has to outlive the process: keys, users, teams, and what calls have cost. SQLite in a file, or Postgres.
//!
//! [`Store`] is what the rest of the gateway knows of it; [`Database`] is the one that there is. Its tables are described
//! in `host/migrations/`.

mod database;
mod directory;
mod error;
mod ledger;
mod open;
mod purge;
pub mod reports;
mod rows;
mod scope;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use crate::keys::{Key, KeyHash, Team, User};
use crate::limits::Scope;
use crate::money::Money;
use crate::usage::CallRecord;

pub use database::{Database, Kind};
pub use error::StoreError;
pub use open::{OpenError, open};
pub use rows::without_nul;

/// A database, seen from the gateway. Every call may take as long as the database does; none of them is made on the path
/// of a request to a model.
pub trait Store: Send + Sync + Debug {
    /// Everybody, and the version of the directory that this is.
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>>;
    /// What has changed since a version, also by other gateways.
    fn changes_since(&self, version: i64) -> BoxFuture<'_, Result<Changes, StoreError>>;
    /// Changes the directory, all of it or nothing; returns the new version.
    fn write<'a>(&'a self, edits: &'a [Edit]) -> BoxFuture<'a, Result<i64, StoreError>>;
    /// What all scopes have spent, by the beginnings of their periods.
    fn totals(&self) -> BoxFuture<'_, Result<Vec<Total>, StoreError>>;
    /// Adds what calls have cost: rows, aggregates and totals, in one transaction that counts once however often it is
    /// sent.
    fn record<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Whether it answers.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The directory at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Which.
    pub version: i64,
    /// All keys.
    pub keys: Vec<Key>,
    /// All users.
    pub users: Vec<User>,
    /// All teams.
    pub teams: Vec<Team>,
}

/// What has changed in the directory, as it is now.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The version that this leads to.
    pub version: i64,
    /// What was made or changed, and what was deleted.
    pub edits: Vec<Edit>,
}

/// One change of the directory.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Made or changed.
    PutKey(Box<Key>),
    /// Deleted.
    DeleteKey(KeyHash),
    /// Made or changed.
    PutUser(Box<User>),
    /// Deleted.
    DeleteUser(String),
    /// Made or changed.
    PutTeam(Box<Team>),
    /// Deleted.
    DeleteTeam(String),
    /// What a scope has spent in this period is another sum now: `/key/{key}/reset_spend`, `spend` in an update.
    SetSpend(Total),
}

/// What a scope has spent since its period began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// Who.
    pub scope: Scope,
    /// When its period began; `None`: it has none.
    pub since: Option<SystemTime>,
    /// How much.
    pub spent: Money,
}

/// Calls that are written together: all of it, once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Identifies it: it is counted once, however often it is sent.
    pub id: String,
    /// The calls that get a row of their own.
    pub calls: Vec<Arc<CallRecord>>,
    /// Their rows hold what was asked and answered, as far as it is known.
    pub bodies: bool,
    /// What all calls came to, by day and what they are told apart by; those without a row count here too.
    pub daily: BTreeMap<DailyOf, Sums>,
    /// The same by tag.
    pub tags: BTreeMap<TagOf, Sums>,
    /// What they add to whom, by the beginning of its period.
    pub totals: BTreeMap<(Scope, Option<SystemTime>), Money>,
}

/// What calls of a day are told apart by. An empty text is nobody, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DailyOf {
    /// In UTC: `2026-11-23`.
    pub day: String,
    /// In hexadecimal.
    pub key_hash: String,
    /// The key's user.
    pub user_id: String,
    /// The key's team.
    pub team_id: String,
    /// What the client named.
    pub model_group: String,
    /// The provider's name of what served it.
    pub model: String,
    /// The provider.
    pub provider: String,
}

/// The same for a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagOf {
    /// In UTC: `2026-11-23`.
    pub day: String,
    /// The tag.
    pub tag: String,
    /// In hexadecimal.
    pub key_hash: String,
    /// What the client named.
    pub model_group: String,
    /// The provider's name of what served it.
    pub model: String,
    /// The provider.
    pub provider: String,
}

/// What calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub calls: i64,
    /// Of these: ended with an error. A client that left is none.
    pub failed: i64,
    /// Of these: they used something, and its price isn't known.
    pub unpriced: i64,
    /// Tokens of prompts.
    pub prompt_tokens: i64,
    /// Tokens of answers.
    pub completion_tokens: i64,
    /// Of the prompts' tokens: read from a provider's cache.
    pub cache_read_tokens: i64,
    /// Of the prompts' tokens: written to a provider's cache.
    pub cache_write_tokens: i64,
    /// Of the answers' tokens: spent on reasoning.
    pub reasoning_tokens: i64,
    /// What they cost.
    pub spent: Money,
}

// === impl Batch ===

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.daily.is_empty() && self.tags.is_empty() && self.totals.is_empty()
    }
}

// === impl Sums ===

impl Sums {
    /// Adds another one's.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.calls, other.calls),
            (&mut self.failed, other.failed),
            (&mut self.unpriced, other.unpriced),
            (&mut self.prompt_tokens, other.prompt_tokens),
            (&mut self.completion_tokens, other.completion_tokens),
            (&mut self.cache_read_tokens, other.cache_read_tokens),
            (&mut self.cache_write_tokens, other.cache_write_tokens),
            (&mut self.reasoning_tokens, other.reasoning_tokens),
        ];
        for (sum, amount) in pairs {
            *sum = sum.saturating_add(amount);
        }
        self.spent = self.spent.saturating_add(other.spent);
    }
}
