//! Waiting for something that another process does, with a limit and a name.

use std::future::Future;
use std::time::Duration;

/// Far longer than anything takes: only a broken gateway gets here.
const LIMIT: Duration = Duration::from_secs(30);

/// Awaits `future`; panics with `what` when that takes suspiciously long.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_limit(LIMIT, what, future).await
}

async fn within_limit<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("gave up after {limit:?} waiting: {what}"),
    }
}

/// Asks again and again until `probe` gives a value. Only for what offers nothing to await: logs, exit codes.
pub async fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    eventually_within(LIMIT, what, probe).await
}

/// The same for what takes minutes: compilers.
pub(crate) async fn eventually_within<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    within_limit(limit, what, async {
        loop {
            if let Some(value) = probe() {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// The same for a probe that has to be awaited: an answer of the gateway that is to change.
pub async fn eventually_async<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
