//! What calls use: one entry a request while it is under way, and one record a call once it is over.

mod call;
mod ledger;
mod meter;
mod record;
#[cfg(test)]
pub(crate) mod samples;
mod settle;
mod tally;
mod terms;
mod trace;
mod used;

pub use call::CallEntry;
pub use ledger::{Entry, Outcome, ServedBy};
pub use meter::Meter;
pub use record::{Books, CallRecord, Messages, Sink};
pub use tally::Tally;
pub use terms::Terms;
pub use trace::{Attempt, SpanIds, TraceParent};
pub use used::{Details, Image, Quality, SearchSize, Usage, plausible};
