//! A provider with a wire of its own: through its plugin, there and back.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::answer::{Answer, StreamReply};
use super::prepare::prepare;
use super::relay::{End, Piece, Relay, next_chunk};
use super::{Call, GatewayError, Patience, Pipeline, unix_seconds, warnings};
use crate::plugin::{
    self, Batch, Begun, Completion, Ending, Event, Exchange, FollowUp, Framing, HeaderParam, HttpRequest, HttpResponse,
    Reading, Settled, Usage,
};
use crate::stream::{DONE, Decoder, StreamEvent, push_data_frame};
use crate::upstream::{Outbound, Redactor, Source, UpstreamError, guest_headers, guest_query, join, visible_headers};

/// How often a plugin may ask its provider again for one answer, and how soon at best.
const MAX_FOLLOW_UPS: u32 = 1_000;
const SOONEST_FOLLOW_UP: Duration = Duration::from_millis(100);

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
}

/// What one request to the provider came to.
enum Asked {
    Answered(Answer),
    /// There is no answer yet.
    Again(Box<(Exchange, FollowUp)>),
}

/// How often a plugin has asked again.
#[derive(Debug, Default)]
struct FollowUps {
    asked: u32,
}

impl FollowUps {
    /// How long to wait for this one.
    fn wait_for(&mut self, next: &FollowUp) -> Result<Duration, &'static str> {
        if self.asked == MAX_FOLLOW_UPS {
            return Err("asked its provider more often than 1,000 times for one answer");
        }
        self.asked += 1;
        Ok(Duration::from_millis(u64::from(next.after_ms)).max(SOONEST_FOLLOW_UP))
    }
}

impl Pipeline {
    /// Answers a call through its plugin.
    pub(super) async fn exchange(&self, call: &Call<'_>, spent: &mut Option<Usage>) -> Result<Answer, GatewayError> {
        let name = &call.plugin.manifest.name;
        let failed = |error| GatewayError::plugin(name, error);
        let body = prepare(call, false)?;
        let begun = self.begin(call, &body).await;
        let (exchange, begun, lost) = begun.map_err(failed)?;
        let warnings = warnings::judge(call, &lost)?;
        let answer = match begun {
            Begun::Send(request) => self.ask(call, exchange, request, spent).await?,
            Begun::Reply(completion) => whole(completion, spent),
            Begun::ReplyStream(batch) => Answer::stream(ready(batch, spent)),
        };
        Ok(Answer { warnings, ..answer })
    }

    async fn begin(
        &self,
        call: &Call<'_>,
        body: &[u8],
    ) -> Result<(Exchange, Begun, Vec<plugin::Warning>), plugin::CallError> {
        let deployment = &call.route.target.deployment;
        // What serves many models has many limits; the limit of one is among its params.
        let limit = Some(deployment).filter(|deployment| deployment.is_wildcard());
        let limit = limit.and_then(|own| own.max_output_tokens(self.config.models(), &call.route.model));
        let limit = limit.map(|limit| limit.to_string());
        let params = call.binding.params(limit.as_deref());
        call.plugin
            .begin(plugin::Call {
                id: call.id,
                created: unix_seconds(),
                operation: call.operation,
                model: &call.route.model,
                requested_model: call.requested_model,
                streaming: call.streaming,
                body,
                params: &params,
            })
            .await
    }

    /// Sends what the plugin made of the call, and what it still asks for, until an answer is there.
    async fn ask(
        &self,
        call: &Call<'_>,
        exchange: Exchange,
        request: HttpRequest,
        spent: &mut Option<Usage>,
    ) -> Result<Answer, GatewayError> {
        let (mut exchange, mut request) = (exchange, request);
        let mut follow_ups = FollowUps::default();
        loop {
            match self.ask_once(call, exchange, request, spent).await? {
                Asked::Answered(answer) => return Ok(answer),
                Asked::Again(again) => {
                    let (mut same, next) = *again;
                    let wait = follow_ups.wait_for(&next).map_err(|why| same.refuse(why));
                    let wait = wait.map_err(|error| GatewayError::plugin(&call.plugin.manifest.name, error))?;
                    let slept = call.patience.sleep(wait).await;
                    slept.map_err(|source| GatewayError::upstream(&call.route.target.deployment.provider, source))?;
                    (exchange, request) = (same, next.request);
                }
            }
        }
    }

    /// Sends one request, and reads its answer as the plugin says.
    async fn ask_once(
        &self,
        call: &Call<'_>,
        mut exchange: Exchange,
        request: HttpRequest,
        spent: &mut Option<Usage>,
    ) -> Result<Asked, GatewayError> {
        let name = &call.plugin.manifest.name;
        let target = &call.route.target;
        let provider = &target.deployment.provider;
        let outbound = self.outbound(call, request).inspect_err(|error| blame(&mut exchange, error))?;
        let mut source = self.send(call, outbound).await?;
        let status = source.status().as_u16();
        if !matches!(status, 200..300 | 400..600) {
            return Err(GatewayError::not_an_answer(provider, status));
        }
        let visible = visible_headers(source.headers());
        let headers: Vec<HeaderParam<'_>> = visible.iter().map(|(name, value)| HeaderParam { name, value }).collect();
        let failed = |error| GatewayError::plugin(name, error);
        match exchange.head(status, &headers).await.map_err(failed)? {
            Reading::Verbatim => {
                drop((headers, visible));
                self.relay_canonical(call, source, spent).await.map(Asked::Answered)
            }
            Reading::Whole => {
                let headers: Vec<(String, String)> =
                    visible.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let body = self.read_whole(call, &mut source).await?;
                let headers: Vec<HeaderParam<'_>> =
                    headers.iter().map(|(name, value)| HeaderParam { name, value }).collect();
                let response = HttpResponse { status, headers: &headers, body: &body };
                match exchange.whole(response).await.map_err(failed)? {
                    Settled::Done(completion) => Ok(Asked::Answered(whole(completion, spent))),
                    Settled::Again(next) => Ok(Asked::Again(Box::new((exchange, next)))),
                }
            }
            Reading::Events(framing) => {
                drop((headers, visible));
                let media_type = source.media_type();
                if media_type_of(framing).is_some_and(|expected| expected != media_type) {
                    let what = format!("answered with '{media_type}' instead of a stream of events");
                    return Err(GatewayError::bad_answer(provider, what));
                }
                let decoder = match framing {
                    Framing::Sse => Decoder::sse(),
                    Framing::JsonLines => Decoder::json_lines(),
                    Framing::AwsEventStream => Decoder::aws(),
                };
                let translated = Translated {
                    exchange,
                    redactor: source.redactor().clone(),
                    source: Some(source),
                    decoder,
                    events: Vec::new(),
                    pending: None,
                    plugin: name.clone(),
                    provider: provider.clone(),
                    patience: call.patience,
                };
                let relay = Relay::Translated(Box::new(translated));
                Ok(Asked::Answered(Answer::stream(relay.start(call.patience, provider, spent).await?)))
            }
        }
    }

    /// The plugin's request, checked: it goes where the operator said and carries nothing that is the gateway's.
    fn outbound(&self, call: &Call<'_>, request: HttpRequest) -> Result<Outbound, GatewayError> {
        let name = &call.plugin.manifest.name;
        let placement = &call.plugin.manifest.placement;
        guest_query(&request.query, placement).map_err(|error| GatewayError::query(name, &error))?;
        let url = join(&call.binding.base, &request.path, &request.query)
            .map_err(|error| GatewayError::path(name, &error))?;
        let headers = request.headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
        let headers = guest_headers(headers, placement).map_err(|error| GatewayError::header(name, &error))?;
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
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let chunk = match next_chunk(&mut self.source, self.patience).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return self.finish().await,
            Err(error) => return self.broke(error).await,
        };
        self.events.clear();
        let decoded = self.decoder.push(&chunk, &mut self.events);
        let batch = self.translate().await?;
        if let Some(source) = self.source.take_if(|_| batch.done) {
            source.read_out();
        }
        let piece = frame(batch);
        // What came before the failure came; the failure is told next.
        self.pending = decoded.err().map(|error| GatewayError::stream(&self.provider, error));
        Ok(piece)
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
            return Ok(frame(last));
        }
        let usage = last.usage;
        let piece = frame(last);
        let ended = self.exchange.end(Ending::Complete).await;
        let rest = ended
            .map_err(|error| GatewayError::plugin(&self.plugin, error))
            .map(|rest| frame(Batch { done: true, ..rest }));
        match rest {
            Ok(rest) => {
                let bytes = [piece.bytes, rest.bytes].concat().into();
                Ok(Piece { bytes, usage: rest.usage.or(usage), end: rest.end })
            }
            Err(error) => {
                self.pending = Some(error);
                Ok(piece)
            }
        }
    }

    /// The stream broke. What was used by then the plugin may know.
    async fn broke(&mut self, error: UpstreamError) -> Result<Piece, GatewayError> {
        let ending = match error {
            UpstreamError::Timeout { .. } => Ending::Stalled,
            _ => Ending::Cut,
        };
        self.pending = Some(GatewayError::upstream(&self.provider, error));
        let usage = self.exchange.end(ending).await.ok().and_then(|batch| batch.usage);
        Ok(Piece { usage, ..Piece::default() })
    }
}

/// What a stream of this framing calls itself. Lines of JSON have too many names to be checked.
fn media_type_of(framing: Framing) -> Option<&'static str> {
    match framing {
        Framing::Sse => Some("text/event-stream"),
        Framing::AwsEventStream => Some("application/vnd.amazon.eventstream"),
        Framing::JsonLines => None,
    }
}

/// Canonical chunks as events for the client.
fn frame(batch: Batch) -> Piece {
    let mut out = Vec::with_capacity(batch.chunks.iter().map(|chunk| chunk.len() + 8).sum::<usize>() + DONE.len());
    for chunk in &batch.chunks {
        push_data_frame(&mut out, chunk);
    }
    if batch.done {
        out.extend_from_slice(DONE);
    }
    Piece { bytes: out.into(), usage: batch.usage, end: batch.done.then_some(End::Complete) }
}

/// An answer that the plugin gave as a stream all at once.
fn ready(batch: Batch, spent: &mut Option<Usage>) -> StreamReply {
    let piece = frame(Batch { done: true, ..batch });
    *spent = piece.usage;
    StreamReply { first: piece.bytes, end: piece.end, relay: None }
}

fn whole(completion: Completion, spent: &mut Option<Usage>) -> Answer {
    *spent = completion.usage;
    Answer::whole(completion.body.into())
}

/// Puts it on the plugin's books where a request of its own making can't be sent.
fn blame(exchange: &mut Exchange, error: &GatewayError) {
    if let GatewayError::Plugin { source: plugin::CallError::Refused(what), .. } = error {
        exchange.refuse(what.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_may_ask_again_a_thousand_times_and_no_more_often_than_every_100_ms() {
        let next = |after_ms| FollowUp {
            request: HttpRequest {
                method: "GET".to_owned(),
                path: "jobs/1".to_owned(),
                query: Vec::new(),
                headers: Vec::new(),
                body: Vec::new(),
            },
            after_ms,
        };
        let mut follow_ups = FollowUps::default();
        assert_eq!(follow_ups.wait_for(&next(0)), Ok(Duration::from_millis(100)));
        assert_eq!(follow_ups.wait_for(&next(2_500)), Ok(Duration::from_millis(2_500)));
        for _ in 2..1_000 {
            assert!(follow_ups.wait_for(&next(0)).is_ok());
        }
        assert!(follow_ups.wait_for(&next(0)).unwrap_err().contains("1,000"));
    }
}
