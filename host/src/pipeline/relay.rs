//! A provider's stream on its way to the client, piece by piece.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::answer::StreamReply;
use super::native::Native;
use super::translated::Translated;
use super::{Call, GatewayError, Patience};
use crate::stream::{Decoder, StreamError, StreamEvent};
use crate::upstream::{Source, UpstreamError};
use crate::usage::{Tally, Usage};

/// What is taken from a connection before any of it goes on: so many bytes, so often, for so long.
const MOST_AT_ONCE: usize = 32 << 10;
const MOST_LOOKS: usize = 16;
/// What of a stream is held back until something of the answer comes.
const MOST_HELD: usize = 64 << 10;
const LONGEST_LOOK: Duration = Duration::from_millis(2);

/// A stream that is under way.
#[derive(Debug)]
pub(super) enum Relay {
    /// Canonical already.
    Native(Box<Native>),
    /// Through a plugin.
    Translated(Box<Translated>),
}

/// What one step of a relay brought.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// For the client; may be empty.
    pub(super) bytes: Bytes,
    /// What the call has used so far, if the provider said.
    pub(super) usage: Option<Usage>,
    /// The chunks in it.
    pub(super) tally: Tally,
    /// There is something of the answer in it, not only who speaks.
    pub(super) has_content: bool,
    /// Nothing comes after this.
    pub(super) end: Option<End>,
}

/// How a stream ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// In order; `[DONE]` is out.
    Complete,
    /// Not whole, and the client was told.
    Failed(String),
}

impl Relay {
    /// The next piece.
    pub(super) async fn next(&mut self) -> Result<Piece, GatewayError> {
        match self {
            Self::Native(native) => native.next().await,
            Self::Translated(translated) => translated.next().await,
        }
    }

    /// How long the provider was waited for since its head came.
    pub(super) fn waited(&self) -> Duration {
        match self {
            Self::Native(native) => native.waited,
            Self::Translated(translated) => translated.waited,
        }
    }

    /// Waits until there is something of the answer for the client: until then a failure still has a status, and
    /// somebody else may answer. `usage` is what the provider has said of it by then, also when it failed.
    pub(super) async fn start(
        mut self,
        call: &Call<'_>,
        usage: &mut Option<Usage>,
    ) -> Result<StreamReply, GatewayError> {
        let mut tally = Tally::default();
        let (patience, meter) = (call.patience, call.meter);
        let first = async {
            let mut held = BytesMut::new();
            loop {
                let piece = self.next().await?;
                tally.add_all(piece.tally);
                *usage = piece.usage.or(*usage);
                if let (Some(meter), Some(_)) = (meter, piece.usage) {
                    meter.set(*usage);
                }
                if piece.has_content || piece.end.is_some() || held.len() > MOST_HELD {
                    let first = if held.is_empty() { piece.bytes } else { join(held, &piece.bytes) };
                    return Ok::<_, GatewayError>((first, piece.end));
                }
                held.extend_from_slice(&piece.bytes);
            }
        };
        let first = tokio::time::timeout(patience.for_first(), first).await;
        call.waits.add(self.waited());
        let provider = &call.route.target.deployment.provider;
        let (first, end) = match first {
            Ok(first) => first?,
            Err(_) => return Err(GatewayError::upstream(provider, patience.no_first())),
        };
        Ok(StreamReply { tally, ..StreamReply::new(first, end, Some(self)) })
    }
}

fn join(mut held: BytesMut, more: &Bytes) -> Bytes {
    held.extend_from_slice(more);
    held.freeze()
}

/// What one look at a stream brought, beside events.
#[derive(Debug)]
pub(super) struct Read {
    /// There is no more, also where the source was taken because the answer is whole.
    pub(super) is_end: bool,
    /// Bytes in all.
    pub(super) bytes: usize,
    /// Whether what came could be read; the events before are there.
    pub(super) decoded: Result<(), StreamError>,
}

/// What reading a stream is bound by, and what it comes to.
pub(super) struct UnderWay<'a> {
    pub(super) patience: Patience,
    /// Something of the answer itself was there.
    pub(super) begun: bool,
    /// How long the provider was waited for.
    pub(super) waited: &'a mut Duration,
}

/// Waits for the stream's next bytes, takes what else is at hand with them, and takes all of it apart: events that came
/// together go through the plugin, and to the client, together.
pub(super) async fn read_events(
    source: &mut Option<Source>,
    UnderWay { patience, begun, waited }: UnderWay<'_>,
    decoder: &mut Decoder,
    events: &mut Vec<StreamEvent>,
) -> Result<Read, UpstreamError> {
    events.clear();
    let end = Read { is_end: true, bytes: 0, decoded: Ok(()) };
    let Some(source) = source else { return Ok(end) };
    let asked = Instant::now();
    let chunk = source.chunk(patience.for_more(begun)).await;
    let began = Instant::now();
    *waited += began - asked;
    let Some(mut chunk) = chunk.map_err(|error| patience.judge(error, begun))? else { return Ok(end) };
    let (mut bytes, mut looks) = (0, 0);
    loop {
        bytes += chunk.len();
        let decoded = decoder.push(&chunk, events);
        let enough = bytes >= MOST_AT_ONCE || looks == MOST_LOOKS || began.elapsed() >= LONGEST_LOOK;
        if decoded.is_err() || enough {
            return Ok(Read { is_end: false, bytes, decoded });
        }
        looks += 1;
        match source.at_hand().await {
            Some(more) => chunk = more,
            None => return Ok(Read { is_end: false, bytes, decoded }),
        }
    }
}
