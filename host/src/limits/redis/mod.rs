//! Limits and budgets that several gateways share, counted in Redis or Valkey.
//!
//! One script takes all claims of a call, or none, in one round trip (`take.lua`). What calls came to is told behind their
//! backs, in batches that count once (`settle.lua`). Rates are windows of 61 one-second sums. Parallel calls and reserved
//! money are held by a gateway: a field each in the counter. A gateway says every second that it is there; what one holds
//! that wasn't heard of for [`LEASE`] is void, so that a crash gives everything back within seconds. One that was only
//! paused comes back under another name, and tells anew what it holds (`join.lua`).
//!
//! A sum of money begins with what the database says is spent, and never counts for less than the database says: Redis may
//! lose its memory. What was spent before a sum began is not added to it: the database has it.
//!
//! **When Redis is slow or away**: a call waits [`LIMIT`] at most. Three late answers in succession, or more than a tenth
//! of all, or a broken connection, and Redis is given up: no call asks it until it was found again in the background, and
//! answered promptly. Meanwhile this gateway's own counters, which always count too, decide alone; or, with `fail_closed_…`,
//! calls that a limit binds are refused. What was spent meanwhile is added when Redis is back, once.
//!
//! Redis counts in 64-bit integers, so no sum is rounded; scripts compare in doubles, which is exact for budgets up to
//! 9,007 USD and to the sixteenth digit above.

mod counters;
mod keeper;
mod ledger;
mod link;
mod names;
mod script;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use redis::Client;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use counters::Figures;

use super::{Amount, Claim, End, NotTaken, Refusal, Scope, Shared, Standing, Standings, Ticket};
use crate::config::{FailClosed, Redis as Settings};
use crate::money::Money;
use counters::{Count, Counters};
use keeper::Keeper;
use ledger::Ledger;
use link::Link;
use names::Names;
use script::{Call, Scripts};

/// How long a call waits for Redis at most. Tests of what is counted wait longer, for a machine that is busy is no reason to
/// count otherwise; how slowness is dealt with is tested through the binary.
pub const LIMIT: Duration = Duration::from_millis(if cfg!(test) { 20_000 } else { 100 });
/// A gateway that wasn't heard of for so long is gone.
pub const LEASE: Duration = Duration::from_secs(5);
/// How long a start waits for Redis.
const START: Duration = Duration::from_secs(1);
/// How long an end does.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a sum of money without a period is kept after it was last used, and one with a period beyond that.
const SUM_KEPT: Duration = Duration::from_secs(40 * 24 * 60 * 60);
/// The same for what is held.
const HELD_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// A ticket of claims that were not taken in Redis.
const ALONE: Ticket = Ticket(0);

/// Counts in Redis.
#[derive(Debug)]
pub struct Redis {
    inner: Arc<Inner>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    /// The server, for the log.
    address: String,
    fail_closed: FailClosed,
    names: Names,
    scripts: Scripts,
    /// Identifies this process.
    process: String,
    ledger: Ledger,
    counters: Counters,
    /// The connection, while Redis is asked.
    link: ArcSwapOption<Link>,
    /// There is something to tell, or the connection is no good.
    wake: Notify,
    closing: Notify,
    is_closing: AtomicBool,
    /// Whether Redis was found, or not, for the first time.
    first: watch::Sender<bool>,
}

/// Claims that were taken in Redis. Dropped, they are given back: nobody waited for them any more.
#[derive(Debug)]
struct Taken {
    inner: Arc<Inner>,
    claims: Arc<[Claim]>,
    ticket: Ticket,
    standings: Standings,
    is_wanted: bool,
}

/// What Redis said.
#[derive(Debug)]
enum Answer {
    Taken(Taken),
    Refused(Refusal),
    /// Nothing that can be used.
    Nothing,
}

// === impl Redis ===

impl Redis {
    /// Connects; if that takes more than a second, it goes on in the background.
    ///
    /// # Errors
    /// The address can't be one.
    pub async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let inner = Arc::new(Inner::new(settings, Scripts::new())?);
        let mut first = inner.first.subscribe();
        let keeper = tokio::spawn(Keeper::new(inner.clone()).run());
        // Calls can be served without it.
        let _ = timeout(START, first.wait_for(|told| *told)).await;
        Ok(Self { inner, keeper: Mutex::new(Some(keeper)) })
    }

    /// Tells Redis what is untold, and gives back what is held; at the end of the process.
    pub async fn close(&self) {
        self.inner.is_closing.store(true, Ordering::Release);
        self.inner.closing.notify_one();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // Redis forgets this gateway within seconds anyway, and the database knows what was spent.
            let _ = timeout(FAREWELL, keeper).await;
        }
    }

    /// How it does.
    pub fn figures(&self) -> Figures {
        self.inner.counters.figures(self.inner.ledger.forgotten())
    }
}

impl Shared for Redis {
    fn take<'a>(&'a self, claims: &'a [Claim]) -> BoxFuture<'a, Result<(Ticket, Standings), NotTaken>> {
        Box::pin(self.inner.take(claims))
    }

    fn take_alone(&self, claims: &[Claim]) -> Ticket {
        self.inner.take_alone(claims)
    }

    fn settle(&self, ticket: Ticket, claims: Arc<[Claim]>, end: End) {
        self.inner.settle(ticket, &claims, end);
    }

    fn set_spent(&self, scope: &Scope, since: Option<SystemTime>, spent: Money) {
        self.inner.ledger.set_spent(self.inner.names.spent(scope, since), spent.pico());
        self.inner.wake.notify_one();
    }
}

// === impl Inner ===

impl Inner {
    fn new(settings: &Settings, scripts: Scripts) -> anyhow::Result<Self> {
        Ok(Self {
            client: link::client(settings)?,
            address: settings.address.to_string(),
            fail_closed: settings.fail_closed,
            names: Names::new(settings.namespace.as_deref()),
            scripts,
            process: uuid::Uuid::new_v4().simple().to_string(),
            ledger: Ledger::default(),
            counters: Counters::default(),
            link: ArcSwapOption::empty(),
            wake: Notify::new(),
            closing: Notify::new(),
            is_closing: AtomicBool::new(false),
            first: watch::Sender::new(false),
        })
    }

    async fn take(self: &Arc<Self>, claims: &[Claim]) -> Result<(Ticket, Standings), NotTaken> {
        let Some(link) = self.link.load_full() else { return self.unreachable() };
        let claims: Arc<[Claim]> = claims.into();
        // In a task of its own, for the answer has to be heard even if nobody waits for it any more.
        let asked = tokio::spawn(self.clone().ask(link.clone(), claims.clone()));
        match timeout(LIMIT, asked).await {
            Ok(Ok(Answer::Taken(taken))) => {
                self.counters.add(Count::Taken);
                Ok(taken.accept())
            }
            Ok(Ok(Answer::Refused(refusal))) => {
                self.counters.add(Count::Refused);
                Err(NotTaken::Refused(refusal))
            }
            Ok(Ok(Answer::Nothing) | Err(_)) => self.unreachable(),
            Err(_) => {
                self.counters.add(Count::Slow);
                if link.bad(LIMIT) {
                    self.lose(&link);
                }
                self.unreachable()
            }
        }
    }

    fn unreachable(&self) -> Result<(Ticket, Standings), NotTaken> {
        self.counters.add(Count::Unanswered);
        Err(NotTaken::Unreachable)
    }

    async fn ask(self: Arc<Self>, link: Arc<Link>, claims: Arc<[Claim]>) -> Answer {
        let call = self.question(&link, &claims);
        let answer: Result<Vec<String>, _> = link.ask(&self.scripts.take, &call).await;
        let why = match &answer {
            Ok(answer) => match self.understand(&link, claims, answer) {
                Some(Answer::Nothing) => "this gateway was not heard of for some seconds".to_owned(),
                Some(answer) => {
                    link.good();
                    return answer;
                }
                None => "an answer that makes no sense".to_owned(),
            },
            Err(error) => link::LinkError::told(error),
        };
        if link.give_up(why) {
            self.lose(&link);
        }
        Answer::Nothing
    }

    fn question(&self, link: &Link, claims: &[Claim]) -> Call {
        let mut call = self.scripts.take.call(1 + claims.len());
        call.push(self.names.gateways());
        let counters: Vec<String> = claims.iter().map(|claim| self.names.counter(claim)).collect();
        counters.iter().for_each(|counter| call.push(counter));
        call.push(&link.gateway);
        call.push(LEASE.as_millis() as u64);
        for (claim, counter) in claims.iter().zip(&counters) {
            let limit = claim.limit().map_or_else(String::new, |limit| limit.to_string());
            match &claim.of {
                Amount::Rate { what, .. } => {
                    let is_held = *what == super::Rate::Parallel;
                    call.push(if is_held { "held" } else { "rate" });
                    call.push(claim.reserved());
                    call.push(limit);
                    call.push("");
                    call.push(HELD_KEPT.as_millis() as u64);
                }
                Amount::Money { amount, period, known, .. } => {
                    call.push("money");
                    call.push(amount.pico());
                    call.push(limit);
                    call.push(known.pico());
                    call.push((SUM_KEPT + period.unwrap_or_default()).as_millis() as u64);
                }
            }
            // If this question is lost, so is the name that it is asked by.
            call.push(self.ledger.untold_of(counter, link.generation));
        }
        call
    }

    /// `None`: it makes no sense.
    fn understand(self: &Arc<Self>, link: &Link, claims: Arc<[Claim]>, answer: &[String]) -> Option<Answer> {
        // Sums of sums that are as great as they get are greater.
        let number = |text: &String| text.parse::<i128>().ok()?.clamp(i64::MIN.into(), i64::MAX.into()).try_into().ok();
        let millis = |ms: i64| u64::try_from(ms).ok().map(Duration::from_millis);
        let (word, rest) = answer.split_first()?;
        match (word.as_str(), rest) {
            ("taken", [second, rest @ ..]) if rest.len() == 2 * claims.len() => {
                let second = second.parse().ok()?;
                let mut standings = Standings::new();
                for (claim, standing) in claims.iter().zip(rest.chunks_exact(2)) {
                    let [used, resets] = standing else { return None };
                    let resets_in = match &claim.of {
                        Amount::Money { since, period, .. } => names::rest(*since, *period),
                        Amount::Rate { .. } => millis(number(resets)?),
                    };
                    standings.push(Standing { used: number(used)?, resets_in: resets_in.unwrap_or_default() });
                }
                self.ledger.taken(&self.names, &claims, Some(link.generation));
                let ticket = Ticket(second);
                Some(Answer::Taken(Taken { inner: self.clone(), claims, ticket, standings, is_wanted: false }))
            }
            ("refused", [position, used, ms]) => {
                let claim: usize = position.parse().ok()?;
                let retry_after = match &claims.get(claim)?.of {
                    Amount::Money { since, period, .. } => names::rest(*since, *period),
                    Amount::Rate { .. } => millis(number(ms)?),
                };
                Some(Answer::Refused(Refusal { claim, used: number(used)?, retry_after }))
            }
            ("lost", []) => Some(Answer::Nothing),
            _ => None,
        }
    }

    fn take_alone(&self, claims: &[Claim]) -> Ticket {
        self.counters.add(Count::Alone);
        self.ledger.taken(&self.names, claims, None);
        ALONE
    }

    fn settle(&self, ticket: Ticket, claims: &[Claim], end: End) {
        let second = (ticket != ALONE).then_some(ticket.0);
        self.ledger.ended(&self.names, claims, second, end);
        // Without a connection nobody listens, and what is untold is found when there is one.
        self.wake.notify_one();
    }

    fn open_link(&self, link: &Arc<Link>) {
        self.link.store(Some(link.clone()));
        self.counters.set_connected(true);
    }

    fn close_link(&self) {
        self.link.store(None);
        self.counters.set_connected(false);
    }

    /// A connection is no good: nobody asks there any more, and another one is made.
    fn lose(&self, link: &Arc<Link>) {
        let current = self.link.load();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            self.close_link();
        }
        self.wake.notify_one();
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    fn told_first(&self) {
        self.first.send_replace(true);
    }
}

// === impl Taken ===

impl Taken {
    fn accept(mut self) -> (Ticket, Standings) {
        self.is_wanted = true;
        (self.ticket, std::mem::take(&mut self.standings))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.is_wanted {
            self.inner.settle(self.ticket, &self.claims, End::Cancelled);
        }
    }
}
