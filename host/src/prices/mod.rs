//! What calls cost: the table of prices, what the operator says instead, and the arithmetic between usage and money.
//!
//! ```text
//! config/prices.gz, or a newer file ─► PriceTable ─► Prices ─► ModelPrice of a deployment ─┐
//! litellm_params, model_info: the operator's own ─────────────────────────────────────────┴─► × Usage = Cost
//! ```
//!
//! All of it is decimal: a price is read from the text that it is written as, and no float comes between. A price that
//! nobody knows is unknown, never 0.

mod adjust;
mod book;
mod cost;
mod deployment;
#[cfg(test)]
mod litellm;
mod object;
mod price;
mod rate;
mod table;
#[cfg(test)]
mod tests;

pub use adjust::Adjustment;
pub use book::Prices;
pub use cost::Cost;
pub use deployment::Pricing;
pub use price::ModelPrice;
pub use rate::{Rate, Tier, Unit};
pub use table::{BadTable, PriceTable};
