//! Streams of HTTP/2 whose client takes nothing.
//!
//! Many clients' streams share one connection, where a proxy is in front, and each has a window of its own: one of them
//! may stand still while the connection moves, so that what [`Patient`](super::patience::Patient) sees says nothing of
//! it. hyper runs each stream as a task; this is what runs those, and it gives up a task whose answer has had a piece
//! ready for too long. The stream is reset then, and the others go on.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep};

/// Runs the streams of a connection.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// How long a client may take nothing of a piece of its answer.
    pub(super) write_timeout: Duration,
}

/// How far an answer has come: twice the number of its pieces, and one more while the last is with the client.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

tokio::task_local! {
    /// Of the stream whose task runs.
    static PROGRESS: Arc<Progress>;
}

/// A stream's task.
struct Watched<F> {
    stream: Pin<Box<F>>,
    progress: Arc<Progress>,
    /// What had gone out when it was last looked, and until when more has to.
    stalled: Option<(u64, Instant)>,
    alarm: Option<Pin<Box<Sleep>>>,
    write_timeout: Duration,
}

// === impl Progress ===

impl Progress {
    /// Of the stream that is being answered; nothing for HTTP/1, where the connection tells.
    pub(super) fn of_this_stream() -> Option<Arc<Self>> {
        PROGRESS.try_with(Arc::clone).ok()
    }

    /// A piece goes to the client.
    pub(super) fn handed(&self) {
        self.0.fetch_or(1, Ordering::Relaxed);
    }

    /// It is taken: the next one is asked for.
    pub(super) fn taken(&self) {
        if let Some(handed) = self.with_client() {
            self.0.store(handed + 1, Ordering::Relaxed);
        }
    }

    /// Which piece is with the client, if one is.
    fn with_client(&self) -> Option<u64> {
        let now = self.0.load(Ordering::Relaxed);
        (now % 2 == 1).then_some(now)
    }
}

// === impl Streams ===

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let progress = Arc::default();
        let stream = Box::pin(stream);
        let write_timeout = self.write_timeout;
        tokio::spawn(Watched { stream, progress, stalled: None, alarm: None, write_timeout });
    }
}

// === impl Watched ===

impl<F: Future> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let stream = &mut this.stream;
        if PROGRESS.sync_scope(this.progress.clone(), || stream.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        let Some(piece) = this.progress.with_client() else {
            this.stalled = None;
            return Poll::Pending;
        };
        let until = match this.stalled {
            Some((same, until)) if same == piece => until,
            _ => Instant::now() + this.write_timeout,
        };
        this.stalled = Some((piece, until));
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        loop {
            // One that is set for an earlier piece rings early, and is set anew only then.
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if alarm.deadline() >= until {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// Hands out pieces that take so many seconds each to be taken, and is done; or is given up. How long it took.
    async fn run(pieces: &'static [u64]) -> (u64, bool) {
        let (done, is_done) = oneshot::channel();
        let began = Instant::now();
        Streams { write_timeout: Duration::from_secs(60) }.execute(async move {
            let progress = Progress::of_this_stream().expect("it runs in here");
            for seconds in pieces {
                // The provider takes its time.
                tokio::time::sleep(Duration::from_secs(100)).await;
                progress.handed();
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                progress.taken();
            }
            let _ = done.send(());
        });
        let whole = is_done.await.is_ok();
        (began.elapsed().as_secs(), whole)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_given_up_when_its_client_takes_too_long_and_never_for_its_provider() {
        assert_eq!(run(&[0, 50, 50, 0, 59]).await, (659, true));
        assert_eq!(run(&[50, 50, 1000]).await, (460, false));
    }

    #[test]
    fn elsewhere_there_is_no_progress_to_tell_of() {
        assert!(Progress::of_this_stream().is_none());
    }
}
