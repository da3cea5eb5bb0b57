//! SQLite or Postgres, by the same SQL.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::AnyPool;

use super::reports::Reports;
use super::{Batch, Changes, Edit, Snapshot, Store, StoreError, Total};

/// For what somebody waits: an admin, or a call with a key that nobody here knows.
const SHORT: Duration = Duration::from_secs(5);
/// For what nobody waits.
const LONG: Duration = Duration::from_secs(30);

/// A database that is open. It may be away for a while: each call says so after some seconds, and the next one may succeed.
pub struct Database {
    pool: AnyPool,
    kind: Kind,
    reports: Reports,
}

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Database {
    pub(super) fn new(pool: AnyPool, kind: Kind, reports: Reports) -> Self {
        Self { pool, kind, reports }
    }

    /// Connections to it, for queries of this module.
    pub(super) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// What calls have cost, over connections of its own.
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// Which one it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Lets go of all connections; SQLite then folds its log into the file.
    pub async fn close(&self) {
        self.reports.close().await;
        self.pool.close().await;
    }
}

impl Store for Database {
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(within(LONG, self.read_directory()))
    }

    fn changes_since(&self, version: i64) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(within(SHORT, self.read_changes(version)))
    }

    fn write<'a>(&'a self, edits: &'a [Edit]) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(within(SHORT, self.write_directory(edits)))
    }

    fn totals(&self) -> BoxFuture<'_, Result<Vec<Total>, StoreError>> {
        Box::pin(within(LONG, self.read_totals()))
    }

    fn record<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(within(LONG, self.write_batch(batch)))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(within(SHORT, async {
            let _: i64 = sqlx::query_scalar("SELECT version FROM directory WHERE id = 1").fetch_one(&self.pool).await?;
            Ok(())
        }))
    }
}

/// A database that says nothing at all is not available either.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let silence = || StoreError::Unavailable(format!("no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(silence()))
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool would show the URL, and the password in it.
        f.debug_struct("Database").field("kind", &self.kind).finish_non_exhaustive()
    }
}
