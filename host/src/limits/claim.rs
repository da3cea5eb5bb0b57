//! What a call takes of one limit: the same for counters in this process and for those that gateways share.

use std::time::{Duration, SystemTime};

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
