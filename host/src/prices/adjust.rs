//! What the operator takes off a provider's prices, and puts on top: `cost_discount_config`, `cost_margin_config`.

use rust_decimal::Decimal;

use crate::money::Money;

/// What becomes of a cost, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjustment {
    /// The share that is taken off: 0.05 for 5 %.
    pub discount: Decimal,
    /// The share of the rest that is put on top.
    pub margin: Decimal,
    /// What is put on top of each call.
    pub fee: Money,
}

// === impl Adjustment ===

impl Adjustment {
    /// Whether it changes anything.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What is taken off `cost`, and what is put on top.
    pub(super) fn of(&self, cost: Money) -> Option<(Money, Money)> {
        let discount = share(cost, self.discount)?;
        let margin = share(cost.saturating_sub(discount), self.margin)?.saturating_add(self.fee);
        Some((discount, margin))
    }
}

fn share(of: Money, share: Decimal) -> Option<Money> {
    if share.is_zero() {
        return Some(Money::ZERO);
    }
    Money::from_usd(of.usd().checked_mul(share)?)
}
