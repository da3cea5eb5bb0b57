//! One run for all who ask for the same at the same time.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};

/// What is under way, by what was asked for.
pub(super) struct Runs<What, Found: Clone> {
    /// Never locked while something is awaited.
    going_on: Mutex<HashMap<What, WeakShared<BoxFuture<'static, Found>>>>,
}

/// Waits for a run.
pub(super) type Run<Found> = Shared<BoxFuture<'static, Found>>;

impl<What: Eq + Hash, Found: Clone + Send + Sync + 'static> Runs<What, Found> {
    /// The run that is under way for `what`, else a new one. It goes on to its end, also when nobody waits any more.
    pub(super) fn join(&self, what: What, start: impl FnOnce() -> BoxFuture<'static, Found>) -> Run<Found> {
        let mut going_on = self.going_on.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is through is of yesterday.
        let open = |run: &WeakShared<_>| run.upgrade().filter(|run: &Run<Found>| run.peek().is_none());
        if let Some(run) = going_on.get(&what).and_then(open) {
            return run;
        }
        // Not each time: many may begin at once.
        if going_on.len() == going_on.capacity() {
            going_on.retain(|_, run| open(run).is_some());
        }
        let run = start().shared();
        going_on.extend(run.downgrade().map(|weak| (what, weak)));
        tokio::spawn(run.clone());
        run
    }
}

impl<What, Found: Clone> Default for Runs<What, Found> {
    fn default() -> Self {
        Self { going_on: Mutex::default() }
    }
}

impl<What, Found: Clone> fmt::Debug for Runs<What, Found> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runs")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn who_asks_for_the_same_at_the_same_time_shares_a_run() {
        let (runs, started, gate) = (Runs::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let ask = |what| {
            let (started, gate) = (started.clone(), gate.clone());
            runs.join(what, move || {
                async move {
                    let number = started.fetch_add(1, Ordering::Relaxed) + 1;
                    gate.notified().await;
                    number
                }
                .boxed()
            })
        };
        let (first, second, other) = (ask("a"), ask("a"), ask("b"));
        let open = async {
            for _ in 0..2 {
                tokio::task::yield_now().await;
                gate.notify_one();
            }
        };
        let (first, second, other, ()) = tokio::join!(first, second, other, open);
        assert_eq!((first, second, other), (1, 1, 2));
        gate.notify_one();
        assert_eq!(ask("a").await, 3, "the one before is through");
    }

    #[tokio::test]
    async fn a_run_that_nobody_waits_for_goes_on_to_its_end() {
        let (runs, gate, ended) = (Runs::default(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (opened, ends) = (gate.clone(), ended.clone());
        let left = runs.join("a", move || {
            async move {
                opened.notified().await;
                ends.notify_one();
            }
            .boxed()
        });
        drop(left);
        gate.notify_one();
        ended.notified().await;
    }

    #[tokio::test]
    async fn runs_that_are_through_are_forgotten() {
        let runs = Runs::default();
        for what in 0..1000 {
            runs.join(what, || std::future::ready(()).boxed()).await;
        }
        let kept = runs.going_on.lock().expect("nobody panicked").len();
        assert!(kept < 10, "{kept}");
    }
}
