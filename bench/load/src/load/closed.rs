//! Closed loop: as many calls at once as there are connections, as fast as they are answered.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};

use super::{Client, Load, MAX_ERRORS, Tally, Wrong};

/// Starts the connections, spread over a time.
pub(super) fn start(load: &Rc<Load>, tally: &Rc<Tally>, connections: u32, spread: Duration) -> Vec<JoinHandle<()>> {
    let caller = |index| {
        let (load, tally) = (load.clone(), tally.clone());
        spawn_local(async move {
            tokio::time::sleep(spread / connections * index).await;
            while !tally.is_stopped() && tally.errors() < MAX_ERRORS {
                if let Err(wrong) = calls(&load, &tally).await {
                    tally.failed(&wrong);
                }
            }
        })
    };
    (0..connections).map(caller).collect()
}

async fn calls(load: &Load, tally: &Tally) -> Result<(), Wrong> {
    let mut client = Client::connect(load.address).await?;
    while !tally.is_stopped() {
        client.call(&load.call, Instant::now(), tally).await?;
    }
    Ok(())
}
