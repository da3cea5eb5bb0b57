//! What an attempt has used while nobody has its answer yet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Usage;

/// Shared between an attempt and whoever accounts for it, should it never come to an end: because the client left, or
/// another attempt was faster.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Reading>);

#[derive(Debug, Default)]
struct Reading {
    usage: Mutex<Option<Usage>>,
    is_sent: AtomicBool,
}

impl Meter {
    /// The provider has said what was used so far.
    pub fn set(&self, usage: Option<Usage>) {
        *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner) = usage;
    }

    /// What the provider has said.
    pub fn read(&self) -> Option<Usage> {
        *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request goes out to the provider now, or turns out not to have: nobody was reached, or it was refused. Tells
    /// what was known before.
    pub fn set_sent(&self, is_sent: bool) -> bool {
        self.0.is_sent.swap(is_sent, Ordering::Relaxed)
    }

    /// Whether the provider has the request, as far as anybody knows: what was asked is paid for then, whether or not the
    /// answer is waited for.
    pub fn is_sent(&self) -> bool {
        self.0.is_sent.load(Ordering::Relaxed)
    }
}
