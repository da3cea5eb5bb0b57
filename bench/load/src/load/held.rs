//! Many streams that are all open at once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::{JoinHandle, spawn_local};

use super::{Client, Load, Tally};

/// How many are opened a second at most, so that their chunks aren't all due at the same time.
const OPENED_PER_SECOND: u32 = 2000;
/// How many may wait for their first chunk: a crowd, not a flood, however slow the proxy is.
const MOST_OPENING: u64 = 100;
/// How long no stream may have begun before this gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens them, and returns when each has had its first chunk.
pub(super) async fn start(load: &Rc<Load>, tally: &Rc<Tally>, streams: u32) -> Result<Vec<JoinHandle<()>>> {
    let begin = Instant::now();
    let mut callers = Vec::new();
    for index in 0..streams {
        let due = begin + Duration::from_secs(1) / OPENED_PER_SECOND * index;
        tokio::time::sleep_until(due.into()).await;
        begun(tally, (u64::from(index) + 1).saturating_sub(MOST_OPENING)).await?;
        callers.push(spawn_local(hold(load.clone(), tally.clone())));
    }
    begun(tally, u64::from(streams)).await?;
    Ok(callers)
}

async fn hold(load: Rc<Load>, tally: Rc<Tally>) {
    let stream = async { Client::connect(load.address).await?.call(&load.call, Instant::now(), &tally).await };
    if let Err(wrong) = stream.await {
        tally.failed(&wrong);
    }
}

/// Waits until so many have begun.
async fn begun(tally: &Tally, wanted: u64) -> Result<()> {
    let mut last = (tally.begun(), Instant::now());
    while tally.begun() < wanted {
        if let Some(error) = tally.first_error() {
            bail!("{} streams are open, then: {error}", tally.begun());
        }
        if tally.begun() > last.0 {
            last = (tally.begun(), Instant::now());
        } else if last.1.elapsed() > PATIENCE {
            bail!("{} streams have begun, and no more within {PATIENCE:?}", tally.begun());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
