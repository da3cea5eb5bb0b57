//! Bodies of answers, and reading those of requests.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::error;
use crate::pipeline::{GatewayError, StreamReply};
use crate::usage::Entry;

/// How long a client may be silent in the middle of its request.
const IDLE: Duration = Duration::from_secs(60);
/// How long a body that was refused is read on.
const LINGER: Duration = Duration::from_secs(10);

/// The body of an answer.
pub struct Body {
    kind: Kind,
    /// Held as long as the answer is under way.
    under_way: Option<Arc<()>>,
}

enum Kind {
    Whole(Option<Bytes>),
    /// Waits for the entry that is written when it ends.
    Reply(Option<StreamReply>),
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl Body {
    /// A body that is here.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Whole(Some(bytes.into())), under_way: None }
    }

    /// A body that comes in pieces.
    pub fn stream(reply: StreamReply) -> Self {
        Self { kind: Kind::Reply(Some(reply)), under_way: None }
    }

    pub(super) fn is_stream(&self) -> bool {
        !matches!(self.kind, Kind::Whole(_))
    }

    /// Keeps `token` until the answer is out, or can't be.
    pub(super) fn hold(&mut self, token: Arc<()>) {
        self.under_way = Some(token);
    }

    /// Hands the request's entry to the stream.
    pub(super) fn attach(&mut self, entry: Entry) {
        if let Kind::Reply(reply) = &mut self.kind {
            self.kind = match reply.take() {
                Some(reply) => Kind::Stream(reply.into_bytes(entry, error::event)),
                None => Kind::Whole(None),
            };
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.kind {
            Kind::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Reply(_) => Poll::Ready(None),
            Kind::Stream(stream) => {
                stream.as_mut().poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.kind, Kind::Whole(bytes) if bytes.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Reply(_) | Kind::Stream(_) => SizeHint::default(),
        }
    }
}

/// Reads a request's body, at most `limit` bytes.
pub(super) async fn read(headers: &HeaderMap, mut body: Incoming, limit: usize) -> Result<Bytes, GatewayError> {
    let announced =
        headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(body, limit));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = tokio::time::timeout(IDLE, body.frame()).await.map_err(|_| GatewayError::BodySlow)? {
        let Ok(data) = frame.map_err(|error| GatewayError::BodyBroken(error.to_string()))?.into_data() else {
            continue;
        };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large(body, limit));
        }
        // A body that came in one piece is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(announced.unwrap_or_default().max(first.len() + data.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Refuses a body, and reads on for a while: a client that is still sending when its connection is closed sees a reset
/// instead of the answer.
fn too_large(mut body: Incoming, limit: usize) -> GatewayError {
    tokio::spawn(tokio::time::timeout(LINGER, async move { while let Some(Ok(_)) = body.frame().await {} }));
    GatewayError::BodyTooLarge { limit }
}
