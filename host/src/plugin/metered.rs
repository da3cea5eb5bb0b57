//! Runs a guest, measures how long it ran, and keeps one that computes for long out of everybody's way.

use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// Guests that compute for long take turns: all of them together have half of the processors.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(turns()));

fn turns() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1))
}

/// What a guest's run came to.
pub(super) struct Metered<T> {
    /// What it returned, or why it was given up.
    pub output: Result<T, GivenUp>,
    /// Processor time, so without the time in which it waited for its thread.
    pub cpu: Duration,
}

/// Why a guest was not run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// It waited too long for something of its own.
    Waited,
    /// Others of the same plugin compute, and their places didn't become free in time.
    Crowded,
}

/// The places that one plugin has in the slow lane: a guest keeps its place to its end, so that some calls are served
/// when there are too many, and not all of them too late. Each plugin has its own, so that none takes another's.
#[derive(Debug)]
pub(super) struct Places(Semaphore);

impl Default for Places {
    fn default() -> Self {
        Self(Semaphore::new(turns()))
    }
}

/// Runs `guest` to its end.
///
/// Nearly all are done before the epoch's second tick, on the thread that they were called on. One that isn't goes on in
/// the slow lane, on a thread that serves nobody else: there plugins take turns, tick by tick.
///
/// The epoch stops a guest that computes. One that waits, for a clock of WASI, doesn't compute: it is given up once it has
/// waited for `patience`. Waiting for a turn doesn't count.
pub(super) async fn metered<T>(guest: impl Future<Output = T>, patience: Duration, places: &Places) -> Metered<T> {
    let mut guest = pin!(guest);
    let mut cpu = Duration::ZERO;
    let first = std::future::poll_fn(|context| Poll::Ready(timed(&mut cpu, || guest.as_mut().poll(context))));
    let output = match first.await {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => slowly(guest, &mut cpu, patience, places).await,
    };
    Metered { output, cpu }
}

/// Runs a guest that has just stopped to its end.
async fn slowly<T>(
    mut guest: Pin<&mut impl Future<Output = T>>,
    cpu: &mut Duration,
    mut patience: Duration,
    places: &Places,
) -> Result<T, GivenUp> {
    until_woken(&mut patience).await?;
    let _place = match tokio::time::timeout(patience, places.0.acquire()).await {
        // It is never closed.
        Ok(place) => place,
        Err(_) => return Err(GivenUp::Crowded),
    };
    loop {
        let turn = TURNS.acquire().await;
        let mut run = |context: &mut Context<'_>| timed(cpu, || guest.as_mut().poll(context));
        let polled = std::future::poll_fn(|context| Poll::Ready(aside(|| run(context)))).await;
        drop(turn);
        match polled {
            Poll::Ready(output) => return Ok(output),
            Poll::Pending => until_woken(&mut patience).await?,
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

/// Waits for whatever the guest, which has just stopped, waits for; mostly it only let go of its thread.
async fn until_woken(patience: &mut Duration) -> Result<(), GivenUp> {
    let (mut stopped, began) = (false, Instant::now());
    let woken =
        std::future::poll_fn(|_| if std::mem::replace(&mut stopped, true) { Poll::Ready(()) } else { Poll::Pending });
    // The timer wakes as well, so that only the clock tells whose doing it was.
    let _ = tokio::time::timeout(*patience, woken).await;
    *patience = patience.saturating_sub(began.elapsed());
    if patience.is_zero() { Err(GivenUp::Waited) } else { Ok(()) }
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
        let metered = metered(std::future::pending::<()>(), Duration::from_millis(1), &Places::default()).await;
        assert_eq!(metered.output, Err(GivenUp::Waited));
    }

    #[tokio::test]
    async fn waiting_does_not_count_as_running() {
        let guest = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            7
        };
        let metered = metered(guest, Duration::from_secs(60), &Places::default()).await;
        assert_eq!(metered.output, Ok(7));
        assert!(metered.cpu < Duration::from_millis(40), "{:?}", metered.cpu);
    }

    #[tokio::test]
    async fn waiting_for_others_is_not_the_guests_fault() {
        let places = Places::default();
        let taken = places.0.acquire_many(u32::try_from(turns()).unwrap()).await.unwrap();
        let crowded = metered(tokio::task::yield_now(), Duration::from_millis(20), &places).await;
        assert_eq!(crowded.output, Err(GivenUp::Crowded));
        drop(taken);
        let served = metered(tokio::task::yield_now(), Duration::from_millis(20), &places).await;
        assert_eq!(served.output, Ok(()));
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
            metered(guest, Duration::from_secs(60), &Places::default()).await.output
        });
        for _ in 0..20 {
            tokio::spawn(tokio::task::yield_now()).await.unwrap();
        }
        stop.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), Ok(7));
    }
}
