//! Instances of a reusable plugin between two calls.
//!
//! They belong to one loaded version: a new one begins without any. The last that came is the first to go, so that those
//! that aren't needed grow old and are dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::instance::Instance;

/// How long an instance waits for its next call.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often somebody looks whether it has waited too long.
const SWEEP: Duration = Duration::from_secs(15);

/// Instances that wait.
pub(super) struct IdleInstances {
    most: usize,
    stack: Mutex<Vec<Idle>>,
    sweeping: AtomicBool,
}

struct Idle {
    instance: Instance,
    since: Instant,
}

impl IdleInstances {
    /// Room for `most`.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, stack: Mutex::default(), sweeping: AtomicBool::new(false) })
    }

    /// One that waits.
    pub(super) fn take(&self) -> Option<Instance> {
        self.lock().pop().map(|idle| idle.instance)
    }

    /// Lets an instance wait. Where there is no room it is dropped.
    pub(super) fn put(self: &Arc<Self>, instance: Instance) {
        let idle = Idle { instance, since: Instant::now() };
        let refused = {
            let mut stack = self.lock();
            if stack.len() < self.most {
                stack.push(idle);
                None
            } else {
                Some(idle)
            }
        };
        // Not under the lock: giving memory back takes a while.
        drop(refused);
        self.sweep_from_now_on();
    }

    /// Drops what has waited since before `since`; whether any is left.
    fn drop_older(&self, since: Instant) -> bool {
        let (old, left) = {
            let mut stack = self.lock();
            let young = stack.partition_point(|idle| idle.since < since);
            (stack.drain(..young).collect::<Vec<_>>(), !stack.is_empty())
        };
        drop(old);
        left
    }

    /// Starts a task that ends with the last waiting instance.
    fn sweep_from_now_on(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let swept = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(idle) = swept.upgrade() else { return };
                if Instant::now().checked_sub(PATIENCE).is_some_and(|since| !idle.drop_older(since)) {
                    idle.sweeping.store(false, Ordering::Release);
                    return;
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for IdleInstances {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdleInstances").field("waiting", &self.lock().len()).finish_non_exhaustive()
    }
}
