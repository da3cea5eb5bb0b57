//! What calls have cost: from the end of a call to the database, off the request's path.
//!
//! ```text
//! CallRecord -> Writer (a bounded queue) -> Batch (every 300 ms, or 500 calls) -> Store::record -> Limiter::written
//!                    \-> Overflow (sums alone, where the queue is full)  -/
//! ```

mod aggregate;
mod load;
mod overflow;
mod progress;
mod retention;
mod task;
#[cfg(test)]
mod tests;
mod writer;

pub use progress::{Progress, Status};
pub use retention::keep_tidy;
#[cfg(test)]
pub use tests::example as example_call;
pub use writer::Writer;
