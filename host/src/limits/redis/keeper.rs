//! Looks after the connection: makes it, says every second that this gateway is there, tells Redis what calls came to, and
//! looks for Redis again when it was given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::counters::Count;
use super::ledger::{Batch, What};
use super::link::{Link, LinkError};
use super::{Inner, LEASE, LIMIT};

/// How often a gateway says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// What calls came to is told at once, and then gathered for so long.
const GATHER: Duration = Duration::from_millis(2);
/// Between attempts to find Redis.
const PAUSE: Duration = Duration::from_millis(500);
/// The same where it was found and given up again soon: so it doesn't keep slowing calls.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lasts so long is a good one.
const GOOD: Duration = Duration::from_secs(30);
/// Rates are windows of a minute.
const MINUTE: Duration = Duration::from_secs(61);
/// How long the number of the last batch is remembered, and what a counter that nobody has taken from is.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Things that are held, in one script.
const HELD_AT_ONCE: usize = 1000;

/// The task that looks after the connection.
pub(super) struct Keeper {
    inner: Arc<Inner>,
    /// The name of the last connection.
    gateway: String,
    /// The number of the last batch.
    batch: u64,
    /// One that may have been counted, or not.
    unsure: Option<(u64, Batch)>,
    /// Since when nothing was told.
    silent_since: Option<Instant>,
    /// What the log says of Redis.
    said_connected: Option<bool>,
}

// === impl Keeper ===

impl Keeper {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, gateway: String::new(), batch: 0, unsure: None, silent_since: None, said_connected: None }
    }

    /// Runs until the end of the process.
    pub(super) async fn run(mut self) {
        let mut pause = PAUSE;
        while !self.inner.is_closing() {
            match self.connect().await {
                Ok(link) => {
                    let began = Instant::now();
                    self.say(true, "");
                    let why = self.keep(&link).await;
                    self.inner.close_link();
                    if self.inner.is_closing() {
                        link.leave(&self.inner.names.gateways()).await;
                        return;
                    }
                    self.silent_since = Some(Instant::now());
                    self.inner.counters.add(Count::Lost);
                    self.say(false, &why);
                    pause = if began.elapsed() >= GOOD { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
                }
                Err(error) => self.say(false, &error.to_string()),
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.inner.closing.notified() => return,
            }
        }
    }

    /// Connects, under a new name, and opens the way for calls.
    ///
    /// # Errors
    /// Redis isn't there, or too slow.
    pub(super) async fn connect(&mut self) -> Result<Arc<Link>, LinkError> {
        let inner = self.inner.clone();
        let connection = Link::try_server(&inner.client, &inner.scripts, LIMIT / 2).await?;
        if self.silent_since.is_some_and(|since| since.elapsed() >= MINUTE) {
            inner.ledger.forget_rates();
        }
        let (generation, held) = inner.ledger.rejoin();
        let gateway = format!("{}.{generation}", inner.process);
        let link = Arc::new(Link::new(connection, gateway.clone(), generation));
        let before = std::mem::replace(&mut self.gateway, gateway);
        let mut chunks = held.chunks(HELD_AT_ONCE);
        self.join(&link, &before, chunks.next().unwrap_or_default()).await?;
        for chunk in chunks {
            self.join(&link, "", chunk).await?;
        }
        if let Some((number, batch)) = self.unsure.take() {
            let batch = batch.without_held();
            self.tell(&link, number, batch).await?;
        }
        self.flush(&link).await?;
        self.silent_since = None;
        inner.open_link(&link);
        Ok(link)
    }

    async fn join(&self, link: &Link, before: &str, held: &[(String, i64)]) -> Result<(), LinkError> {
        let inner = &self.inner;
        let mut call = inner.scripts.join.call(1 + held.len());
        call.push(inner.names.gateways());
        held.iter().for_each(|(counter, _)| call.push(counter));
        call.push(&link.gateway);
        call.push(LEASE.as_millis() as u64);
        call.push(before);
        call.push(DAY.as_millis() as u64);
        held.iter().for_each(|(_, amount)| call.push(amount));
        link.tell::<()>(&inner.scripts.join, &call, LIMIT).await
    }

    /// Returns when the connection is no good any more, and why; or at the end of the process.
    async fn keep(&mut self, link: &Link) -> String {
        let inner = self.inner.clone();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_beat = tokio::select! {
                _ = beat.tick() => true,
                () = inner.wake.notified() => false,
                () = inner.closing.notified() => false,
            };
            match self.keep_once(link, is_beat).await {
                Err(error) => return error.to_string(),
                Ok(()) if inner.is_closing() => return String::new(),
                Ok(()) => {}
            }
            if let Some(why) = link.broken() {
                return why.to_owned();
            }
            sleep(GATHER).await;
        }
    }

    /// Says that this gateway is there, if it is time to, and tells what is untold.
    pub(super) async fn keep_once(&mut self, link: &Link, is_beat: bool) -> Result<(), LinkError> {
        if link.broken().is_some() {
            return Ok(());
        }
        if is_beat {
            self.tell(link, self.batch, Batch::default()).await?;
        }
        self.flush(link).await
    }

    /// Tells everything that is untold.
    async fn flush(&mut self, link: &Link) -> Result<(), LinkError> {
        while let Some(batch) = self.inner.ledger.untold() {
            self.batch += 1;
            self.tell(link, self.batch, batch).await?;
            self.inner.counters.add(Count::Batch);
        }
        Ok(())
    }

    /// Tells a batch; one that may not have arrived is kept.
    pub(super) async fn tell(&mut self, link: &Link, number: u64, batch: Batch) -> Result<(), LinkError> {
        let inner = self.inner.clone();
        let mut call = inner.scripts.settle.call(2 + batch.changes.len());
        call.push(inner.names.gateways());
        call.push(inner.names.batch(&inner.process));
        batch.changes.iter().for_each(|change| call.push(&change.counter));
        call.push(&link.gateway);
        call.push(LEASE.as_millis() as u64);
        call.push(number);
        call.push(DAY.as_millis() as u64);
        for change in &batch.changes {
            match change.what {
                What::Back(second) => {
                    call.push("back");
                    call.push(second);
                }
                What::Late => {
                    call.push("late");
                    call.push("");
                }
                What::Held => {
                    call.push("held");
                    call.push("");
                }
                What::Set => {
                    call.push("set");
                    call.push("");
                }
                What::Spent(since) => {
                    call.push("spent");
                    call.push(inner.ledger.now().saturating_sub(since));
                }
            }
            call.push(change.amount);
        }
        if !batch.changes.is_empty() {
            self.unsure = Some((number, batch));
        }
        let is_heard: bool = link.tell(&inner.scripts.settle, &call, LIMIT).await?;
        self.unsure = None;
        if !is_heard {
            // What this gateway holds was given back while it was not heard of: it is told anew, under another name.
            link.give_up("this gateway was not heard of for some seconds".to_owned());
            inner.wake.notify_one();
        }
        Ok(())
    }

    /// Says it in the log, when it changes.
    fn say(&mut self, connected: bool, why: &str) {
        let (address, fail_closed) = (&self.inner.address, self.inner.fail_closed);
        if self.said_connected.replace(connected) != Some(connected) {
            match connected {
                true => tracing::info!(redis = %address, "limits and budgets are counted in Redis, for all gateways"),
                false if fail_closed.rates || fail_closed.budgets => {
                    tracing::error!(redis = %address, why, "Redis can't be used: calls that it has to let in are refused");
                }
                false => {
                    tracing::warn!(redis = %address, why, "Redis can't be used: limits and budgets are counted by each gateway for itself");
                }
            }
        }
        self.inner.told_first();
    }
}
