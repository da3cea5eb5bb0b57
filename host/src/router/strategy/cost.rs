//! `cost-based-routing`: the lowest sum of the prices of a prompt's token and an answer's; equals take turns.

use std::sync::Arc;

use super::{Ask, Rotation, Strategy};
use crate::router::{Reason, Target};

/// USD for a token of unknown price, as in LiteLLM: whatever has a price is cheaper.
const UNKNOWN: f64 = 5.0;

#[derive(Debug, Default)]
pub(super) struct LowestCost(Rotation);

impl Strategy for LowestCost {
    fn choose(&self, candidates: &[&Arc<Target>], _ask: &Ask<'_>) -> (usize, Reason) {
        let price = |target: &Target| {
            let (prompt, answer) = target.deployment.routing.prices.unwrap_or((UNKNOWN, UNKNOWN));
            prompt + answer
        };
        let (index, usd) = self.0.least(candidates, price).unwrap_or_default();
        (index, Reason::Cheapest { usd })
    }
}
