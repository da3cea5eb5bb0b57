//! When the chunks of a stream are sent.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::CHUNKS;
use super::answers::Stream;
use crate::measure::nanos;
use crate::wire::Wire;

/// How answers are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Not as streams.
    #[default]
    Whole,
    /// All chunks without delay, each with a write of its own; streams that are open at the same time take turns, so
    /// that one's chunks don't all lie in the proxy's socket before it has read the first.
    Burst,
    /// A chunk at once and one more each time this passes.
    Every(Duration),
    /// The same, until [`super::Fake::finish`] is called.
    Held(Duration),
}

/// What the fake is told, and what it has to say.
#[derive(Debug, Default)]
pub(super) struct Control {
    pace: Mutex<Pace>,
    finish: AtomicBool,
    complaint: Mutex<Option<String>>,
}

/// Sends one stream from its head to its last byte.
pub(super) async fn send(wire: &mut Wire, stream: &Stream, pace: Pace, control: &Control) -> io::Result<()> {
    wire.write(&stream.opening).await?;
    match pace {
        Pace::Whole | Pace::Burst => {
            for _ in 0..CHUNKS {
                wire.write(&stream.plain).await?;
                yield_now().await;
            }
        }
        Pace::Every(every) => paced(wire, stream, every, |sent| sent < CHUNKS).await?,
        Pace::Held(every) => paced(wire, stream, every, |_| !control.is_finishing()).await?,
    }
    wire.write(&stream.closing).await
}

async fn paced(wire: &mut Wire, stream: &Stream, every: Duration, more: impl Fn(u64) -> bool) -> io::Result<()> {
    // Not even an interval's first tick is at once.
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut chunk, mut sent) = (stream.stamped.clone(), 0);
    while more(sent) {
        if sent > 0 {
            ticks.tick().await;
        }
        chunk.stamp(nanos());
        wire.write(chunk.bytes()).await?;
        sent += 1;
    }
    Ok(())
}

// === impl Control ===

impl Control {
    pub(super) fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_pace(&self, pace: Pace) {
        self.finish.store(false, Ordering::Relaxed);
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }

    pub(super) fn finish(&self) {
        self.finish.store(true, Ordering::Relaxed);
    }

    pub(super) fn complain(&self, what: &str) {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| what.to_owned());
    }

    pub(super) fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_finishing(&self) -> bool {
        self.finish.load(Ordering::Relaxed)
    }
}
