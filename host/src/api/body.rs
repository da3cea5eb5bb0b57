//! Bodies of answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};

use super::error;
use super::patience::Call;
use super::stalled::Progress;
use crate::admission::Slot;
use crate::pipeline::StreamReply;
use crate::usage::Entry;

/// What is handed out of a whole answer at a time: its call is under way until the last piece is, and a slow client's
/// connection queues no more than one.
const PIECE: usize = 64 << 10;
/// The same with HTTP/2, where a piece may wait for its stream's window with no clock and no place held: as much as one
/// frame has.
const PIECE_OF_HTTP2: usize = 16 << 10;

/// The body of an answer.
pub struct Body {
    kind: Kind,
    held: Held,
}

/// What is held as long as the answer is under way.
#[derive(Default)]
struct Held {
    /// Of the connection.
    call: Option<Call>,
    /// Of the gateway.
    slot: Option<Slot>,
    /// Of its stream, with HTTP/2.
    progress: Option<Arc<Progress>>,
}

enum Kind {
    Whole(Option<Bytes>),
    /// Waits for the entry that is written when it ends.
    Reply(Option<StreamReply>),
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    Pieces(Pieces, Option<Box<Entry>>),
}

/// An answer that is read from somewhere while it goes out.
type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BrokenOff>> + Send>>;

/// The rest of an answer can't be had. Its connection, or its stream, is broken off too, so that nobody takes a part for
/// the whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct BrokenOff(pub String);

impl Body {
    /// A body that is here.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Whole(Some(bytes.into())), held: Held::default() }
    }

    /// A body that comes in pieces.
    pub fn stream(reply: StreamReply) -> Self {
        Self { kind: Kind::Reply(Some(reply)), held: Held::default() }
    }

    /// A body that is read from somewhere while it goes out, and may end before it is whole.
    pub(super) fn pieces(pieces: impl Stream<Item = Result<Bytes, BrokenOff>> + Send + 'static) -> Self {
        Self { kind: Kind::Pieces(Box::pin(pieces), None), held: Held::default() }
    }

    pub(super) fn is_stream(&self) -> bool {
        !matches!(self.kind, Kind::Whole(_))
    }

    /// Keeps `call` until the answer is out, or can't be.
    pub(super) fn hold(&mut self, call: Call) {
        self.held.call = Some(call);
        self.held.progress = Progress::of_this_stream();
    }

    /// Keeps a call's place as long.
    pub(super) fn keep(&mut self, slot: Slot) {
        self.held.slot = Some(slot);
    }

    /// Hands the request's entry to the stream.
    pub(super) fn attach(&mut self, entry: Entry) {
        match &mut self.kind {
            Kind::Reply(reply) => {
                self.kind = match reply.take() {
                    Some(reply) => Kind::Stream(reply.into_bytes(entry, error::event)),
                    None => Kind::Whole(None),
                };
            }
            Kind::Pieces(_, held) => *held = Some(Box::new(entry)),
            Kind::Whole(_) | Kind::Stream(_) => {}
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
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(progress) = &self.held.progress {
            progress.taken();
        }
        let polled = self.as_mut().poll_kind(cx);
        if let (Some(progress), Poll::Ready(Some(_))) = (&self.held.progress, &polled) {
            progress.handed();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.kind, Kind::Whole(bytes) if bytes.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Reply(_) | Kind::Stream(_) | Kind::Pieces(..) => SizeHint::default(),
        }
    }
}

impl Body {
    fn poll_kind(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let most = if self.held.progress.is_some() { PIECE_OF_HTTP2 } else { PIECE };
        match &mut self.kind {
            Kind::Whole(Some(bytes)) if bytes.len() > most => Poll::Ready(Some(Ok(Frame::data(bytes.split_to(most))))),
            Kind::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Reply(_) => Poll::Ready(None),
            Kind::Stream(stream) => {
                stream.as_mut().poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Pieces(pieces, entry) => {
                let piece = std::task::ready!(pieces.as_mut().poll_next(cx));
                if let Some(entry) = entry {
                    match &piece {
                        Some(Ok(_)) => entry.mark_first_byte(),
                        Some(Err(error)) => entry.fail(error),
                        None => entry.complete(),
                    }
                }
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[test]
    fn a_long_answer_is_handed_out_in_pieces() {
        for (progress, piece) in [(None, PIECE), (Some(Arc::default()), PIECE_OF_HTTP2)] {
            let mut body = Body::whole(vec![7; 3 * piece + 5]);
            body.held.progress = progress;
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let mut lengths = Vec::new();
            while let Poll::Ready(Some(Ok(frame))) = http_body::Body::poll_frame(Pin::new(&mut body), &mut cx) {
                lengths.push(frame.into_data().expect("only data").len());
                assert_eq!(body.size_hint().exact(), Some((3 * piece + 5 - lengths.iter().sum::<usize>()) as u64));
            }
            assert_eq!(lengths, [piece, piece, piece, 5]);
        }
    }
}
