//! The one who writes: gathers calls for a moment, and writes them in one transaction, again and again until it is done.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::load::Load;
use super::writer::Door;
use crate::limits::Limiter;
use crate::store::{Batch, Store, StoreError, Total};
use crate::usage::CallRecord;

/// How long calls are gathered: together with the commit, what a crash may take.
const GATHER: Duration = Duration::from_millis(300);
/// Calls in a batch.
const MOST: usize = 500;
/// Between attempts: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A batch that the database refuses as often is written in halves, and these in halves, until what it refuses is one
/// call alone. One that it can't take at the moment waits for as long as that lasts.
const REFUSALS: u32 = 3;
/// Totals are read again after this many times the time that it took, so that many keys are no load.
const REST: u32 = 20;

/// What the task has.
pub(super) struct Task {
    store: Arc<dyn Store>,
    limiter: Arc<Limiter>,
    door: Arc<Door>,
    inbox: mpsc::Receiver<Arc<CallRecord>>,
    /// The end of the process: until when it waits.
    end: watch::Receiver<Option<Instant>>,
    reread: Duration,
    next_read: Instant,
}

impl Task {
    pub(super) fn new(
        store: Arc<dyn Store>,
        limiter: Arc<Limiter>,
        door: Arc<Door>,
        inbox: mpsc::Receiver<Arc<CallRecord>>,
        end: watch::Receiver<Option<Instant>>,
        reread: Duration,
    ) -> Self {
        let next_read = Instant::now() + reread;
        Self { store, limiter, door, inbox, end, reread, next_read }
    }

    pub(super) async fn run(mut self) {
        let mut calls = Vec::new();
        loop {
            // Asked before, for what came in until then has to be gathered.
            let was_closing = self.is_closing();
            self.gather(&mut calls).await;
            let is_last = calls.is_empty() && was_closing;
            let bytes: usize = calls.iter().map(|call| self.door.size(call)).sum();
            let number = calls.len();
            let load = Load { sums: self.door.overflow.take(), calls: std::mem::take(&mut calls) };
            if !load.is_empty() {
                self.write(load).await;
            }
            self.door.progress.dequeue(number, bytes);
            if is_last {
                return;
            }
            if Instant::now() >= self.next_read && !self.is_closing() {
                self.read_totals().await;
            }
        }
    }

    /// Waits for a call, and then for more for a moment.
    async fn gather(&mut self, calls: &mut Vec<Arc<CallRecord>>) {
        if self.is_closing() {
            while calls.len() < MOST
                && let Ok(call) = self.inbox.try_recv()
            {
                calls.push(call);
            }
            return;
        }
        tokio::select! {
            _ = self.inbox.recv_many(calls, MOST) => {}
            () = sleep_until(self.next_read) => return,
            _ = self.end.changed() => return,
        }
        let end = Instant::now() + GATHER;
        while calls.len() < MOST {
            let room = MOST - calls.len();
            tokio::select! {
                _ = self.inbox.recv_many(calls, room) => {}
                () = sleep_until(end) => return,
                _ = self.end.changed() => return,
            }
        }
    }

    /// Writes a load, however long it takes, but for the end of the process.
    async fn write(&mut self, load: Load) {
        let (mut written, mut lost, mut refusal) = (None, 0, None);
        let (mut loads, mut patience) = (vec![load], REFUSALS);
        while let Some(load) = loads.pop() {
            match self.write_part(&load, patience).await {
                Ok(()) => written = Some(written.unwrap_or(0) + load.number()),
                // The end of the process.
                Err(error @ StoreError::Unavailable(_)) => {
                    lost += load.loss() + loads.drain(..).map(|load| load.loss()).sum::<u64>();
                    refusal = Some(error);
                }
                Err(error) => {
                    let loss = load.loss();
                    match load.halves() {
                        Some(halves) => loads.extend(halves),
                        None => (lost, refusal) = (lost + loss, Some(error)),
                    }
                }
            }
            // That it refuses something is known by now.
            patience = 1;
        }
        if let Some(written) = written {
            self.door.progress.wrote(written);
        }
        if let Some(error) = refusal {
            self.door.progress.lost(lost);
            tracing::error!(calls = lost, %error, "what these calls have cost is not in the database");
        }
    }

    /// Writes a load in one batch. A call alone that is refused goes without its row then.
    ///
    /// # Errors
    /// The database has refused it so many times, or the process ends.
    async fn write_part(&self, load: &Load, patience: u32) -> Result<(), StoreError> {
        let mut batch = load.batch(self.door.kept);
        let (mut pause, mut refusals) = (RETRY.0, 0);
        loop {
            let result = tokio::select! {
                result = self.store.record(&batch) => result,
                () = over(self.end.clone()) => Err(StoreError::Unavailable("the gateway has ended before it was done".into())),
            };
            let Err(error) = result else {
                self.limiter.written(&totals(&batch));
                return Ok(());
            };
            let is_refusal = !matches!(error, StoreError::Unavailable(_));
            refusals += u32::from(is_refusal);
            self.door.progress.failed(error.to_string());
            if self.end.borrow().is_some_and(|end| Instant::now() >= end) {
                return Err(StoreError::Unavailable(error.to_string()));
            }
            if refusals >= patience {
                if batch.calls.len() != 1 || load.number() != 1 {
                    return Err(error);
                }
                self.door.progress.dropped(1);
                (batch.calls, refusals) = (Vec::new(), 0);
            }
            // What was refused in a larger batch need not wait.
            if patience > 1 || !is_refusal {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = over(self.end.clone()) => {}
                }
                pause = (pause * 2).min(RETRY.1);
            }
        }
    }

    /// What others have spent. No batch is under way now, so that all of ours that it holds has been told to the limiter.
    async fn read_totals(&mut self) {
        let begun = Instant::now();
        match self.store.totals().await {
            Ok(totals) => self.limiter.know(&totals),
            // Whoever writes says so.
            Err(error) => tracing::debug!(%error, "what is spent could not be read"),
        }
        self.limiter.tidy();
        self.next_read = Instant::now() + self.reread.max(begun.elapsed() * REST);
    }

    fn is_closing(&self) -> bool {
        self.end.borrow().is_some()
    }
}

fn totals(batch: &Batch) -> Vec<Total> {
    let total =
        |((scope, since), spent): (&(_, _), &_)| Total { scope: Clone::clone(scope), since: *since, spent: *spent };
    batch.totals.iter().map(total).collect()
}

/// Until the process won't wait any longer.
async fn over(mut end: watch::Receiver<Option<Instant>>) {
    // Nobody who could end it any more: it goes on.
    let Ok(end) = end.wait_for(Option::is_some).await.map(|end| *end) else { return std::future::pending().await };
    if let Some(end) = end {
        sleep_until(end).await;
    }
}
