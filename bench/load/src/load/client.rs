//! One connection, and one call at a time on it.

use std::net::SocketAddr;
use std::time::Instant;

use thiserror::Error;
use tokio::net::TcpStream;

use super::answer::Answer;
use super::{Call, Tally};
use crate::measure::{nanos, nanos_between};
use crate::wire::{Wire, WireError};

/// Small enough for ten thousand connections, large enough that nobody waits for a read.
const BUFFER_BYTES: usize = 16 * 1024;

/// A connection that is kept, and made anew when the other side ends it.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    wire: Wire,
    close: bool,
    answer: Answer,
}

/// Why a call doesn't count.
#[derive(Debug, Error)]
pub(crate) enum Wrong {
    /// The connection failed, or what came is no HTTP.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Another status.
    #[error("status {status} instead of {expected}; its body ends in {tail:?}")]
    Status { status: u16, expected: u16, tail: String },
    /// Another body.
    #[error("a wrong body: {0}")]
    Body(String),
}

// === impl Client ===

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Wrong> {
        Ok(Self { address, wire: open(address).await?, close: false, answer: Answer::default() })
    }

    /// Sends the call and checks the answer. Times are counted from `from`, which may be before now.
    pub(crate) async fn call(&mut self, call: &Call, from: Instant, tally: &Tally) -> Result<(), Wrong> {
        if self.close {
            self.wire = open(self.address).await?;
            self.close = false;
        }
        // Until the answer was read to its end, the connection is good for nothing else.
        self.close = true;
        self.wire.write(&call.bytes).await.map_err(WireError::from)?;
        let head = self.wire.answer().await?;
        self.answer.clear();
        let (answer, mut began) = (&mut self.answer, false);
        let sink = |piece: &[u8]| {
            let mut now = None;
            let marks = answer.take(piece, |stamp| {
                let now = *now.get_or_insert_with(nanos);
                tally.lagged(now.saturating_sub(stamp));
            });
            if marks > 0 {
                tally.arrived(marks);
                if !began {
                    began = true;
                    tally.began(nanos_between(from, Instant::now()));
                }
            }
        };
        self.wire.body(head.body, sink).await?;
        let nanos = nanos_between(from, Instant::now());
        self.close = head.close;
        if head.value != call.expect.status {
            let tail = String::from_utf8_lossy(self.answer.tail()).into_owned();
            return Err(Wrong::Status { status: head.value, expected: call.expect.status, tail });
        }
        self.answer.check(&call.expect).map_err(Wrong::Body)?;
        tally.answered(nanos);
        Ok(())
    }
}

async fn open(address: SocketAddr) -> Result<Wire, WireError> {
    Ok(Wire::new(TcpStream::connect(address).await?, BUFFER_BYTES)?)
}
