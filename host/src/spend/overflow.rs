//! Calls for which the queue has no place: their rows are lost, their sums are not.

use std::sync::{Mutex, PoisonError};

use super::aggregate::{Kept, add_days, add_totals};
use crate::store::Batch;
use crate::usage::CallRecord;

/// What the sums of days are told apart by at most; there are as many totals as there are keys, users and teams.
const MOST_GROUPS: usize = 20_000;

/// Sums of calls, to be written when the database is back.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    sums: Mutex<Batch>,
}

impl Overflow {
    /// Adds a call. `false`: not even in the sums of its day there is a place for it.
    pub(super) fn add(&self, kept: Kept, call: &CallRecord) -> bool {
        if !kept.sums {
            return true;
        }
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        add_totals(&mut sums, call);
        let has_room = sums.daily.len() + sums.tags.len() < MOST_GROUPS;
        if has_room {
            add_days(&mut sums, call);
        }
        has_room
    }

    /// Takes all of it.
    pub(super) fn take(&self) -> Batch {
        std::mem::take(&mut *self.sums.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
