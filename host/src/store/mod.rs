//! What has to outlive the process: keys, users, teams, and what calls have cost. SQLite in a file, or Postgres.
//!
//! [`Store`] is what the rest of the gateway knows of it; [`Database`](database) is the one that there is.

use std::fmt::Debug;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use crate::keys::{Key, KeyHash, Team, User};
use crate::limits::Scope;
use crate::money::Money;
use crate::usage::CallRecord;

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
    /// What a scope has spent is another sum now: `/key/{key}/reset_spend`, `spend` in an update.
    SetSpend(Scope, Money),
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

/// Calls that are written together.
#[derive(Debug, Default)]
pub struct Batch {
    /// Identifies it: it is counted once.
    pub id: String,
    /// The calls.
    pub calls: Vec<std::sync::Arc<CallRecord>>,
    /// What they add to whom.
    pub totals: Vec<Total>,
    /// Whether the calls have rows of their own: not with `disable_spend_logs`.
    pub rows: bool,
}

/// The database didn't do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, or has no room, or is too slow: later it may.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Another one has it: a key or an alias exists already.
    #[error("{0}")]
    Conflict(String),
    /// What it holds makes no sense to us.
    #[error("the database holds what can't be read: {0}")]
    Unreadable(String),
}
