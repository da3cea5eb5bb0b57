//! A provider with a wire of its own: through its plugin, there and back.

use std::time::Duration;

use super::answer::{Answer, StreamReply};
use super::framing::media_type_of;
use super::outbound::outbound;
use super::prepare::prepare;
use super::relay::Relay;
use super::translated::{Framer, Translated};
use super::{Call, GatewayError, Pipeline, bill, unix_seconds, warnings};
use crate::plugin::{
    self, Batch, Begun, Completion, Exchange, FollowUp, HeaderParam, HttpRequest, HttpResponse, Reading, Settled,
};
use crate::upstream::visible_headers;
use crate::usage::Usage;

/// How often a plugin may ask its provider again for one answer, and how soon at best.
const MAX_FOLLOW_UPS: u32 = 1_000;
const SOONEST_FOLLOW_UP: Duration = Duration::from_millis(100);

/// What one request to the provider came to.
#[allow(clippy::large_enum_variant, reason = "the large one is what nearly every request comes to")]
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
            Begun::Reply(completion) => whole(call, completion, spent),
            Begun::ReplyStream(batch) => Answer::stream(ready(call, batch, spent)),
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
                    let slept = call.waits.on(call.patience.sleep(wait)).await;
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
        let placement = &call.plugin.manifest.placement;
        let base = call.binding.base(call.requested_model)?;
        let outbound =
            outbound(placement, base, request).map_err(|what| GatewayError::plugin(name, exchange.refuse(what)))?;
        let mut source = self.send(call, outbound).await?;
        let status = source.status().as_u16();
        if !matches!(status, 200..300 | 400..600) {
            return Err(GatewayError::not_an_answer(provider, status));
        }
        // Apart from the source, which is read on while the plugin is shown them again.
        let head = source.take_headers();
        let headers: Vec<HeaderParam<'_>> =
            visible_headers(&head).into_iter().map(|(name, value)| HeaderParam { name, value }).collect();
        let failed = |error| GatewayError::plugin(name, error);
        match exchange.head(status, &headers).await.map_err(failed)? {
            Reading::Verbatim => {
                self.relay_canonical(call, source.with_headers(head), spent).await.map(Asked::Answered)
            }
            Reading::Whole => {
                let body = self.read_whole(call, &mut source).await?;
                let response = HttpResponse { status, headers: &headers, body: &body };
                match exchange.whole(response).await.map_err(failed)? {
                    Settled::Done(completion) => Ok(Asked::Answered(whole(call, completion, spent))),
                    Settled::Again(next) => Ok(Asked::Again(Box::new((exchange, next)))),
                }
            }
            Reading::Events(framing) => {
                let source = source.with_headers(head);
                let media_type = source.media_type();
                if media_type_of(framing).is_some_and(|expected| expected != media_type) {
                    let what = format!("answered with '{media_type}' instead of a stream of events");
                    return Err(GatewayError::bad_answer(provider, what));
                }
                let translated = Translated::new(call, exchange, source, framing);
                let relay = Relay::Translated(Box::new(translated));
                Ok(Asked::Answered(Answer::stream(relay.start(call, spent).await?)))
            }
        }
    }
}

/// An answer that the plugin gave as a stream all at once.
fn ready(call: &Call<'_>, batch: Batch, spent: &mut Option<Usage>) -> StreamReply {
    let piece = Framer::new(call).frame(Batch { done: true, ..batch });
    *spent = piece.usage;
    StreamReply { tally: piece.tally, ..StreamReply::new(piece.bytes, piece.end, None) }
}

fn whole(call: &Call<'_>, completion: Completion, spent: &mut Option<Usage>) -> Answer {
    *spent = bill::completed(call.operation, completion.usage, &completion.body);
    Answer::whole(completion.body.into())
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
