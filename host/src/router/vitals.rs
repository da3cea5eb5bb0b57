//! How a deployment does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;

use super::Failure;
use crate::plugin::Usage;

/// How a deployment does: its circuit, what is under way, what it has counted.
#[derive(Debug, Default)]
pub struct Vitals {
    in_flight: AtomicU32,
}

/// An attempt under way. Dropped without a word it was cancelled, which is nobody's fault.
#[derive(Debug)]
pub struct Flight {
    vitals: Arc<Vitals>,
    /// When the attempt began.
    pub began: Instant,
}

/// What a failure came to for its deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Consequence {
    /// It doesn't count.
    Exempt,
    /// It was counted.
    Counted,
    /// The deployment is left alone until then.
    CooledDown(Instant),
}

impl Vitals {
    pub(super) fn begin(self: &Arc<Self>, now: Instant) -> Flight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight { vitals: self.clone(), began: now }
    }
}

impl Vitals {
    pub fn first_byte_quantile(&self, _q: f64) -> Option<std::time::Duration> {
        None
    }
}

impl Flight {
    /// The first piece of the answer is here.
    pub fn first_byte(&mut self, _now: Instant) {}

    /// The answer is whole.
    pub fn succeed(self, _usage: Option<&Usage>, _now: Instant) {}

    /// The attempt failed.
    pub fn fail(self, _failure: Failure, _now: Instant) -> Consequence {
        Consequence::Exempt
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.vitals.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
