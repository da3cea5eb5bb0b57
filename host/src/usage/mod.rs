//! What calls use. Money, limits and their storage are to come here; now every call ends in one log line.

mod ledger;
mod meter;

pub use ledger::{Entry, Outcome, ServedBy};
pub use meter::Meter;
