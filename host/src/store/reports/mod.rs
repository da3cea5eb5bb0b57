//! What calls have cost, asked of the database: sums of the days' aggregates, and the rows of calls page by page.
//!
//! Reports have connections of their own, a few, and each question has a time limit that the database keeps too, so that
//! no report stands in the way of the spend writer or of a call. No answer is longer than [`MOST_LINES`].

mod calls;
mod daily;
mod pool;
mod sql;

use std::time::Duration;

pub use calls::{Bodies, CallFilter, CallRow, Place, Sort};
pub use daily::{DailyFilter, Days, Dim, Line, Order, Sums};
pub use pool::Reports;

use super::StoreError;

/// No question has more lines in its answer: what is larger is asked for in parts.
pub const MOST_LINES: u32 = 50_000;

/// Why a report can't be given.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is none to ask.
    #[error("There is no database that says what calls have cost: set general_settings.database_url.")]
    NoDatabase,
    /// The database needs longer.
    #[error("The report takes longer than {} s: ask for fewer days.", .0.as_secs())]
    TooSlow(Duration),
    /// There is more than anybody could hold.
    #[error("The report has more than {MOST_LINES} lines: ask for fewer days.")]
    TooLong,
    /// It can't be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}
