//! Who looks prices up: the operator's own table, if there is one, and the one that is compiled in.

use super::price::ModelPrice;
use super::table::{PriceTable, serves};

/// All prices of one configuration.
#[derive(Debug, Default)]
pub struct Prices {
    /// What the operator's file says, before the table that is compiled in: that one has models which the other has lost.
    newer: Option<PriceTable>,
}

// === impl Prices ===

impl Prices {
    /// With a newer table.
    pub fn new(newer: Option<PriceTable>) -> Self {
        Self { newer }
    }

    /// About how many rows the operator's own table has.
    pub fn newer_rows(&self) -> Option<usize> {
        self.newer.as_ref().map(PriceTable::len)
    }

    /// What a provider's model costs; `None` where no table says.
    pub fn of(&self, provider: &str, model: &str) -> Option<ModelPrice> {
        let full = format!("{provider}/{model}");
        self.tables().find_map(|table| {
            let own = table.price(&full, provider, |_| true);
            own.or_else(|| table.price(model, provider, |row| serves(row, provider)))
        })
    }

    /// The same for `model_info.base_model`, which may name any provider's.
    pub fn of_base(&self, provider: &str, base: &str) -> Option<ModelPrice> {
        let exact = self.tables().find_map(|table| table.price(base, provider, |_| true));
        let (whose, model) = base.split_once('/').unwrap_or((provider, base));
        exact.or_else(|| self.of(whose, model)).or_else(|| self.of(provider, base))
    }

    fn tables(&self) -> impl Iterator<Item = &PriceTable> {
        self.newer.iter().chain(std::iter::once(PriceTable::embedded()))
    }
}
