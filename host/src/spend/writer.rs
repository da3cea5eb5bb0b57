//! The end of a call puts it into a queue; a task of its own writes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::aggregate::Kept;
use super::overflow::Overflow;
use super::progress::{Progress, Status};
use super::task::Task;
use crate::config::StoreSettings;
use crate::limits::Limiter;
use crate::store::Store;
use crate::usage::{CallRecord, Sink};

/// Calls that wait at most: some seconds of a busy gateway, and hours of a quiet one.
const MOST_WAITING: usize = 10_000;
/// What their prompts and answers may take of memory, where those are kept.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How long the end of the process waits for the last batch.
const CLOSING: Duration = Duration::from_secs(4);

/// Takes calls that are over, and has them written.
#[derive(Debug)]
pub struct Writer {
    door: Arc<Door>,
    closing: watch::Sender<Option<Instant>>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// Where calls come in.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) kept: Kept,
    pub(super) overflow: Overflow,
    pub(super) progress: Progress,
    queue: mpsc::Sender<Arc<CallRecord>>,
}

// === impl Writer ===

impl Writer {
    /// Begins to write to `store`, and to tell `limiter` what is written and what others have.
    pub fn start(
        store: Arc<dyn Store>,
        limiter: Arc<Limiter>,
        settings: &StoreSettings,
        reread: Duration,
    ) -> Arc<Self> {
        let (queue, inbox) = mpsc::channel(MOST_WAITING);
        let (closing, end) = watch::channel(None);
        let door = Arc::new(Door {
            kept: Kept::of(settings),
            overflow: Overflow::default(),
            progress: Progress::default(),
            queue,
        });
        let task = tokio::spawn(Task::new(store, limiter, door.clone(), inbox, end, reread).run());
        Arc::new(Self { door, closing, task: Some(task).into() })
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        self.door.progress.status()
    }

    /// Writes what is there, as far as that is possible within seconds.
    pub async fn close(&self) {
        self.closing.send_replace(Some(Instant::now() + CLOSING));
        if let Some(task) = self.task.lock().await.take() {
            // A panic has been logged.
            let _ = task.await;
        }
    }
}

impl Sink for Writer {
    fn record(&self, call: &Arc<CallRecord>) {
        self.door.put(call);
    }
}

impl Sink for Arc<Writer> {
    fn record(&self, call: &Arc<CallRecord>) {
        self.door.put(call);
    }
}

// === impl Door ===

impl Door {
    fn put(&self, call: &Arc<CallRecord>) {
        let bytes = self.size(call);
        if self.progress.enqueue(bytes, MOST_BYTES) {
            if self.queue.try_send(call.clone()).is_ok() {
                return;
            }
            self.progress.dequeue(1, bytes);
        }
        let is_counted = self.overflow.add(self.kept, call);
        if !is_counted {
            self.progress.lost(1);
        } else if self.kept.row(call) {
            self.progress.dropped(1);
        }
    }

    /// What a call in the queue takes of memory, beside what all take.
    pub(super) fn size(&self, call: &CallRecord) -> usize {
        let bodies = call.messages.as_ref().filter(|_| self.kept.bodies && self.kept.row(call));
        bodies.map_or(0, |bodies| bodies.request.len() + bodies.response.len())
    }
}
