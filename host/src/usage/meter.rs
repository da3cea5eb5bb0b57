//! What an attempt has used while nobody has its answer yet.

use std::sync::{Arc, Mutex, PoisonError};

use super::Usage;

/// Shared between an attempt and whoever accounts for it, should it never come to an end: because the client left, or
/// another attempt was faster.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Option<Usage>>>);

impl Meter {
    /// The provider has said what was used so far.
    pub fn set(&self, usage: Option<Usage>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = usage;
    }

    /// What the provider has said.
    pub fn read(&self) -> Option<Usage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
