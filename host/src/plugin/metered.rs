//! Runs a guest, measures how long it ran, and keeps one that computes for long out of everybody's way.

use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// Guests that compute for long take turns: all of them together have half of the processors.
static SLOW_LANE: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new((processors / 2).max(1))
});

/// What a guest's run came to.
pub(super) struct Metered<T> {
    /// What it returned; `None` when it was not done in time and was given up.
    pub output: Option<T>,
    /// Processor time, so without the time in which it waited for its thread.
    pub cpu: Duration,
}

/// Runs `guest` to its end.
///
/// Nearly all are done before the epoch's first tick, on the thread that they were called on. One that isn't goes on tick
/// by tick in the slow lane, where it takes turns with others like it on a thread that serves nobody else.
///
/// The epoch stops a guest that computes. One that waits, for a clock of WASI, doesn't compute: it is given up once
/// `patience` has passed since it first stopped running.
pub(super) async fn metered<T>(guest: impl Future<Output = T>, patience: Duration) -> Metered<T> {
    let mut guest = pin!(guest);
    let mut cpu = Duration::ZERO;
    let first = std::future::poll_fn(|context| Poll::Ready(timed(&mut cpu, || guest.as_mut().poll(context))));
    let output = match first.await {
        Poll::Ready(output) => Some(output),
        Poll::Pending => tokio::time::timeout(patience, slowly(guest, &mut cpu)).await.ok(),
    };
    Metered { output, cpu }
}

/// Runs a guest that has stopped once to its end.
async fn slowly<T>(mut guest: Pin<&mut impl Future<Output = T>>, cpu: &mut Duration) -> T {
    loop {
        until_woken().await;
        // It is never closed.
        let turn = SLOW_LANE.acquire().await;
        let mut run = |context: &mut Context<'_>| timed(cpu, || guest.as_mut().poll(context));
        let polled = std::future::poll_fn(|context| Poll::Ready(aside(|| run(context)))).await;
        drop(turn);
        if let Poll::Ready(output) = polled {
            return output;
        }
    }
}

/// Lets the thread's other tasks go on elsewhere while `run` computes.
fn aside<T>(run: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(run),
        // There is no other thread.
        _ => run(),
    }
}

/// Waits for whatever the guest, which has just stopped, waits for.
async fn until_woken() {
    let mut stopped = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut stopped, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn timed<T>(cpu: &mut Duration, run: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let output = run();
    *cpu += began.elapsed();
    output
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_guest_that_computes_tick_by_tick_leaves_the_thread_to_others() {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let slow = tokio::spawn(async move {
            let guest = async {
                loop {
                    if stopped.try_recv().is_ok() {
                        return 7;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                    tokio::task::yield_now().await;
                }
            };
            metered(guest, Duration::from_secs(60)).await.output
        });
        for _ in 0..20 {
            tokio::spawn(tokio::task::yield_now()).await.unwrap();
        }
        stop.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), Some(7));
    }
}
