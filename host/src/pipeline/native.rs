//! A provider that speaks the canonical wire: bytes go through, the plugin is left out.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::answer::Answer;
use super::prepare::prepare;
use super::relay::{End, Piece, Relay};
use super::{Call, GatewayError, Patience, Pipeline};
use crate::canonical::{AnswerView, ChunkView, ProviderError};
use crate::plugin::{Operation, Usage};
use crate::stream::{DONE, Decoder, StreamEvent};
use crate::upstream::{Outbound, Redactor, Source, join};

/// A canonical stream under way.
#[derive(Debug)]
pub(super) struct Native {
    source: Source,
    decoder: Decoder,
    events: Vec<StreamEvent>,
    provider: String,
    redactor: Redactor,
    patience: Patience,
    show_usage: bool,
    /// Something was sent to the client.
    begun: bool,
    /// A choice has ended, so that the stream's end is one.
    finished: bool,
}

impl Pipeline {
    /// Forwards a call to a provider that speaks its wire.
    pub(super) async fn native(&self, call: &Call<'_>, path: &str) -> Result<Answer, GatewayError> {
        let body = prepare(call, true)?;
        let base = self.base_url(call)?;
        let url = join(base, path, &[]).map_err(|error| GatewayError::path(&call.plugin.manifest.name, &error))?;
        let outbound = Outbound { method: Method::POST, url, headers: HeaderMap::new(), body };
        let source = self.send(call, outbound).await?;
        self.relay_canonical(call, source).await
    }

    /// Hands on an answer that is canonical already.
    pub(super) async fn relay_canonical(&self, call: &Call<'_>, mut source: Source) -> Result<Answer, GatewayError> {
        let target = &call.route.target;
        let provider = &target.deployment.provider;
        let rate_limits = rate_limits(source.headers());
        let status = source.status();
        let is_stream = source.media_type() == "text/event-stream";
        if call.streaming && is_stream && status.is_success() {
            let native = Native {
                source,
                decoder: Decoder::sse(),
                events: Vec::new(),
                provider: provider.clone(),
                redactor: target.redactor.clone(),
                patience: call.patience,
                show_usage: call.include_usage,
                begun: false,
                // Only chat and completions say by a finish reason that they are complete.
                finished: !matches!(call.operation, Operation::ChatCompletions | Operation::Completions),
            };
            let reply = Relay::Native(Box::new(native)).start(call.patience, provider).await?;
            return Ok(Answer { rate_limits, ..Answer::stream(reply) });
        }
        let media_type = source.media_type();
        let body = self.read_whole(call, &mut source).await?;
        if !status.is_success() {
            let error = ProviderError::new(provider, status.as_u16(), source.headers(), &body);
            return Err(refused(provider, error));
        }
        let Some(view) = AnswerView::parse(&body) else {
            return Err(GatewayError::bad_answer(provider, format!("answered with {}", described(&media_type, &body))));
        };
        if view.is_error() {
            return Err(GatewayError::Provider(Box::new(ProviderError::unannounced(provider, &body))));
        }
        if call.streaming {
            return Err(GatewayError::bad_answer(provider, format!("answered with {media_type} instead of a stream")));
        }
        Ok(Answer { rate_limits, ..Answer::whole(body, view.usage()) })
    }

    /// The answer's whole body, without the key should the provider have echoed it.
    pub(super) async fn read_whole(&self, call: &Call<'_>, source: &mut Source) -> Result<Bytes, GatewayError> {
        let target = &call.route.target;
        match source.whole(self.config.general.max_response_bytes, call.patience.total).await {
            Ok(body) => Ok(target.redactor.clean(body)),
            Err(error) => Err(GatewayError::upstream(&target.deployment.provider, error)),
        }
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
        if let crate::config::Credential::Key(key) = &deployment.credential {
            let placement = call.plugin.manifest.placement();
            crate::upstream::place(&placement, key.expose(), &mut outbound.url, headers).map_err(|reason| {
                GatewayError::Unusable { model: call.requested_model.to_owned(), reason: reason.to_owned() }
            })?;
        }
        let patience = if call.streaming { call.patience.first } else { call.patience.total };
        let sent = self.upstream.send(outbound, patience).await;
        sent.map_err(|error| GatewayError::upstream(&deployment.provider, error))
    }

    /// Where the deployment's requests go.
    pub(super) fn base_url<'a>(&self, call: &Call<'a>) -> Result<&'a url::Url, GatewayError> {
        let own = call.route.target.deployment.api_base.as_ref();
        own.or(call.plugin.manifest.base_url.as_ref()).ok_or_else(|| GatewayError::Unusable {
            model: call.requested_model.to_owned(),
            reason: "it has no api_base, and its provider has no address of its own".to_owned(),
        })
    }
}

impl Native {
    /// The next piece of the stream: all events that one read completed.
    pub(super) async fn next(&mut self) -> Result<Piece, GatewayError> {
        let read = self.source.chunk(self.patience.total).await;
        let chunk = read.map_err(|error| GatewayError::upstream(&self.provider, error))?;
        self.events.clear();
        let decoded = match &chunk {
            Some(bytes) => self.decoder.push(bytes, &mut self.events),
            None => {
                self.events.extend(self.decoder.finish());
                Ok(())
            }
        };
        let mut out = Vec::with_capacity(chunk.as_ref().map_or(0, Bytes::len));
        let mut usage = None;
        for event in std::mem::take(&mut self.events) {
            if let Some(end) = self.take(event, &mut out, &mut usage)? {
                return Ok(Piece { bytes: out.into(), usage, end: Some(end) });
            }
        }
        decoded.map_err(|error| GatewayError::stream(&self.provider, error))?;
        if chunk.is_some() {
            // Comments alone don't begin an answer: a failure after them still has a status.
            let bytes = if self.begun { out.into() } else { Bytes::new() };
            return Ok(Piece { bytes, usage, end: None });
        }
        if !self.finished {
            return Err(GatewayError::bad_answer(&self.provider, "ended the stream before the answer was complete"));
        }
        out.extend_from_slice(DONE);
        Ok(Piece { bytes: out.into(), usage, end: Some(End::Complete) })
    }

    /// Hands on one event, and says whether it was the last.
    fn take(
        &mut self,
        event: StreamEvent,
        out: &mut Vec<u8>,
        usage: &mut Option<Usage>,
    ) -> Result<Option<End>, GatewayError> {
        let raw = self.redactor.clean(event.raw);
        let Some(data) = event.data.filter(|data| !data.is_empty()) else {
            out.extend_from_slice(&raw);
            return Ok(None);
        };
        if data.trim_ascii() == b"[DONE]" {
            if !self.begun && !self.finished {
                return Err(GatewayError::bad_answer(&self.provider, "sent a stream without an answer in it"));
            }
            out.extend_from_slice(DONE);
            return Ok(Some(End::Complete));
        }
        let Some(chunk) = ChunkView::parse(&data) else {
            return Err(GatewayError::bad_answer(&self.provider, "sent an event that is not JSON"));
        };
        if let Some(told) = chunk.usage() {
            *usage = Some(told);
        }
        if chunk.is_error() {
            let error = ProviderError::unannounced(&self.provider, &self.redactor.clean(data));
            if !self.begun {
                return Err(GatewayError::Provider(Box::new(error)));
            }
            out.extend_from_slice(&raw);
            ensure_blank_line(out);
            return Ok(Some(End::Failed(format!("{} failed in the stream", self.provider))));
        }
        self.finished |= chunk.finishes();
        if chunk.is_usage_only() && !self.show_usage {
            return Ok(None);
        }
        self.begun = true;
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

/// A redirect is no refusal: following it would carry the key elsewhere.
fn refused(provider: &str, error: ProviderError) -> GatewayError {
    if (300..400).contains(&error.status) {
        return GatewayError::bad_answer(
            provider,
            format!("answered {}, a redirect; check its api_base", error.status),
        );
    }
    GatewayError::Provider(Box::new(error))
}

/// What a body is that should have been a JSON object; never the body itself.
pub(super) fn described(media_type: &str, body: &[u8]) -> String {
    match (body.is_empty(), media_type) {
        (true, _) => "an empty body".to_owned(),
        (false, "") => "something that is not a JSON object".to_owned(),
        (false, media_type) => format!("{media_type} that is not a JSON object"),
    }
}
