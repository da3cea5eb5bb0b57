//! How long an attempt has waited for its provider, so that what the gateway itself adds can be told from it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Shared between an attempt and what it is made of.
#[derive(Debug, Default)]
pub(super) struct Waits(AtomicU64);

// === impl Waits ===

impl Waits {
    /// Waits for something of the provider's.
    pub(super) async fn on<T>(&self, event: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let came = event.await;
        self.add(began.elapsed());
        came
    }

    /// So long it was waited elsewhere.
    pub(super) fn add(&self, waited: Duration) {
        self.0.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long, all in all.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}
