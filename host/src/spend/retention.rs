//! Deletes what is too old, a little at a time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::config::StoreSettings;
use crate::store::{Database, StoreError};

/// How often what only this program needs is tidied up.
const HOUSEKEEPING: Duration = Duration::from_secs(600);
/// A batch that may be sent again is younger.
const BATCHES: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A call of the last period may be under way for as long.
const TOTALS: Duration = Duration::from_secs(60 * 60);
/// Between two little steps: others want to write too.
const PAUSE: Duration = Duration::from_millis(50);

/// Goes on for as long as the process does.
pub async fn keep_tidy(database: Arc<Database>, settings: StoreSettings) {
    let mut housekeeping = interval(HOUSEKEEPING);
    let mut purge = interval(settings.retention_interval);
    for clock in [&mut housekeeping, &mut purge] {
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        let done = tokio::select! {
            _ = housekeeping.tick() => tidy(&database).await,
            _ = purge.tick(), if settings.retention.is_some() => {
                calls(&database, settings.retention.unwrap_or(Duration::MAX)).await
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "what is too old can't be deleted from the database; it is tried again");
        }
    }
}

async fn tidy(database: &Database) -> Result<(), StoreError> {
    database.forget_batches(before(BATCHES)).await?;
    database.forget_totals(before(TOTALS)).await
}

async fn calls(database: &Database, age: Duration) -> Result<(), StoreError> {
    let mut deleted = 0;
    loop {
        let some = database.delete_calls(before(age)).await?;
        if some == 0 {
            break;
        }
        deleted += some;
        sleep(PAUSE).await;
    }
    if deleted > 0 {
        tracing::info!(rows = deleted, "deleted the rows of calls that are older than the retention period");
    }
    Ok(())
}

fn before(age: Duration) -> SystemTime {
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}
