//! Deletes what is too old.

use std::time::{Duration, SystemTime};

use super::database::within;
use super::scope::millis;
use super::{Database, StoreError};

/// Rows in a step: some milliseconds of SQLite's one writer.
const STEP: i64 = 500;
const LIMIT: Duration = Duration::from_secs(30);

impl Database {
    /// Deletes some of the rows of calls that began earlier; tells how many.
    ///
    /// # Errors
    /// The database doesn't do it.
    pub async fn delete_calls(&self, before: SystemTime) -> Result<u64, StoreError> {
        let delete =
            "DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE started < $1 ORDER BY started LIMIT $2)";
        let delete = sqlx::query(delete).bind(millis(before)).bind(STEP);
        within(LIMIT, async { Ok(delete.execute(self.pool()).await?.rows_affected()) }).await
    }

    /// Forgets which batches there were: nobody sends them again.
    ///
    /// # Errors
    /// The database doesn't do it.
    pub async fn forget_batches(&self, before: SystemTime) -> Result<(), StoreError> {
        let delete = "DELETE FROM batches WHERE id IN (SELECT id FROM batches WHERE at < $1 ORDER BY at LIMIT $2)";
        loop {
            let step = sqlx::query(delete).bind(millis(before)).bind(STEP);
            if within(LIMIT, async { Ok(step.execute(self.pool()).await?.rows_affected()) }).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Forgets what was spent in periods that others have followed.
    ///
    /// # Errors
    /// The database doesn't do it.
    pub async fn forget_totals(&self, before: SystemTime) -> Result<(), StoreError> {
        let delete = "DELETE FROM totals WHERE since >= 0 AND since < $1 AND EXISTS (SELECT 1 FROM totals AS later \
                      WHERE later.scope = totals.scope AND later.model = totals.model AND later.since > totals.since \
                      AND later.since < $1)";
        let delete = sqlx::query(delete).bind(millis(before));
        within(LIMIT, async {
            delete.execute(self.pool()).await?;
            Ok(())
        })
        .await
    }
}
