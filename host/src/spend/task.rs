//! The one who writes: gathers calls for a moment, and writes them in one transaction, again and again until it is done.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::aggregate::merge;
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
/// A batch that the database refuses as often goes without its rows; and twice as often, not at all. One that it can't
/// take at the moment waits for as long as that lasts.
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
        let mut calls = Vec::with_capacity(MOST);
        loop {
            // Asked before, for what came in until then has to be gathered.
            let was_closing = self.is_closing();
            self.gather(&mut calls).await;
            let is_last = calls.is_empty() && was_closing;
            let bytes: usize = calls.iter().map(|call| self.door.size(call)).sum();
            let number = calls.len();
            let batch = self.batch(&mut calls);
            if !batch.is_empty() {
                self.write(batch, number).await;
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

    fn batch(&self, calls: &mut Vec<Arc<CallRecord>>) -> Batch {
        let kept = self.door.kept;
        let mut batch = kept.batch();
        merge(&mut batch, self.door.overflow.take());
        for call in calls.drain(..) {
            kept.add(&mut batch, call);
        }
        batch
    }

    /// Writes a batch of so many calls, however long it takes, but for the end of the process.
    async fn write(&mut self, mut batch: Batch, calls: usize) {
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        let (mut pause, mut refusals) = (RETRY.0, 0);
        loop {
            let result = tokio::select! {
                result = self.store.record(&batch) => result,
                () = over(self.end.clone()) => Err(StoreError::Unavailable("the gateway has ended before it was done".into())),
            };
            let error = match result {
                Ok(()) => {
                    self.limiter.written(&totals(&batch));
                    return self.door.progress.wrote(calls);
                }
                Err(error) => error,
            };
            refusals += u32::from(!matches!(error, StoreError::Unavailable(_)));
            self.door.progress.failed(error.to_string());
            if refusals == REFUSALS && !batch.calls.is_empty() {
                self.door.progress.dropped(u64::try_from(batch.calls.len()).unwrap_or(u64::MAX));
                batch.calls = Vec::new();
            }
            if refusals >= 2 * REFUSALS || self.end.borrow().is_some_and(|end| Instant::now() >= end) {
                self.door.progress.lost(calls);
                tracing::error!(calls, %error, "what these calls have cost is not in the database");
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = over(self.end.clone()) => {}
            }
            pause = (pause * 2).min(RETRY.1);
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
