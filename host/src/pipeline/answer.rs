//! What goes back to the client.

use std::pin::Pin;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::relay::{End, Relay};
use super::{GatewayError, failure};
use crate::plugin::Usage;
use crate::router::Flight;
use crate::usage::Entry;

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
    /// How it ended, if it did already.
    pub(super) end: Option<End>,
    pub(super) relay: Option<Relay>,
    /// The attempt, whose deployment is told how the stream ends.
    pub(super) flight: Option<Flight>,
}

impl Answer {
    pub(super) fn whole(body: Bytes) -> Self {
        Self { body: AnswerBody::Whole(body), warnings: None, rate_limits: HeaderMap::new(), spent: None }
    }

    pub(super) fn stream(reply: StreamReply) -> Self {
        Self { body: AnswerBody::Stream(reply), warnings: None, rate_limits: HeaderMap::new(), spent: None }
    }
}

impl StreamReply {
    /// The stream's bytes. Dropped, because the client went away, it takes the upstream connection with it, and
    /// `entry` is written as it stands. `error_event` tells a client whose stream has begun that it failed; no
    /// `[DONE]` follows it.
    pub fn into_bytes(
        self,
        mut entry: Entry,
        error_event: fn(&GatewayError) -> Bytes,
    ) -> Pin<Box<dyn Stream<Item = Bytes> + Send>> {
        Box::pin(stream! {
            let Self { first, mut end, mut relay, mut flight } = self;
            entry.mark_first_byte();
            yield first;
            while end.is_none() {
                let Some(relay) = &mut relay else { break };
                match relay.next().await {
                    Ok(piece) => {
                        entry.usage = piece.usage.or(entry.usage);
                        end = piece.end;
                        if !piece.bytes.is_empty() {
                            yield piece.bytes;
                        }
                    }
                    Err(error) => {
                        end = Some(End::Failed(error.to_string()));
                        if let Some(flight) = flight.take() {
                            flight.fail(failure::of(&error), Instant::now());
                        }
                        yield error_event(&error);
                    }
                }
            }
            if let Some(flight) = flight.take() {
                flight.succeed(entry.usage.as_ref(), Instant::now());
            }
            match end {
                Some(End::Failed(error)) => entry.fail(error),
                Some(End::Complete) | None => entry.complete(),
            }
        })
    }
}
