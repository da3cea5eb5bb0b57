//! A provider's stream on its way through its plugin: bytes in, canonical chunks out.

use std::time::Duration;

use bytes::Bytes;

use super::bill::{self, Bill};
use super::framing::decoder;
use super::relay::{End, Piece, UnderWay, read_events};
use super::{Call, GatewayError, Patience};
use crate::canonical::{ChunkView, carries_content};
use crate::plugin::{Batch, Ending, Event, Exchange, Framing};
use crate::stream::{DONE, Decoder, StreamEvent, push_data_frame};
use crate::upstream::{Redactor, Source, UpstreamError};
use crate::usage::{Details, Tally, Usage};

/// A translated stream under way.
#[derive(Debug)]
pub(super) struct Translated {
    exchange: Exchange,
    /// Taken once the answer is complete.
    source: Option<Source>,
    decoder: Decoder,
    events: Vec<StreamEvent>,
    /// What the client is told next.
    pending: Option<GatewayError>,
    plugin: String,
    provider: String,
    redactor: Redactor,
    patience: Patience,
    framer: Framer,
    /// Something of the answer itself was there.
    has_content: bool,
    /// How long the provider was waited for since its head came.
    pub(super) waited: Duration,
}

/// Makes a client's events of canonical chunks, and reads what they say of the usage.
#[derive(Debug)]
pub(super) struct Framer {
    show_usage: bool,
    bill: Option<Bill>,
    /// What the last word about the usage says beyond the plugin's counts.
    details: Details,
}

impl Translated {
    /// What comes of `source`, read as the plugin says.
    pub(super) fn new(call: &Call<'_>, exchange: Exchange, source: Source, framing: Framing) -> Self {
        Self {
            exchange,
            redactor: source.redactor().clone(),
            source: Some(source),
            decoder: decoder(framing),
            events: Vec::new(),
            pending: None,
            plugin: call.plugin.manifest.name.clone(),
            provider: call.route.target.deployment.provider.clone(),
            patience: call.patience,
            framer: Framer::new(call),
            has_content: false,
            waited: Duration::ZERO,
        }
    }

    /// The next piece: what the plugin makes of all events that one read completed.
    pub(super) async fn next(&mut self) -> Result<Piece, GatewayError> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let under_way = UnderWay { patience: self.patience, begun: self.has_content, waited: &mut self.waited };
        let read = read_events(&mut self.source, under_way, &mut self.decoder, &mut self.events).await;
        let read = match read {
            Ok(read) if read.is_end => return self.finish().await,
            Ok(read) => read,
            Err(error) => return self.broke(error).await,
        };
        // What came before a failure goes to the client, and the failure is told right after it: a plugin can return one
        // of both only, and would keep the failure until the next events come.
        let failure = self.events.iter().skip(1).position(|event| event.name.as_deref() == Some("error"));
        let failure = failure.map(|before| self.events.split_off(before + 1));
        let mut batch = self.translate().await?;
        let mut failed = None;
        if let Some(failure) = failure.filter(|_| !batch.done) {
            self.events = failure;
            match self.translate().await {
                Ok(more) => {
                    batch.chunks.extend(more.chunks);
                    batch = Batch { usage: more.usage.or(batch.usage), done: more.done, ..batch };
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Some(source) = self.source.take_if(|_| batch.done) {
            source.read_out();
        }
        let piece = self.frame(batch);
        let undecoded = read.decoded.err().map(|error| GatewayError::stream(&self.provider, error));
        self.pending = failed.or(undecoded);
        Ok(piece)
    }

    fn frame(&mut self, batch: Batch) -> Piece {
        self.has_content = self.has_content || batch.chunks.iter().any(|chunk| carries_content(chunk));
        Piece { has_content: self.has_content, ..self.framer.frame(batch) }
    }

    async fn translate(&mut self) -> Result<Batch, GatewayError> {
        let cleaned: Vec<(Option<&str>, Bytes)> = self
            .events
            .iter()
            .filter_map(|event| {
                let name = event.name.as_deref().filter(|name| !self.redactor.finds(name.as_bytes()));
                Some((name, self.redactor.clean(event.data.clone()?)))
            })
            .collect();
        if cleaned.is_empty() {
            return Ok(Batch { chunks: Vec::new(), usage: None, done: false });
        }
        let events: Vec<Event<'_>> = cleaned.iter().map(|(name, data)| Event { name: *name, data }).collect();
        self.exchange.events(&events).await.map_err(|error| GatewayError::plugin(&self.plugin, error))
    }

    /// The provider closed the stream; whether it was complete is the plugin's to say.
    async fn finish(&mut self) -> Result<Piece, GatewayError> {
        self.events.clear();
        self.events.extend(self.decoder.finish());
        let last = self.translate().await?;
        if last.done {
            return Ok(self.frame(last));
        }
        let piece = self.frame(last);
        let usage = piece.usage;
        let ended = self.exchange.end(Ending::Complete).await;
        let rest = ended
            .map_err(|error| GatewayError::plugin(&self.plugin, error))
            .map(|rest| self.frame(Batch { done: true, ..rest }));
        match rest {
            Ok(rest) => {
                let bytes = [piece.bytes, rest.bytes].concat().into();
                let mut tally = piece.tally;
                tally.add_all(rest.tally);
                Ok(Piece { bytes, tally, usage: rest.usage.or(usage), ..rest })
            }
            Err(error) => {
                self.pending = Some(error);
                Ok(piece)
            }
        }
    }

    /// The stream broke. The answer may be whole all the same, as far as the plugin knows; else it may know what was used.
    async fn broke(&mut self, error: UpstreamError) -> Result<Piece, GatewayError> {
        let ending = match error {
            UpstreamError::Timeout { .. } => Ending::Stalled,
            _ => Ending::Cut,
        };
        let ended = self.exchange.end(ending).await.ok();
        let usage = match ended {
            Some(rest) if rest.done => return Ok(self.frame(rest)),
            rest => rest.and_then(|batch| batch.usage),
        };
        let usage = usage.map(|said| Usage { details: self.framer.details, ..said.into() });
        self.pending = Some(GatewayError::upstream(&self.provider, error));
        Ok(Piece { usage, ..Piece::default() })
    }
}

impl Framer {
    pub(super) fn new(call: &Call<'_>) -> Self {
        Self { show_usage: call.include_usage, bill: Bill::of(call), details: Details::default() }
    }

    /// Canonical chunks as events for the client. The usage is always asked for; who didn't ask won't see it.
    pub(super) fn frame(&mut self, batch: Batch) -> Piece {
        let mut out = Vec::with_capacity(batch.chunks.iter().map(|chunk| chunk.len() + 8).sum::<usize>() + DONE.len());
        let mut tally = Tally::default();
        let mut usage = batch.usage.map(|said| Usage { details: self.details, ..said.into() });
        for chunk in &batch.chunks {
            // What a text says is escaped, so hardly a chunk without usage has this in it.
            let view = memchr::memmem::find(chunk, b"\"usage\"").and_then(|_| ChunkView::parse(chunk));
            let shown = view.as_ref().and_then(ChunkView::usage);
            if let (Some(view), Some(shown)) = (&view, shown) {
                self.details = shown.details;
                usage = bill::detailed(batch.usage, Some(shown));
                if view.is_usage_only() {
                    let billed = self.bill.as_ref().zip(usage.as_ref());
                    match billed.and_then(|(bill, usage)| bill.onto(chunk, view, usage)) {
                        _ if !self.show_usage => {}
                        Some(billed) => push_data_frame(&mut out, &billed),
                        None => push_data_frame(&mut out, chunk),
                    }
                    continue;
                }
            }
            tally.add(chunk.len());
            push_data_frame(&mut out, chunk);
        }
        if batch.done {
            out.extend_from_slice(DONE);
        }
        let end = batch.done.then_some(End::Complete);
        Piece { bytes: out.into(), usage, tally, has_content: true, end }
    }
}
