//! What calls use: one entry a request while it is under way, and one record a call once it is over.

mod call;
mod ledger;
mod meter;
mod record;
#[cfg(test)]
pub(crate) mod samples;
mod trace;

pub use call::CallEntry;
pub use ledger::{Entry, Outcome, ServedBy};
pub use meter::Meter;
pub use record::{Books, CallRecord, Messages, Sink};
pub use trace::{Attempt, SpanIds, TraceParent};
