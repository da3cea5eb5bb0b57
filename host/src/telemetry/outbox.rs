//! Calls on their way to somebody outside: a bounded queue, batches, and retries with growing waits. Nothing of it is on the
//! path of a call but the push into the queue.
//!
//! Who is told must not slow down or fill up the gateway: what comes while the queue is full is dropped, counted, and told in
//! the log once a minute.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::callbacks::Events;
use crate::usage::{CallRecord, Outcome, Sink};

/// Calls that wait at most, and bytes of what was asked and answered.
const MOST_WAITING: usize = 10_000;
const MOST_BYTES: usize = 32 << 20;
/// Calls that are sent together, and how long the first one waits for others.
const MOST_AT_ONCE: usize = 512;
const GATHER: Duration = Duration::from_secs(1);
/// The longest wait between two attempts, and the longest time for all of them.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What is left of the queue is sent in this time when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How calls are told to somebody.
pub trait Carrier: Debug + Send + Sync + 'static {
    /// Tells of them, once.
    fn send<'a>(&'a self, calls: &'a [Arc<CallRecord>]) -> BoxFuture<'a, Result<(), NotSent>>;

    /// Whether it is told of such a call at all.
    fn wants(&self, _call: &CallRecord) -> bool {
        true
    }

    /// The process ends.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Why they weren't told.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Later they may be.
    #[error("{0}")]
    Later(String),
    /// They never will.
    #[error("{0}")]
    Never(String),
}

/// How often telling is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// After the first attempt.
    pub most: u32,
    /// Before the first of them; twice as long before each next one.
    pub delay: Duration,
}

/// The queue to one who is told.
#[derive(Debug)]
pub struct Outbox {
    name: String,
    events: Events,
    carrier: Arc<dyn Carrier>,
    queue: mpsc::Sender<Arc<CallRecord>>,
    counts: Arc<Counts>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What became of calls.
#[derive(Debug, Default)]
pub struct Counts {
    /// Told.
    pub sent: AtomicU64,
    /// Not told: the queue was full.
    pub dropped: AtomicU64,
    /// Not told: whoever should be told didn't take it.
    pub failed: AtomicU64,
    /// Waiting.
    pub queued: AtomicUsize,
    /// What the waiting ones weigh.
    bytes: AtomicUsize,
}

// === impl Outbox ===

impl Outbox {
    /// Begins to tell `carrier`.
    pub fn start(name: &str, events: Events, retries: Retries, carrier: Arc<dyn Carrier>) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let (closing, closed) = watch::channel(false);
        let counts = Arc::new(Counts::default());
        let sender = Sender {
            name: name.to_owned(),
            retries,
            carrier: carrier.clone(),
            counts: counts.clone(),
            waiting,
            closing: closed,
            told: None,
            lost: 0,
        };
        let task = Mutex::new(Some(tokio::spawn(sender.run())));
        Self { name: name.to_owned(), events, carrier, queue, counts, closing, task }
    }

    /// The callback's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What became of calls so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Tells what is left, for some seconds.
    pub async fn close(&self) {
        let _ = self.closing.send(true);
        let Some(task) = self.task.lock().await.take() else { return };
        if tokio::time::timeout(LAST_WORDS, task).await.is_err() {
            let queued = self.counts.queued.load(Ordering::Relaxed);
            tracing::warn!(callback = self.name, calls = queued, "calls were not told before the end");
        }
        let _ = tokio::time::timeout(LAST_WORDS, self.carrier.close()).await;
    }
}

impl Sink for Arc<Outbox> {
    fn record(&self, call: &Arc<CallRecord>) {
        let is_success = call.outcome == Outcome::Complete && call.status < 400;
        let is_wanted = if is_success { self.events.success } else { self.events.failure };
        if !is_wanted || call.no_log || !self.carrier.wants(call) {
            return;
        }
        let (counts, weight) = (&self.counts, weight(call));
        let too_much = counts.bytes.fetch_add(weight, Ordering::Relaxed).saturating_add(weight) > MOST_BYTES;
        counts.queued.fetch_add(1, Ordering::Relaxed);
        if too_much || self.queue.try_send(call.clone()).is_err() {
            counts.leave(call);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a call keeps in memory while it waits, about.
fn weight(call: &CallRecord) -> usize {
    1024 + call.messages.as_ref().map_or(0, |messages| messages.request.len() + messages.response.len())
}

impl Counts {
    fn leave(&self, call: &CallRecord) {
        self.bytes.fetch_sub(weight(call), Ordering::Relaxed);
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The other end of the queue.
struct Sender {
    name: String,
    retries: Retries,
    carrier: Arc<dyn Carrier>,
    counts: Arc<Counts>,
    waiting: mpsc::Receiver<Arc<CallRecord>>,
    closing: watch::Receiver<bool>,
    /// When the log last told of losses.
    told: Option<Instant>,
    /// Losses that the log has told of.
    lost: u64,
}

impl Sender {
    async fn run(mut self) {
        let mut batch = Vec::new();
        while self.gather(&mut batch).await {
            self.deliver(&batch).await;
            for call in batch.drain(..) {
                self.counts.leave(&call);
            }
            batch.shrink_to(MOST_AT_ONCE);
        }
    }

    /// Waits for calls, and takes those that come soon after the first one. False: there will be none.
    async fn gather(&mut self, batch: &mut Vec<Arc<CallRecord>>) -> bool {
        let is_closing = async |closing: &mut watch::Receiver<bool>| {
            let _ = closing.wait_for(|closing| *closing).await;
        };
        tokio::select! {
            biased;
            first = self.waiting.recv() => match first {
                Some(first) => batch.push(first),
                None => return false,
            },
            // What was there is sent.
            () = is_closing(&mut self.closing) => return false,
        }
        let until = Instant::now() + GATHER;
        while batch.len() < MOST_AT_ONCE {
            tokio::select! {
                biased;
                next = self.waiting.recv() => match next {
                    Some(next) => batch.push(next),
                    None => break,
                },
                () = tokio::time::sleep_until(until) => break,
                () = is_closing(&mut self.closing) => break,
            }
        }
        true
    }

    async fn deliver(&mut self, batch: &[Arc<CallRecord>]) {
        let count = batch.len() as u64;
        let mut wait = self.retries.delay;
        for attempt in 0.. {
            let why = match self.carrier.send(batch).await {
                Ok(()) => {
                    self.counts.sent.fetch_add(count, Ordering::Relaxed);
                    break;
                }
                Err(NotSent::Later(why)) if attempt < self.retries.most && !*self.closing.borrow() => {
                    tracing::debug!(callback = self.name, why, "calls will be told later");
                    let mut closing = self.closing.clone();
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = closing.wait_for(|closing| *closing) => {}
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                    continue;
                }
                Err(NotSent::Later(why) | NotSent::Never(why)) => why,
            };
            self.counts.failed.fetch_add(count, Ordering::Relaxed);
            self.tell(&why);
            return;
        }
        self.tell("it doesn't keep up");
    }

    /// Tells of losses, now and then.
    fn tell(&mut self, why: &str) {
        let lost = self.counts.failed.load(Ordering::Relaxed) + self.counts.dropped.load(Ordering::Relaxed);
        if lost == self.lost || self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        tracing::warn!(callback = self.name, calls = lost - self.lost, why, "a callback was not told of calls");
        (self.told, self.lost) = (Some(Instant::now()), lost);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::usage::samples;

    /// Takes what it is told, or doesn't.
    #[derive(Debug, Default)]
    struct Fake {
        answers: Mutex<Vec<Result<(), NotSent>>>,
        told: Mutex<Vec<usize>>,
    }

    impl Carrier for Fake {
        fn send<'a>(&'a self, calls: &'a [Arc<CallRecord>]) -> BoxFuture<'a, Result<(), NotSent>> {
            self.told.lock().unwrap().push(calls.len());
            let answer = self.answers.lock().unwrap().pop().unwrap_or(Ok(()));
            Box::pin(std::future::ready(answer))
        }
    }

    const ALL: Events = Events { success: true, failure: true };

    fn start(events: Events, answers: Vec<Result<(), NotSent>>) -> (Arc<Fake>, Arc<Outbox>) {
        let fake = Arc::new(Fake { answers: Mutex::new(answers), ..Fake::default() });
        let retries = Retries { most: 2, delay: Duration::from_secs(1) };
        (fake.clone(), Arc::new(Outbox::start("fake", events, retries, fake)))
    }

    fn later() -> Result<(), NotSent> {
        Err(NotSent::Later("busy".to_owned()))
    }

    fn counted(outbox: &Outbox) -> [u64; 3] {
        let counts = outbox.counts();
        [&counts.sent, &counts.dropped, &counts.failed].map(|count| count.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_one_moment_are_told_together() {
        let (fake, outbox) = start(ALL, Vec::new());
        (0..600).for_each(|_| outbox.record(&Arc::new(samples::call())));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(*fake.told.lock().unwrap(), [512, 88]);
        assert_eq!(counted(&outbox), [600, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_isnt_taken_is_told_again_and_given_up_in_the_end() {
        let (fake, outbox) = start(ALL, vec![later()]);
        outbox.record(&Arc::new(samples::call()));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!((fake.told.lock().unwrap().len(), counted(&outbox)), (2, [1, 0, 0]));

        let (fake, outbox) = start(ALL, vec![later(), later(), later(), later()]);
        outbox.record(&Arc::new(samples::call()));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!((fake.told.lock().unwrap().len(), counted(&outbox)), (3, [0, 0, 1]));

        let (fake, outbox) = start(ALL, vec![Err(NotSent::Never("no".to_owned()))]);
        outbox.record(&Arc::new(samples::call()));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!((fake.told.lock().unwrap().len(), counted(&outbox)), (1, [0, 0, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_drops_and_counts() {
        let (_, outbox) = start(ALL, Vec::new());
        (0..MOST_WAITING + 7).for_each(|_| outbox.record(&Arc::new(samples::call())));
        assert_eq!(counted(&outbox), [0, 7, 0]);
        assert_eq!(outbox.counts().queued.load(Ordering::Relaxed), MOST_WAITING);
        outbox.close().await;
        assert_eq!(counted(&outbox), [MOST_WAITING as u64, 7, 0]);
        assert_eq!(outbox.counts().queued.load(Ordering::Relaxed), 0);
        assert_eq!(outbox.counts().bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_wanted_is_told() {
        let (fake, outbox) = start(Events { success: false, failure: true }, Vec::new());
        let failed = CallRecord { status: 500, outcome: Outcome::Failed, ..samples::call() };
        let private = CallRecord { no_log: true, ..failed.clone() };
        [samples::call(), private, failed].into_iter().for_each(|call| outbox.record(&Arc::new(call)));
        outbox.close().await;
        assert_eq!(*fake.told.lock().unwrap(), [1]);
    }
}
