//! What calls use. Money, limits and their storage are to come here; now every call ends in one log line.

mod ledger;

pub use ledger::{Entry, Outcome, ServedBy};
