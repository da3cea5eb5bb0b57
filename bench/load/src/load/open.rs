//! Open loop: calls begin at a fixed rate and are timed from when they were due, so that a stall counts for every call
//! that it held up.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Result;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

use super::schedule::{Schedule, Timer};
use super::{Client, Load, MAX_ERRORS, Tally, Wrong};

/// Calls that are due and that no connection was free for yet.
#[derive(Debug, Default)]
struct Queue {
    due: RefCell<VecDeque<Instant>>,
    filled: Notify,
}

/// Starts the clock and the connections.
pub(super) fn start(
    load: &Rc<Load>,
    tally: &Rc<Tally>,
    per_second: u32,
    connections: u32,
) -> Result<Vec<JoinHandle<()>>> {
    let queue = Rc::new(Queue::default());
    let mut schedule = Schedule::new(Instant::now(), per_second);
    let timer = Timer::every(schedule.every())?;
    let (to_fill, stopping) = (queue.clone(), tally.clone());
    let clock = spawn_local(async move {
        while !stopping.is_stopped() {
            if let Err(error) = timer.tick().await {
                stopping.failed(&error);
                break;
            }
            let now = Instant::now();
            while let Some(due) = schedule.due(now) {
                to_fill.due.borrow_mut().push_back(due);
                to_fill.filled.notify_one();
            }
        }
        to_fill.filled.notify_waiters();
    });
    let caller = |_| {
        let (load, tally, queue) = (load.clone(), tally.clone(), queue.clone());
        spawn_local(async move {
            while !tally.is_stopped() && tally.errors() < MAX_ERRORS {
                if let Err(wrong) = calls(&load, &tally, &queue).await {
                    tally.failed(&wrong);
                }
            }
        })
    };
    Ok(std::iter::once(clock).chain((0..connections).map(caller)).collect())
}

async fn calls(load: &Load, tally: &Tally, queue: &Queue) -> Result<(), Wrong> {
    let mut client = Client::connect(load.address).await?;
    while !tally.is_stopped() {
        let next = queue.due.borrow_mut().pop_front();
        match next {
            Some(due) => client.call(&load.call, due, tally).await?,
            None => queue.filled.notified().await,
        }
    }
    Ok(())
}
