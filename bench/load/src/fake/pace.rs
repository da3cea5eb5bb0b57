//! When the chunks of a stream are sent.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

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
    /// All chunks without delay, each with a write of its own.
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
            }
        }
        Pace::Every(every) => paced(wire, stream, every, |sent| sent < CHUNKS).await?,
        Pace::Held(every) => paced(wire, stream, every, |_| !control.is_finishing()).await?,
    }
    wire.write(&stream.closing).await
}

async fn paced(wire: &mut Wire, stream: &Stream, every: Duration, more: impl Fn(u64) -> bool) -> io::Result<()> {
    let (mut chunk, mut ticks, mut sent) = (stream.stamped.clone(), interval(every), 0);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while more(sent) {
        ticks.tick().await;
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
