//! Limits that bind: requests, tokens, calls side by side and money. What a call may come to is reserved before it and
//! settled after it.
//!
//! ```text
//! caller -> plan (whom it counts against) -> demand (claims) -> take, all or none -> Hold -> settle, or given back
//!                                                               local.rs, and Shared where gateways count together
//! ```
//!
//! Every key, user, team and model with a limit has an account (`account.rs`) with a lock of its own; who calls keeps them at
//! hand, so that a call without limits costs the addition of what it has spent.

mod account;
mod claim;
mod counters;
mod funds;
mod hold;
mod line;
mod part;
mod period;
mod plan;
pub mod redis;
mod span;
mod totals;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;
use tokio::time::Instant;

pub use claim::{Amount, Claim, End, NotTaken, Refusal, Shared, Standing, Standings, Ticket};
pub use hold::Hold;
pub use line::Allowance;
pub(crate) use period::usual_beginning;
pub use period::{Term, term};
pub use plan::Tab;
pub use span::{NotASpan, Span};

use crate::config::{Budgets, FailClosed};
use crate::keys::Caller;
use crate::money::Money;
use crate::usage::Usage;
use counters::Counters;
use part::{Demand, Part};

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
pub struct Limiter {
    counters: Counters,
    shared: OnceLock<Sharing>,
}

/// Counting together with other gateways.
#[derive(Debug)]
struct Sharing {
    counters: Arc<dyn Shared>,
    /// Which calls are refused while nobody can count for all.
    fails_closed: FailClosed,
}

/// What a call wants to be let in for.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Who calls; `None`: the master key, or a gateway without one, which nothing but the gateway's own budget binds.
    pub caller: Option<&'a Arc<Caller>>,
    /// The model group that it names, its aliases resolved.
    pub model: &'a str,
    /// All its names, the one that the client used among them: limits may be set under any.
    pub names: &'a [Cow<'a, str>],
    /// When it came in: in the period of a budget that held then it counts.
    pub at: SystemTime,
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
    /// Nobody said how long the answer may be: a limit of tokens that it doesn't fit isn't said to be too small for it.
    pub is_open_ended: bool,
    /// At the dearest of the deployments that may serve it; `None`: nobody knows a price.
    pub cost: Option<Money>,
    /// Whatever it uses, it costs nothing, and is known to: it is served though a budget is spent.
    pub is_free: bool,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent<'a> {
    /// What providers said, or what was estimated where they didn't; `None`: no provider was reached.
    pub usage: Option<Usage>,
    /// What that costs; `None`: nobody knows a price, or nothing was used.
    pub cost: Option<Money>,
    /// The deployment that served it, by its id, and its provider.
    pub served_by: Option<(&'a str, &'a str)>,
}

/// Why a call isn't let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many requests or tokens in a minute, or calls side by side.
    #[error("rate limit of {scope} {whose}: {limit} {what}")]
    Rate {
        /// Whose limit.
        scope: Scope,
        /// What people know it by.
        whose: Arc<str>,
        /// The model group that was asked for.
        model: String,
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
    #[error("budget of {scope} {whose}: {spent} of {max}")]
    Budget {
        /// Whose.
        scope: Scope,
        /// What people know it by.
        whose: Arc<str>,
        /// What is spent or reserved of it.
        spent: Money,
        /// The budget.
        max: Money,
        /// When there is money again, if ever.
        resets_in: Option<Duration>,
        /// What a client gets to hear of it: `litellm_settings.budget_exceeded_status_code`.
        status: u16,
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

// === impl Scope ===

impl fmt::Display for Scope {
    /// Its kind, in LiteLLM's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("proxy"),
            Self::Key(_) => f.write_str("api_key"),
            Self::User(_) => f.write_str("user"),
            Self::Team(_) => f.write_str("team"),
            Self::Model(owner, model) => match **owner {
                Self::User(_) => write!(f, "model {model} of user"),
                Self::Team(_) => write!(f, "model {model} of team"),
                _ => write!(f, "model {model} of api_key"),
            },
            Self::Deployment(_) => f.write_str("deployment"),
            Self::Provider(_) => f.write_str("provider"),
        }
    }
}

impl fmt::Display for Rate {
    /// LiteLLM's `rate_limit_type`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Parallel => "max_parallel_requests",
        })
    }
}

// === impl Estimate ===

impl Estimate {
    /// What is reserved of a limit on tokens. An answer whose length nobody has said is thought to take a sixteenth of the
    /// limit at most, so that calls which are usually short fit side by side; what it takes beyond is counted in the end.
    fn tokens(&self, limit: u64) -> u64 {
        let answer = match self.is_open_ended {
            true => self.completion_tokens.min(limit / 16).min(limit.saturating_sub(self.prompt_tokens)),
            false => self.completion_tokens,
        };
        // One at least: a limit that is used up lets nobody in, whatever is estimated.
        self.prompt_tokens.saturating_add(answer).max(1)
    }
}

// === impl Refused ===

impl Refused {
    /// Whether it is a limit of one model only: another model may be asked.
    pub fn is_of_model(&self) -> bool {
        matches!(self, Self::Rate { scope: Scope::Model(..), .. } | Self::Budget { scope: Scope::Model(..), .. })
    }
}

// === impl Limiter ===

impl Limiter {
    /// Counts together with other gateways from now on. While that isn't possible, calls that `fails_closed` speaks of are
    /// refused; for all others this process counts for itself then.
    pub fn share(&self, counters: Arc<dyn Shared>, fails_closed: FailClosed) {
        // Set once, at the start.
        let _ = self.shared.set(Sharing { counters, fails_closed });
    }

    /// Whether anything limits such a call: most often not, and then nothing has to be estimated.
    pub fn binds(&self, caller: Option<&Arc<Caller>>, names: &[Cow<'_, str>], budgets: &Budgets) -> bool {
        let plan = caller.map(|caller| caller.tab.plan(caller, &self.counters));
        budgets.gateway.is_some() || plan.is_some_and(|plan| plan.binds || plan.binds_model(names))
    }

    /// Reserves what a call may come to, everywhere or nowhere.
    ///
    /// # Errors
    /// A limit stands against it.
    pub async fn admit(self: &Arc<Self>, ask: &Ask<'_>, budgets: &Arc<Budgets>) -> Result<Hold, Refused> {
        self.hold(ask, budgets).enter(ask, true).await
    }

    /// The same but for the limits of the model, as another one shall serve the call.
    ///
    /// # Errors
    /// A limit stands against it.
    pub async fn admit_without_model(self: &Arc<Self>, ask: &Ask<'_>, budgets: &Arc<Budgets>) -> Result<Hold, Refused> {
        self.hold(ask, budgets).enter(ask, false).await
    }

    fn hold(self: &Arc<Self>, ask: &Ask<'_>, budgets: &Arc<Budgets>) -> Hold {
        let plan = ask.caller.map(|caller| caller.tab.plan(caller, &self.counters).clone());
        Hold::new(self.clone(), plan, budgets.clone(), ask.at)
    }

    /// Takes claims, here and for all gateways.
    async fn take(&self, mut demand: Demand, ask: &Ask<'_>, budgets: &Budgets) -> Result<Option<Box<Part>>, Refused> {
        if demand.is_empty() {
            return Ok(None);
        }
        let taken = match self.shared.get() {
            Some(sharing) => match sharing.counters.take(&demand.claims).await {
                // The others know better: here it is only counted, for when they can't be asked.
                Ok((ticket, standings)) => demand.take(false, Instant::now(), ask.at).map(|mut part| {
                    part.shared_by(sharing.counters.clone(), ticket, standings);
                    part
                }),
                Err(NotTaken::Refused(refusal)) => Err(refusal),
                Err(NotTaken::Unreachable) if demand.may_not_fail(sharing.fails_closed) => {
                    return Err(Refused::Unknown);
                }
                Err(NotTaken::Unreachable) => demand.take(true, Instant::now(), ask.at).map(|mut part| {
                    let ticket = sharing.counters.take_alone(part.claims());
                    part.shared_by(sharing.counters.clone(), ticket, Standings::new());
                    part
                }),
            },
            None => demand.take(true, Instant::now(), ask.at),
        };
        taken.map(|part| Some(Box::new(part))).map_err(|refusal| refused(&demand, refusal, ask, budgets))
    }
}

/// What a caller is told of a claim that wasn't granted.
fn refused(demand: &Demand, refusal: Refusal, ask: &Ask<'_>, budgets: &Budgets) -> Refused {
    let (Some(claim), Some(line)) = (demand.claims.get(refusal.claim), demand.line_of(refusal.claim)) else {
        return Refused::Unknown;
    };
    let (scope, whose) = (claim.scope.clone(), line.whose.clone());
    match &claim.of {
        Amount::Rate { what, amount, limit } => {
            let limit = limit.unwrap_or_default();
            Refused::Rate {
                scope,
                whose,
                model: ask.model.to_owned(),
                what: *what,
                limit,
                remaining: limit.saturating_sub(u64::try_from(refusal.used).unwrap_or_default()),
                wanted: *amount,
                retry_after: refusal.retry_after.filter(|_| *amount <= limit),
            }
        }
        Amount::Money { limit, .. } => Refused::Budget {
            scope,
            whose,
            spent: Money::from_pico(refusal.used),
            max: limit.unwrap_or_default(),
            resets_in: refusal.retry_after,
            status: budgets.exceeded_status,
        },
    }
}
