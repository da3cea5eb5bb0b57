//! What a call takes of one limit: the same for counters in this process and for those that gateways share.
//!
//! Whoever counts is asked to [take](Shared::take) the claims of a call, all or none, and told in the
//! [end](Shared::settle) what became of them: the same question with the same answer here (`local.rs`) and there
//! ([`Shared`]).

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use smallvec::SmallVec;

use super::{Rate, Scope};
use crate::money::Money;

/// One thing that a call takes of one limit. All claims of a call are granted, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose limit.
    pub scope: Scope,
    /// How much of what.
    pub of: Amount,
}

/// How much of what is taken, and the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Requests, tokens (of any 60 seconds) or calls at a time.
    Rate {
        /// Of what.
        what: Rate,
        /// Reserved now, and settled later, but for requests.
        amount: u64,
        /// The limit; without one it is only counted.
        limit: Option<u64>,
    },
    /// Money. Granted as long as what is spent and reserved is below the limit, so that a budget is used up and no call is
    /// refused for money that is still there; what all calls under way may cost is the most by which it is overspent.
    Money {
        /// Reserved now, and settled later.
        amount: Money,
        /// The budget; without one it is only counted.
        limit: Option<Money>,
        /// When its period began; `None`: it has none. Another beginning is another count, from nothing.
        since: Option<SystemTime>,
        /// How long a period is.
        period: Option<Duration>,
        /// What the database says is spent since: where a counter that gateways share begins, should it be new.
        known: Money,
    },
}

/// What became of a call that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was made, and took this. What it reserved beyond that is given back.
    Settled {
        /// Of the prompt and of the answer.
        tokens: u64,
        /// What it cost; nothing where nobody knows.
        cost: Money,
    },
    /// The same, but by another model: of the limits of the one that was asked first only the request stays taken.
    PassedOn {
        /// Of the prompt and of the answer.
        tokens: u64,
        /// What it cost; nothing where nobody knows.
        cost: Money,
    },
    /// It was never made: everything is given back, the request too.
    Cancelled,
}

/// How a limit stands once a claim is taken: what a client is told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is used and reserved of it, this claim included: requests, tokens, calls or 10⁻¹² USD.
    pub used: i64,
    /// Until all of it is free again: when the youngest second with something in it is forgotten, or the period ends.
    pub resets_in: Duration,
}

/// Standings, in the order of the claims.
pub type Standings = SmallVec<[Standing; 6]>;

/// A claim that can't be granted now. No other claim of its call was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which, by its position.
    pub claim: usize,
    /// What is used and reserved of its limit, without it; of money that is what is spent and reserved.
    pub used: i64,
    /// When there is room for it; `None`: never, as the limit is smaller than the claim, or nobody knows when.
    pub retry_after: Option<Duration>,
}

/// Identifies claims that were taken with whoever counts for all gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why claims weren't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// One stands against it.
    Refused(Refusal),
    /// Nobody answered in time, or nobody is asked at the moment.
    Unreachable,
}

/// Counts for several gateways. What it counts is counted in this process too, so that calls can go on, each gateway for
/// itself, while it can't be reached.
///
/// Rates are counted as [`Amount::Rate`] says: nothing of the last 60 seconds is forgotten, nothing older than 61 is kept.
pub trait Shared: Debug + Send + Sync {
    /// Takes all claims (of different limits), or none. It answers within its own timeout. A future that is dropped, or
    /// that gave up waiting, takes nothing: what it may have taken all the same is given back behind the scenes.
    fn take<'a>(&'a self, claims: &'a [Claim]) -> BoxFuture<'a, Result<(Ticket, Standings), NotTaken>>;

    /// Claims were taken in this process only, as nobody could be asked: what of it lasts is told when somebody can be.
    fn take_alone(&self, claims: &[Claim]) -> Ticket;

    /// Claims that were taken have ended: [`Claim::kept`] of each stays taken, and the rest is given back. Of tokens what
    /// was taken stays in the second in which it was; what comes on top of it is counted in the second of the end.
    ///
    /// It returns at once, as it is called where a call is dropped; that it is told to others may take a moment.
    fn settle(&self, ticket: Ticket, claims: Arc<[Claim]>, end: End);

    /// Somebody has spent so much from now on, whatever was counted. It returns at once too.
    fn set_spent(&self, scope: &Scope, since: Option<SystemTime>, spent: Money);
}

// === impl Claim ===

impl Claim {
    /// What is taken for it at first: requests, tokens, calls or 10⁻¹² USD.
    pub fn reserved(&self) -> i64 {
        match &self.of {
            Amount::Rate { amount, .. } => count(*amount),
            Amount::Money { amount, .. } => amount.pico(),
        }
    }

    /// What of it stays taken in the end.
    pub fn kept(&self, end: End) -> i64 {
        let (tokens, cost) = match end {
            End::PassedOn { .. } if matches!(self.scope, Scope::Model(..)) => (0, Money::ZERO),
            End::Settled { tokens, cost } | End::PassedOn { tokens, cost } => (tokens, cost),
            End::Cancelled => return 0,
        };
        match &self.of {
            Amount::Rate { what: Rate::Requests, .. } => self.reserved(),
            Amount::Rate { what: Rate::Tokens, .. } => count(tokens),
            Amount::Rate { what: Rate::Parallel, .. } => 0,
            Amount::Money { .. } => cost.pico().max(0),
        }
    }

    /// The limit, in the same measure.
    pub fn limit(&self) -> Option<i64> {
        match &self.of {
            Amount::Rate { limit, .. } => limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)),
            Amount::Money { limit, .. } => limit.map(Money::pico),
        }
    }

    /// Whether it may be taken where so much is used and reserved. Money is granted while any is left; of everything else
    /// there has to be as much as is claimed.
    pub fn fits(&self, used: i64) -> bool {
        let Some(limit) = self.limit() else { return true };
        match &self.of {
            Amount::Rate { .. } => used.saturating_add(self.reserved()) <= limit,
            Amount::Money { .. } => used < limit,
        }
    }
}

/// No more than a million millions: sums of them stay numbers, whatever a provider says that it used.
fn count(number: u64) -> i64 {
    const MOST: i64 = 1 << 40;
    i64::try_from(number).unwrap_or(MOST).min(MOST)
}
