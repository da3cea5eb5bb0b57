//! What goes back to the client.

use std::pin::Pin;
use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::continuation::Continuation;
use super::relay::{End, Relay};
use super::{GatewayError, attribution, failure};
use crate::router::{Consequence, Flight};
use crate::usage::{Entry, Tally, Usage};

/// An answer, and what its headers tell.
#[derive(Debug)]
pub struct Answer {
    /// The answer itself.
    pub body: AnswerBody,
    /// What the translation lost.
    pub warnings: Option<HeaderValue>,
    /// The provider's `x-ratelimit-*` headers.
    pub rate_limits: HeaderMap,
    /// What the provider says that it used, as far as it is known now.
    pub(super) spent: Option<Usage>,
    /// How long its provider was waited for until now.
    pub(super) waited: Duration,
    /// `old model -> its successor`, where the successor answered.
    pub(super) successor: Option<String>,
}

/// An answer, whole or in pieces.
#[derive(Debug)]
pub enum AnswerBody {
    /// JSON.
    Whole(Bytes),
    /// Server-sent events.
    Stream(StreamReply),
}

/// A stream whose first piece is here.
#[derive(Debug)]
pub struct StreamReply {
    pub(super) first: Bytes,
    /// The chunks in it.
    pub(super) tally: Tally,
    /// How it ended, if it did already.
    pub(super) end: Option<End>,
    pub(super) relay: Option<Relay>,
    /// The attempt, whose deployment is told how the stream ends.
    pub(super) flight: Option<Flight>,
    /// What it takes to go on should it break, where the operator wants that.
    pub(super) continuation: Option<Box<Continuation>>,
}

impl StreamReply {
    /// A stream that begins with `first`.
    pub(super) fn new(first: Bytes, end: Option<End>, relay: Option<Relay>) -> Self {
        Self { first, tally: Tally::default(), end, relay, flight: None, continuation: None }
    }

    /// The stream's bytes. Dropped, because the client went away, it takes the upstream connection with it, and
    /// `entry` is written as it stands. `error_event` tells a client whose stream has begun that it failed; no
    /// `[DONE]` follows it.
    pub fn into_bytes(
        self,
        mut entry: Entry,
        error_event: fn(&GatewayError) -> Bytes,
    ) -> Pin<Box<dyn Stream<Item = Bytes> + Send>> {
        Box::pin(stream! {
            let Self { mut first, tally, mut end, mut relay, mut flight, mut continuation } = self;
            let mut accounted = relay.as_ref().map_or(Duration::ZERO, Relay::waited);
            entry.mark_first_byte();
            entry.went_by(tally);
            if let Some(continuation) = &mut continuation {
                first = continuation.pass(first);
            }
            attribution::answered(entry.call.as_mut(), &first);
            yield first;
            while end.is_none() {
                let Some(under_way) = &mut relay else { break };
                let next = under_way.next().await;
                entry.wait_for_upstream(under_way.waited().saturating_sub(accounted));
                accounted = under_way.waited();
                match next {
                    Ok(piece) => {
                        entry.usage = piece.usage.or(entry.usage);
                        entry.went_by(piece.tally);
                        end = piece.end;
                        let bytes = match &mut continuation {
                            Some(continuation) if !piece.bytes.is_empty() => continuation.pass(piece.bytes),
                            _ => piece.bytes,
                        };
                        if !bytes.is_empty() {
                            attribution::answered(entry.call.as_mut(), &bytes);
                            yield bytes;
                        }
                    }
                    Err(error) => {
                        if let (Some(flight), Some(usage)) = (&mut flight, &entry.usage) {
                            flight.used(usage);
                        }
                        let hurried = failure::is_others_hurry(&error);
                        let failed = flight.take_if(|_| !hurried);
                        let failed = failed.map(|flight| flight.fail(failure::of(&error), Instant::now()));
                        // The broken connection isn't kept while another answer is waited for.
                        relay = None;
                        let resumed = match &mut continuation {
                            Some(next) if !hurried => next.resume(&error, failed.unwrap_or(Consequence::Exempt), &mut entry).await,
                            _ => None,
                        };
                        match (resumed, &mut continuation) {
                            (Some(reply), Some(continuation)) => {
                                entry.went_by(reply.tally);
                                (end, relay, flight) = (reply.end, reply.relay, reply.flight);
                                accounted = relay.as_ref().map_or(Duration::ZERO, Relay::waited);
                                let bytes = continuation.pass(reply.first);
                                if !bytes.is_empty() {
                                    attribution::answered(entry.call.as_mut(), &bytes);
                                    yield bytes;
                                }
                            }
                            _ => {
                                end = Some(End::Failed(error.to_string()));
                                entry.kind = Some(failure::of(&error).kind.name());
                                yield error_event(&error);
                            }
                        }
                    }
                }
            }
            if let Some(flight) = flight.take_if(|_| matches!(end, Some(End::Complete) | None)) {
                flight.succeed(entry.usage.as_ref(), Instant::now());
            }
            match end {
                Some(End::Failed(error)) => entry.fail(error),
                Some(End::Complete) | None => entry.complete(),
            }
        })
    }
}

impl Answer {
    pub(super) fn whole(body: Bytes) -> Self {
        Self {
            body: AnswerBody::Whole(body),
            warnings: None,
            rate_limits: HeaderMap::new(),
            spent: None,
            waited: Duration::ZERO,
            successor: None,
        }
    }

    pub(super) fn stream(reply: StreamReply) -> Self {
        Self {
            body: AnswerBody::Stream(reply),
            warnings: None,
            rate_limits: HeaderMap::new(),
            spent: None,
            waited: Duration::ZERO,
            successor: None,
        }
    }
}
