//! Many streams that are all open at once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::{JoinHandle, spawn_local};

use super::{Client, Load, Tally};

/// How many are opened a second: a crowd, not a flood.
const OPENED_PER_SECOND: u32 = 2000;
/// How long all may take to get their first chunk, once the last was opened.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens them, and returns when each has had its first chunk.
pub(super) async fn start(load: &Rc<Load>, tally: &Rc<Tally>, streams: u32) -> Result<Vec<JoinHandle<()>>> {
    let begin = Instant::now();
    let opener = |index| {
        let (load, tally) = (load.clone(), tally.clone());
        spawn_local(async move {
            let due = begin + Duration::from_secs(1) / OPENED_PER_SECOND * index;
            tokio::time::sleep_until(due.into()).await;
            let stream = async { Client::connect(load.address).await?.call(&load.call, Instant::now(), &tally).await };
            if let Err(wrong) = stream.await {
                tally.failed(&wrong);
            }
        })
    };
    let callers = (0..streams).map(opener).collect();
    let latest = begin + Duration::from_secs(1) / OPENED_PER_SECOND * streams + PATIENCE;
    while tally.begun() < u64::from(streams) {
        if let Some(error) = tally.first_error() {
            bail!("{} of {streams} streams are open, then: {error}", tally.begun());
        }
        if Instant::now() > latest {
            bail!("only {} of {streams} streams have begun", tally.begun());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(callers)
}
