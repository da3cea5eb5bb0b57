//! A stream that broke goes on at another deployment: `enable_mid_stream_fallback_continuation`.
//!
//! What was said so far goes into a new request, as the assistant's own words, with the wish to go on from there; its
//! answer is spliced onto the stream under the first one's name. That the seam can't be seen is the model's to do, so the
//! operator has to want it. An answer with tools in it, or with several choices, is not gone on with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{Answer, AnswerBody, StreamReply};
use super::journey::{Ending, Journey};
use super::request::Request;
use super::{GatewayError, Pipeline, failure};
use crate::canonical::{Edits, RequestBody};
use crate::plugin::Operation;
use crate::router::{Consequence, Cure, Reason, Route};
use crate::stream::{Decoder, StreamEvent, push_data_frame};
use crate::usage::Entry;

/// How often one answer is gone on with.
const MOST: u32 = 3;
/// What the gateway keeps of an answer for this; a longer one is not gone on with.
const MOST_SAID: usize = 1 << 20;
/// What the model is told. LiteLLM says it in a system message before a prefilled answer, which not every model takes.
const GO_ON: &str = "Your answer was cut off by a technical fault. Go on exactly where it stopped, in the middle of a word \
                     if need be: repeat nothing, explain nothing, and don't mention the fault.";

/// What it takes to go on with a stream.
#[derive(Debug)]
pub(super) struct Continuation {
    pipeline: Arc<Pipeline>,
    request: Request,
    /// Whom the stream comes from now.
    route: Route,
    said: String,
    /// `id`, `created`, `model` … of the answer's first chunk, for all that follow.
    head: Map<String, Value>,
    decoder: Decoder,
    events: Vec<StreamEvent>,
    /// The answer holds what can't be gone on with.
    is_over: bool,
    resumed: u32,
}

impl Continuation {
    /// For the answer to `request`, where it can be gone on with at all.
    pub(super) fn of(pipeline: &Arc<Pipeline>, request: &Request, route: &Route) -> Option<Box<Self>> {
        let wanted = pipeline.config.routing.continues_streams && request.streaming;
        if !wanted || request.operation != Operation::ChatCompletions {
            return None;
        }
        Some(Box::new(Self {
            pipeline: pipeline.clone(),
            request: request.clone(),
            route: route.clone(),
            said: String::new(),
            head: Map::new(),
            decoder: Decoder::sse(),
            events: Vec::new(),
            is_over: false,
            resumed: 0,
        }))
    }

    /// Looks at what goes to the client, and gives what follows a seam the first chunk's name.
    pub(super) fn pass(&mut self, bytes: Bytes) -> Bytes {
        if self.is_over && self.resumed == 0 {
            self.said = String::new();
            return bytes;
        }
        if self.decoder.push(&bytes, &mut self.events).is_err() {
            self.is_over = true;
            return bytes;
        }
        let mut out = Vec::with_capacity(bytes.len());
        for event in std::mem::take(&mut self.events) {
            match event.data.as_deref().map(serde_json::from_slice::<Value>) {
                Some(Ok(Value::Object(chunk))) => self.chunk(chunk, &event.raw, &mut out),
                // `[DONE]`, a comment.
                _ => out.extend_from_slice(&event.raw),
            }
        }
        if self.resumed == 0 { bytes } else { out.into() }
    }

    fn chunk(&mut self, mut chunk: Map<String, Value>, raw: &[u8], out: &mut Vec<u8>) {
        let choices = chunk.get_mut("choices").and_then(Value::as_array_mut);
        for choice in choices.into_iter().flatten() {
            self.is_over |= choice.get("index").is_some_and(|index| index.as_u64() != Some(0));
            // It is whole: what broke was only its end.
            self.is_over |= choice.get("finish_reason").is_some_and(|reason| !reason.is_null());
            let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) else { continue };
            self.is_over |= ["tool_calls", "function_call", "audio", "refusal"]
                .iter()
                .any(|key| delta.get(*key).is_some_and(|value| !value.is_null()));
            if let (Some(text), false) = (delta.get("content").and_then(Value::as_str), self.is_over) {
                self.said.push_str(text);
            }
            if self.resumed > 0 {
                delta.shift_remove("role");
            }
        }
        self.is_over |= self.said.len() > MOST_SAID;
        if self.resumed == 0 {
            if self.head.is_empty() {
                chunk.retain(|key, _| matches!(key.as_str(), "id" | "created" | "model" | "system_fingerprint"));
                self.head = chunk;
            }
            return out.extend_from_slice(raw);
        }
        for (key, value) in &self.head {
            if chunk.contains_key(key) {
                chunk.insert(key.clone(), value.clone());
            }
        }
        push_data_frame(out, Value::Object(chunk).to_string().as_bytes());
    }

    /// Goes on after the stream broke; `None` where nobody can.
    pub(super) async fn resume(
        &mut self,
        error: &GatewayError,
        consequence: Consequence,
        entry: &mut Entry,
    ) -> Option<StreamReply> {
        let failure = failure::of(error);
        if self.is_over || self.said.is_empty() || self.resumed >= MOST || failure.kind.cure() == Cure::Nothing {
            return None;
        }
        let request = self.next_request()?;
        self.resumed += 1;
        self.decoder = Decoder::sse();
        let spent = entry.cut();
        let mut journey = Journey::new(entry, &request);
        journey.end_attempt(&Ending {
            error,
            kind: failure.kind,
            consequence,
            route: &self.route,
            reason: journey.entry.reason.unwrap_or(Reason::Only),
            took: journey.entry.elapsed(),
            spent,
            is_sent: false,
            // What the stream has waited for is told by the stream.
            waited: Duration::ZERO,
        });
        journey.entry.continued = true;
        let (answer, route) = self.pipeline.go_on(&request, self.route.target.position, &mut journey).await.ok()?;
        self.route = route;
        // What came with the first piece; of a short answer that is all.
        journey.entry.usage = answer.spent;
        match answer {
            Answer { body: AnswerBody::Stream(reply), .. } => Some(reply),
            Answer { body: AnswerBody::Whole(_), .. } => None,
        }
    }

    /// The client's request, what was answered so far, and the wish to go on.
    fn next_request(&self) -> Option<Request> {
        let mut messages: Vec<Value> = self.request.body.typed("messages", "an array").ok()??;
        messages.push(json!({"role": "assistant", "content": self.said}));
        messages.push(json!({"role": "user", "content": GO_ON}));
        let mut edits = Edits::default();
        edits.set("messages", Value::Array(messages).to_string());
        let body = RequestBody::parse(edits.apply(&self.request.body)).ok()?;
        Some(Request { body, ..self.request.clone() })
    }
}
