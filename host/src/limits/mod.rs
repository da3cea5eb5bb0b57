//! Limits that bind: requests, tokens, calls side by side and money. What a call may come to is reserved before it and
//! settled after it.

mod claim;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;

pub use claim::{Amount, Claim, End, NotTaken, Refusal, Shared, Standing, Standings, Ticket};

use crate::keys::Caller;
use crate::money::Money;
use crate::usage::Usage;

/// Who something counts against.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole gateway: `litellm_settings.max_budget`.
    Gateway,
    /// A key, by its hash in hexadecimal.
    Key(Arc<str>),
    /// A user.
    User(Arc<str>),
    /// A team.
    Team(Arc<str>),
    /// One model of a key, a user or a team.
    Model(Arc<Scope>, Arc<str>),
    /// A deployment, by its id.
    Deployment(Arc<str>),
    /// A provider: `router_settings.provider_budget_config`.
    Provider(Arc<str>),
}

/// Whom the cost of a call counts against, and since when it is counted for each: what the database adds it to.
pub type Charges = SmallVec<[(Scope, Option<SystemTime>); 4]>;

/// Looks after everybody's limits; outlives reloads.
#[derive(Debug, Default)]
pub struct Limiter {}

/// What a call wants to be let in for.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Who calls; `None`: the master key, or a gateway without one, which nothing but the gateway's own budget binds.
    pub caller: Option<&'a Arc<Caller>>,
    /// The model group that it names, its aliases resolved.
    pub model: &'a str,
    /// What it may come to.
    pub estimate: Estimate,
}

/// What a call may come to, before it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Of the answer: what the client allows, or what is usual.
    pub completion_tokens: u64,
    /// At the dearest of the deployments that may serve it; `None`: nobody knows a price.
    pub cost: Option<Money>,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// What providers said, or what was estimated where they didn't; `None`: no provider was reached.
    pub usage: Option<Usage>,
    /// What that costs; `None`: nobody knows a price, or nothing was used.
    pub cost: Option<Money>,
}

/// What a call has reserved. Dropped, it gives all of it back.
#[derive(Debug)]
pub struct Hold {}

/// Why a call isn't let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many requests or tokens in a minute, or calls side by side.
    #[error("rate limit of {scope:?}: {limit} {what:?}")]
    Rate {
        /// Whose limit.
        scope: Scope,
        /// Of what.
        what: Rate,
        /// The limit.
        limit: u64,
        /// What is left of it.
        remaining: u64,
        /// What the call would have taken of it.
        wanted: u64,
        /// When there is room for it again; `None`: never, it wants more than the limit.
        retry_after: Option<Duration>,
    },
    /// The money is spent.
    #[error("budget of {scope:?}: {spent} of {max}")]
    Budget {
        /// Whose.
        scope: Scope,
        /// What is spent or reserved of it.
        spent: Money,
        /// The budget.
        max: Money,
        /// When there is money again, if ever.
        resets_in: Option<Duration>,
    },
    /// Nobody knows: what counts for all gateways can't be reached, and the operator said to refuse then.
    #[error("the rate limits can't be checked at the moment")]
    Unknown,
}

/// What is limited in a minute, or at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Calls at a time.
    Parallel,
}

// === impl Limiter ===

impl Limiter {
    /// Whether anything limits such a call, or what it spends is counted for anybody: most often not, and then nothing
    /// has to be estimated.
    pub fn binds(&self, _caller: Option<&Arc<Caller>>, _model: &str) -> bool {
        false
    }

    /// Reserves what a call may come to, everywhere or nowhere.
    ///
    /// # Errors
    /// A limit stands against it.
    pub async fn admit(&self, ask: Ask<'_>) -> Result<Hold, Refused> {
        let _ = ask;
        Ok(Hold {})
    }
}

// === impl Hold ===

impl Hold {
    /// The call is over: what it used counts, the rest is given back. Tells whom it counts against.
    pub fn settle(self, spent: Spent) -> Charges {
        let _ = spent;
        Charges::new()
    }
}
