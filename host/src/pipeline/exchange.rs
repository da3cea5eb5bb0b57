//! A provider with a wire of its own: through its plugin, there and back.

use bytes::Bytes;
use http::Method;

use super::answer::{Answer, StreamReply};
use super::prepare::prepare;
use super::relay::{End, Piece, Relay};
use super::{Call, GatewayError, Patience, Pipeline, warnings};
use crate::canonical::is_object;
use crate::plugin::{
    self, Batch, Begun, Completion, Ending, Event, Exchange, Framing, HeaderParam, HttpRequest, HttpResponse, Reading,
};
use crate::stream::{DONE, Decoder, StreamEvent, push_data_frame};
use crate::upstream::{Outbound, Redactor, Source, UpstreamError, guest_headers, join, visible_headers};

/// A translated stream under way.
#[derive(Debug)]
pub(super) struct Translated {
    exchange: Exchange,
    source: Source,
    decoder: Decoder,
    events: Vec<StreamEvent>,
    plugin: String,
    provider: String,
    redactor: Redactor,
    patience: Patience,
}

impl Pipeline {
    /// Answers a call through its plugin.
    pub(super) async fn exchange(&self, call: &Call<'_>) -> Result<Answer, GatewayError> {
        let name = &call.plugin.manifest.name;
        let failed = |error| GatewayError::plugin(name, error);
        let body = prepare(call, false)?;
        let begun = self.begin(call, &body).await;
        let (exchange, begun, lost) = begun.map_err(failed)?;
        let warnings = warnings::judge(call, &lost)?;
        let answer = match begun {
            Begun::Send(request) => self.ask(call, exchange, request).await?,
            Begun::Reply(completion) => whole(name, completion)?,
            Begun::ReplyStream(batch) => Answer::stream(ready(name, batch)?),
        };
        Ok(Answer { warnings, ..answer })
    }

    async fn begin(
        &self,
        call: &Call<'_>,
        body: &[u8],
    ) -> Result<(Exchange, Begun, Vec<plugin::Warning>), plugin::CallError> {
        let limit = call.route.target.deployment.max_output_tokens(self.config.models()).map(|limit| limit.to_string());
        let params: Vec<(&str, &str)> = limit.iter().map(|limit| ("max_output_tokens", limit.as_str())).collect();
        let created = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        call.plugin
            .begin(plugin::Call {
                id: call.id,
                created,
                operation: call.operation,
                model: &call.route.model,
                requested_model: call.requested_model,
                streaming: call.streaming,
                body,
                params: &params,
            })
            .await
    }

    /// Sends what the plugin made of the call, and reads the answer as the plugin says.
    async fn ask(&self, call: &Call<'_>, mut exchange: Exchange, request: HttpRequest) -> Result<Answer, GatewayError> {
        let name = &call.plugin.manifest.name;
        let target = &call.route.target;
        let provider = &target.deployment.provider;
        let outbound = self.outbound(call, request)?;
        let mut source = self.send(call, outbound).await?;
        let status = source.status().as_u16();
        if (300..400).contains(&status) {
            return Err(GatewayError::bad_answer(
                provider,
                format!("answered {status}, a redirect; check its api_base"),
            ));
        }
        let visible = visible_headers(source.headers(), &target.redactor);
        let headers: Vec<HeaderParam<'_>> = visible.iter().map(|(name, value)| HeaderParam { name, value }).collect();
        let failed = |error| GatewayError::plugin(name, error);
        match exchange.head(status, &headers).await.map_err(failed)? {
            Reading::Verbatim => {
                drop((headers, visible));
                self.relay_canonical(call, source).await
            }
            Reading::Whole => {
                let headers: Vec<(String, String)> =
                    visible.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let body = self.read_whole(call, &mut source).await?;
                let headers: Vec<HeaderParam<'_>> =
                    headers.iter().map(|(name, value)| HeaderParam { name, value }).collect();
                let response = HttpResponse { status, headers: &headers, body: &body };
                whole(name, exchange.whole(response).await.map_err(failed)?)
            }
            Reading::Events(framing) => {
                drop((headers, visible));
                if !call.streaming {
                    return Err(failed(plugin::CallError::Refused(
                        "reads a stream where the client asked for none".into(),
                    )));
                }
                let media_type = source.media_type();
                if framing == Framing::Sse && media_type != "text/event-stream" {
                    let what = format!("answered with '{media_type}' instead of a stream of events");
                    return Err(GatewayError::bad_answer(provider, what));
                }
                let decoder = match framing {
                    Framing::Sse => Decoder::sse(),
                    Framing::JsonLines => Decoder::json_lines(),
                };
                let translated = Translated {
                    exchange,
                    source,
                    decoder,
                    events: Vec::new(),
                    plugin: name.clone(),
                    provider: provider.clone(),
                    redactor: target.redactor.clone(),
                    patience: call.patience,
                };
                Ok(Answer::stream(Relay::Translated(Box::new(translated)).start(call.patience, provider).await?))
            }
        }
    }

    /// The plugin's request, checked: it goes where the operator said and carries nothing that is the gateway's.
    fn outbound(&self, call: &Call<'_>, request: HttpRequest) -> Result<Outbound, GatewayError> {
        let name = &call.plugin.manifest.name;
        let base = self.base_url(call)?;
        let url = join(base, &request.path, &request.query).map_err(|error| GatewayError::path(name, &error))?;
        let placement = call.plugin.manifest.placement();
        let headers = request.headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
        let headers = guest_headers(headers, &placement).map_err(|error| GatewayError::header(name, &error))?;
        let method = match request.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => {
                return Err(GatewayError::plugin(
                    name,
                    plugin::CallError::Refused("asked for an unknown method".into()),
                ));
            }
        };
        Ok(Outbound { method, url, headers, body: request.body.into() })
    }
}

impl Translated {
    /// The next piece: what the plugin makes of all events that one read completed.
    pub(super) async fn next(&mut self) -> Result<Piece, GatewayError> {
        let chunk = match self.source.chunk(self.patience.total).await {
            Ok(chunk) => chunk,
            Err(error) => return self.broke(error).await,
        };
        let Some(chunk) = chunk else { return self.finish().await };
        self.events.clear();
        let decoded = self.decoder.push(&chunk, &mut self.events);
        let batch = self.translate().await?;
        let piece = self.frame(batch)?;
        match decoded {
            Ok(()) => Ok(piece),
            Err(error) => Err(GatewayError::stream(&self.provider, error)),
        }
    }

    async fn translate(&mut self) -> Result<Batch, GatewayError> {
        let cleaned: Vec<(Option<&str>, Bytes)> = self
            .events
            .iter()
            .filter_map(|event| Some((event.name.as_deref(), self.redactor.clean(event.data.clone()?))))
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
            return self.frame(last);
        }
        let rest =
            self.exchange.end(Ending::Complete).await.map_err(|error| GatewayError::plugin(&self.plugin, error))?;
        let usage = rest.usage.or(last.usage);
        let chunks = last.chunks.into_iter().chain(rest.chunks).collect();
        self.frame(Batch { chunks, usage, done: true })
    }

    /// The stream broke. The plugin may still know what was used; what the client is told is the same.
    async fn broke(&mut self, error: UpstreamError) -> Result<Piece, GatewayError> {
        let ending = match error {
            UpstreamError::Timeout { .. } => Ending::Stalled,
            _ => Ending::Cut,
        };
        let error = GatewayError::upstream(&self.provider, error);
        match self.exchange.end(ending).await {
            Ok(Batch { usage: Some(usage), .. }) => {
                tracing::debug!(
                    prompt_tokens = usage.prompt_tokens,
                    completion_tokens = usage.completion_tokens,
                    "usage of a cut stream"
                );
                Err(error)
            }
            _ => Err(error),
        }
    }

    fn frame(&self, batch: Batch) -> Result<Piece, GatewayError> {
        frame(&self.plugin, batch)
    }
}

/// Canonical chunks as events for the client.
fn frame(plugin: &str, batch: Batch) -> Result<Piece, GatewayError> {
    let mut out = Vec::with_capacity(batch.chunks.iter().map(|chunk| chunk.len() + 8).sum::<usize>() + DONE.len());
    for chunk in &batch.chunks {
        check_chunk(plugin, chunk)?;
        push_data_frame(&mut out, chunk);
    }
    if batch.done {
        out.extend_from_slice(DONE);
    }
    Ok(Piece { bytes: out.into(), usage: batch.usage, end: batch.done.then_some(End::Complete) })
}

/// An answer that the plugin gave as a stream all at once.
fn ready(plugin: &str, batch: Batch) -> Result<StreamReply, GatewayError> {
    let piece = frame(plugin, Batch { done: true, ..batch })?;
    Ok(StreamReply { first: piece.bytes, usage: piece.usage, end: piece.end, relay: None })
}

fn whole(plugin: &str, completion: Completion) -> Result<Answer, GatewayError> {
    check_json(plugin, &completion.body)?;
    Ok(Answer::whole(completion.body.into(), completion.usage))
}

/// What a plugin returns goes to clients as JSON, so it had better be that.
fn check_json(plugin: &str, json: &[u8]) -> Result<(), GatewayError> {
    if is_object(json) {
        return Ok(());
    }
    Err(refused(plugin, "returned an answer that is no JSON object"))
}

/// An event ends where a line does, so a chunk has to be on one.
fn check_chunk(plugin: &str, json: &[u8]) -> Result<(), GatewayError> {
    check_json(plugin, json)?;
    match memchr::memchr2(b'\n', b'\r', json) {
        None => Ok(()),
        Some(_) => Err(refused(plugin, "returned a chunk that is not on one line")),
    }
}

fn refused(plugin: &str, what: &str) -> GatewayError {
    GatewayError::plugin(plugin, plugin::CallError::Refused(what.to_owned()))
}
