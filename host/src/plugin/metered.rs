//! Runs a guest, and measures how long it ran.

use std::pin::pin;
use std::time::{Duration, Instant};

/// What a guest's run came to.
pub(super) struct Metered<T> {
    /// What it returned; `None` when it was not done in time and was given up.
    pub output: Option<T>,
    /// Processor time, so without the time in which it waited for its thread.
    pub cpu: Duration,
}

/// Runs `guest` to its end.
///
/// The epoch stops a guest that computes. One that waits, for a clock of WASI, doesn't compute: it is given up once
/// `patience` has passed since it first stopped running. One that never stops, as nearly all, needs no timer.
pub(super) async fn metered<T>(guest: impl Future<Output = T>, patience: Duration) -> Metered<T> {
    let mut guest = pin!(guest);
    let mut cpu = Duration::ZERO;
    let mut overdue = None;
    let output = std::future::poll_fn(|context| {
        let began = Instant::now();
        let polled = guest.as_mut().poll(context);
        cpu += began.elapsed();
        if polled.is_ready() {
            return polled.map(Some);
        }
        let timer = overdue.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        timer.as_mut().poll(context).map(|()| None)
    })
    .await;
    Metered { output, cpu }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_guest_that_waits_for_ever_is_given_up() {
        let metered = metered(std::future::pending::<()>(), Duration::from_millis(1)).await;
        assert!(metered.output.is_none());
    }

    #[tokio::test]
    async fn waiting_does_not_count_as_running() {
        let guest = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            7
        };
        let metered = metered(guest, Duration::from_secs(60)).await;
        assert_eq!(metered.output, Some(7));
        assert!(metered.cpu < Duration::from_millis(40), "{:?}", metered.cpu);
    }
}
