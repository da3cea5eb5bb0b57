//! The body of a request, and what becomes of it when nobody wants it: a client that is still sending when its connection
//! is closed sees a reset instead of the answer, so it is read on for a while.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::patience::Calls;

/// A request's body, as it comes.
#[derive(Debug)]
pub(super) struct Upload {
    incoming: Incoming,
    /// Of its connection.
    calls: Arc<Calls>,
    /// Its client holds it back (`Expect: 100-continue`) until somebody begins to read.
    is_held_back: bool,
}

/// How much is read of what nobody wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linger {
    time: Duration,
    bytes: usize,
}

impl Linger {
    /// For a caller that may call, but not now or not this.
    pub(super) const LONG: Self = Self { time: Duration::from_secs(10), bytes: usize::MAX };
    /// For anybody: what is refused unseen.
    pub(super) const SHORT: Self = Self { time: Duration::from_secs(2), bytes: 2 << 20 };
}

impl Upload {
    /// That of a request which came over the connection of `calls`.
    pub(super) fn of(request: Request<Incoming>, calls: Arc<Calls>) -> Request<Self> {
        let is_held_back = request.headers().contains_key(header::EXPECT);
        request.map(|incoming| Self { incoming, calls, is_held_back })
    }

    /// Where it comes from.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.calls.peer()
    }

    /// Whether its client waits for a word before it sends it.
    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// The next of it.
    pub(super) async fn frame(&mut self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        self.is_held_back = false;
        self.incoming.frame().await
    }

    /// Reads on in the background, for nothing. What is held back stays where it is.
    pub(super) fn linger(mut self, linger: Linger) {
        if self.is_held_back || self.incoming.is_end_stream() {
            return;
        }
        let lingering = self.calls.linger();
        tokio::spawn(tokio::time::timeout(linger.time, async move {
            let mut left = linger.bytes;
            while let Some(Ok(frame)) = self.frame().await {
                match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(less) => left = less,
                    None => break,
                }
            }
            drop((self, lingering));
        }));
    }
}
