//! What calls cost: the table of prices, what the operator says instead, and the arithmetic between usage and money.

use rust_decimal::Decimal;

use crate::money::Money;
use crate::plugin::Usage;

/// What a model's usage costs, in US dollars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelPrice {
    /// A token of the prompt.
    pub input: Option<Decimal>,
    /// A token of the answer.
    pub output: Option<Decimal>,
}

/// What a call cost, part by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// All of it.
    pub total: Money,
    /// The prompt, caches included.
    pub input: Money,
    /// The answer.
    pub output: Money,
}

// === impl ModelPrice ===

impl ModelPrice {
    /// What `usage` costs; `None`: of something that was used the price isn't known, and unknown is not nothing.
    pub fn cost(&self, usage: &Usage) -> Option<Cost> {
        let of = |price: Option<Decimal>, tokens: u64| match tokens {
            0 => Some(Money::ZERO),
            tokens => Money::from_usd(price?.checked_mul(Decimal::from(tokens))?),
        };
        let input = of(self.input, usage.prompt_tokens)?;
        let output = of(self.output, usage.completion_tokens)?;
        Some(Cost { total: input.saturating_add(output), input, output })
    }
}
