//! A provider that speaks the canonical wire: bytes go through, the plugin is left out.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::answer::Answer;
use super::bill::{Bill, usage_of};
use super::prepare::prepare;
use super::relay::{End, Piece, Relay, UnderWay, read_events};
use super::{Call, GatewayError, Patience, Pipeline};
use crate::canonical::{AnswerView, ChunkView, ProviderError, carries_content};
use crate::plugin::Operation;
use crate::stream::{DONE, Decoder, StreamEvent, push_data_frame};
use crate::upstream::{Outbound, Redactor, Source, UpstreamError};
use crate::usage::{Tally, Usage};

/// A canonical stream under way.
#[derive(Debug)]
pub(super) struct Native {
    /// Taken once `[DONE]` is in.
    source: Option<Source>,
    decoder: Decoder,
    events: Vec<StreamEvent>,
    /// What the client is told next.
    pending: Option<GatewayError>,
    provider: String,
    redactor: Redactor,
    patience: Patience,
    show_usage: bool,
    /// Tells the client what its stream costs.
    bill: Option<Bill>,
    /// How long the provider was waited for since its head came.
    pub(super) waited: Duration,
    /// An event of the answer was there.
    begun: bool,
    /// Something of the answer itself was.
    has_content: bool,
    /// The choices that began, and those that ended: a bit each.
    seen: u64,
    finished: u64,
    /// So many the client wants.
    wanted: u32,
    /// Whether the stream's end needs no finish reason: only chat and completions have one.
    ends_anyhow: bool,
}

impl Pipeline {
    /// Forwards a call to a provider that speaks its wire.
    pub(super) async fn native(&self, call: &Call<'_>, spent: &mut Option<Usage>) -> Result<Answer, GatewayError> {
        let url = match call.binding.native_url(call.operation) {
            Some(Ok(url)) => url.clone(),
            Some(Err(error)) => return Err(GatewayError::path(&call.plugin.manifest.name, error)),
            None => return self.exchange(call, spent).await,
        };
        let body = prepare(call, true)?;
        let outbound = Outbound { method: Method::POST, url, headers: HeaderMap::new(), body };
        let source = self.send(call, outbound).await?;
        self.relay_canonical(call, source, spent).await
    }

    /// Hands on an answer that is canonical already.
    pub(super) async fn relay_canonical(
        &self,
        call: &Call<'_>,
        mut source: Source,
        spent: &mut Option<Usage>,
    ) -> Result<Answer, GatewayError> {
        let target = &call.route.target;
        let provider = &target.deployment.provider;
        let rate_limits = rate_limits(source.headers());
        let status = source.status();
        let is_stream = source.media_type() == "text/event-stream";
        if call.streaming && is_stream && status.is_success() {
            let native = Native {
                redactor: source.redactor().clone(),
                source: Some(source),
                decoder: Decoder::sse(),
                events: Vec::new(),
                pending: None,
                provider: provider.clone(),
                patience: call.patience,
                show_usage: call.include_usage,
                bill: Bill::of(call),
                waited: Duration::ZERO,
                begun: false,
                has_content: false,
                seen: 0,
                finished: 0,
                wanted: call.body.number("n")?.map_or(1, |n| n.clamp(1.0, 64.0) as u32),
                ends_anyhow: !matches!(call.operation, Operation::ChatCompletions | Operation::Completions),
            };
            let reply = Relay::Native(Box::new(native)).start(call, spent).await?;
            return Ok(Answer { rate_limits, ..Answer::stream(reply) });
        }
        let media_type = source.media_type();
        let body = self.read_whole(call, &mut source).await?;
        let view = AnswerView::parse(&body);
        *spent = view.as_ref().and_then(|view| usage_of(call.operation, view));
        if !status.is_success() {
            let error = ProviderError::new(provider, status.as_u16(), source.headers(), &body);
            return Err(refused(provider, error));
        }
        let Some(view) = view else {
            return Err(GatewayError::bad_answer(provider, format!("answered with {}", described(&media_type, &body))));
        };
        if view.is_error() {
            return Err(GatewayError::Provider(Box::new(ProviderError::unannounced(provider, &body))));
        }
        if call.streaming {
            return Err(GatewayError::bad_answer(provider, format!("answered with {media_type} instead of a stream")));
        }
        Ok(Answer { rate_limits, ..Answer::whole(body) })
    }

    /// The answer's whole body, without what is secret should the provider have echoed it.
    pub(super) async fn read_whole(&self, call: &Call<'_>, source: &mut Source) -> Result<Bytes, GatewayError> {
        let body = source.whole(self.config.general.max_response_bytes, call.patience.for_all());
        let body = call.waits.on(body).await;
        body.map_err(|error| GatewayError::upstream(&call.route.target.deployment.provider, error))
    }

    /// Adds what is the gateway's own to a request, and sends it.
    pub(super) async fn send(&self, call: &Call<'_>, mut outbound: Outbound) -> Result<Source, GatewayError> {
        let deployment = &call.route.target.deployment;
        let headers = &mut outbound.headers;
        let accept = if call.streaming { "text/event-stream" } else { "application/json" };
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static(accept));
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        for (name, value) in &deployment.extra_headers {
            headers.insert(name, value.clone());
        }
        if let Some(trace) = call.trace {
            trace.add_to(headers);
        }
        let patience = || if call.streaming { call.patience.for_first() } else { call.patience.for_all() };
        let authenticated = call.binding.authenticator.apply(&mut outbound, patience()).await;
        let redactor = authenticated
            .map_err(|source| GatewayError::Credential { provider: deployment.provider.clone(), source })?;
        let was_sent = call.meter.map(|meter| meter.set_sent(true));
        let sent = call.waits.on(self.upstream.send(outbound, patience())).await;
        let is_refused = match &sent {
            Ok(source) => !source.status().is_success(),
            Err(error) => matches!(error, UpstreamError::Connect(_)),
        };
        if let (Some(meter), Some(was_sent), true) = (call.meter, was_sent, is_refused) {
            meter.set_sent(was_sent);
        }
        let source = sent.map_err(|error| GatewayError::upstream(&deployment.provider, error))?;
        Ok(source.without(redactor))
    }
}

impl Native {
    /// The next piece of the stream: all events that one read completed.
    pub(super) async fn next(&mut self) -> Result<Piece, GatewayError> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let under_way = UnderWay { patience: self.patience, begun: self.has_content, waited: &mut self.waited };
        let read = read_events(&mut self.source, under_way, &mut self.decoder, &mut self.events).await;
        let read = match read {
            Ok(read) => read,
            // Every choice has its finish reason: what is missing is `[DONE]`, at most the usage.
            Err(_) if self.finished.count_ones() >= self.wanted && self.is_whole() => {
                let end = Some(End::Complete);
                return Ok(Piece { bytes: DONE.into(), has_content: true, end, ..Piece::default() });
            }
            Err(error) => return Err(GatewayError::upstream(&self.provider, error)),
        };
        if read.is_end {
            self.events.extend(self.decoder.finish());
        }
        let mut out = Vec::with_capacity(read.bytes);
        let mut usage = None;
        let mut tally = Tally::default();
        let mut ended = Ok(None);
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            ended = self.take(event, &mut out, (&mut usage, &mut tally));
            if !matches!(ended, Ok(None)) {
                break;
            }
        }
        self.events = events;
        if let (Ok(None), Err(error)) = (&ended, read.decoded) {
            ended = Err(GatewayError::stream(&self.provider, error));
        }
        if let (Ok(None), true) = (&ended, read.is_end) {
            ended = self.at_the_end(&mut out);
        }
        // Comments alone don't begin an answer: a failure after them still has a status.
        let bytes = if self.begun { out.into() } else { Bytes::new() };
        match ended {
            Ok(end) => Ok(Piece { bytes, usage, tally, has_content: self.has_content, end }),
            // What came before the failure came; the failure is told next.
            Err(error) => {
                self.pending = Some(error);
                Ok(Piece { bytes, usage, tally, has_content: self.has_content, end: None })
            }
        }
    }

    /// The connection is at its end, and nobody said `[DONE]`.
    fn at_the_end(&self, out: &mut Vec<u8>) -> Result<Option<End>, GatewayError> {
        if !self.is_whole() {
            return Err(GatewayError::bad_answer(&self.provider, "ended the stream before the answer was complete"));
        }
        out.extend_from_slice(DONE);
        Ok(Some(End::Complete))
    }

    /// Whether every choice that began has ended.
    fn is_whole(&self) -> bool {
        self.ends_anyhow || (self.finished != 0 && self.seen & !self.finished == 0)
    }

    /// Hands on one event, and says whether it was the last.
    fn take(
        &mut self,
        event: StreamEvent,
        out: &mut Vec<u8>,
        (usage, tally): (&mut Option<Usage>, &mut Tally),
    ) -> Result<Option<End>, GatewayError> {
        let raw = self.redactor.clean(event.raw);
        let Some(data) = event.data.filter(|data| !data.is_empty()) else {
            out.extend_from_slice(&raw);
            return Ok(None);
        };
        if data.trim_ascii() == b"[DONE]" {
            if !self.begun {
                return Err(GatewayError::bad_answer(&self.provider, "sent a stream without an answer in it"));
            }
            out.extend_from_slice(DONE);
            if let Some(source) = self.source.take() {
                source.read_out();
            }
            return Ok(Some(End::Complete));
        }
        let Some(chunk) = ChunkView::parse(&data) else {
            return Err(GatewayError::bad_answer(&self.provider, "sent an event that is not JSON"));
        };
        *usage = chunk.usage().or(*usage);
        if chunk.is_error() {
            let error = ProviderError::unannounced(&self.provider, &self.redactor.clean(data.clone()));
            return Err(GatewayError::Provider(Box::new(error)));
        }
        let (seen, finished) = chunk.choices();
        self.seen |= seen;
        self.finished |= finished;
        if chunk.is_usage_only() {
            if !self.show_usage {
                return Ok(None);
            }
            let bill = self.bill.as_ref().zip(usage.as_ref());
            if let Some(billed) = bill.and_then(|(bill, usage)| bill.onto(&data, &chunk, usage)) {
                self.begun = true;
                push_data_frame(out, &self.redactor.clean(billed));
                return Ok(None);
            }
        } else {
            tally.add(raw.len());
        }
        self.begun = true;
        self.has_content = self.has_content || carries_content(&data);
        out.extend_from_slice(&raw);
        ensure_blank_line(out);
        Ok(None)
    }
}

/// The last event of a stream may lack its end.
fn ensure_blank_line(out: &mut Vec<u8>) {
    let ended = [&b"\n\n"[..], b"\r\r", b"\n\r\n"].iter().any(|end| out.ends_with(end));
    if !ended {
        out.extend_from_slice(if out.ends_with(b"\n") { b"\n" } else { b"\n\n" });
    }
}

/// The provider's word on what is left of its limits; SDKs and agents read these.
fn rate_limits(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ratelimit-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A redirect is no refusal: following it would carry the key elsewhere. Nor is anything else that is no error.
fn refused(provider: &str, error: ProviderError) -> GatewayError {
    match error.status {
        400..600 => GatewayError::Provider(Box::new(error)),
        status => GatewayError::not_an_answer(provider, status),
    }
}

/// What a body is that should have been a JSON object; never the body itself.
pub(super) fn described(media_type: &str, body: &[u8]) -> String {
    match (body.is_empty(), media_type) {
        (true, _) => "an empty body".to_owned(),
        (false, "") => "something that is not a JSON object".to_owned(),
        (false, media_type) => format!("{media_type} that is not a JSON object"),
    }
}
