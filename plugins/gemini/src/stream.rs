//! A streamed chat answer: each event is a `GenerateContentResponse` with the next parts of it.
//!
//! No event says that it is the last. Usage may come with or after the finish reason, and grounding after the text it
//! is about, so finish reasons, citations and usage are sent when Google has closed the stream. Everything else that is a
//! list of ours rides with the citations: the OpenAI SDKs can't put such lists together from several deltas.

use std::collections::BTreeMap;

use ai_api_plugin_sdk::legacy::canonical::{ChunkWriter, Delta, FinishReason, ToolCallDelta};
use ai_api_plugin_sdk::{Batch, Call, Ending, Event, Failure, FailureKind, Usage, failure};
use serde_json::{Map, Value, json};

use crate::answer::{self, Asked, CallIds, GEMINI_PARTS, Piece};
use crate::usage::Used;
use crate::wire::{Answer, Candidate, PromptFeedback};
use crate::{error, grounding, logprobs, usage};

/// A stream that is being translated.
#[derive(Debug)]
pub(crate) struct Stream {
    writer: ChunkWriter,
    /// For what an answer repeats of its call; without the request's body.
    call: Call,
    asked: Asked,
    include_usage: bool,
    ids: CallIds,
    choices: BTreeMap<u32, Progress>,
    blocked: Option<PromptFeedback>,
    usage: Option<Map<String, Value>>,
    /// The gateway hasn't heard of the usage yet.
    usage_is_news: bool,
    searched: bool,
    /// A failure that has to wait until the chunks before it are out.
    failure: Option<Failure>,
}

/// How far a choice has come.
#[derive(Debug, Default)]
struct Progress {
    /// What was said so far: citations are placed in it.
    content: String,
    calls: u32,
    /// Sound has begun.
    sounds: bool,
    /// The arguments of the function that is the answer itself.
    json_answer: Option<String>,
    images: Vec<Value>,
    thinking_blocks: Vec<Value>,
    /// Signatures of texts.
    signatures: Vec<Value>,
    /// Parts that only Gemini understands.
    others: Vec<Value>,
    finish: Option<Finish>,
    grounding: Option<Value>,
}

/// Why a choice is complete.
#[derive(Debug)]
struct Finish {
    /// In Google's words.
    native: String,
    message: Option<String>,
    /// It isn't the choice's own: the prompt was refused.
    blocked: bool,
    /// A call stood in the same event.
    with_call: bool,
}

// === impl Stream ===

impl Stream {
    /// A stream that answers `call`, which has given up its body.
    pub(crate) fn new(writer: ChunkWriter, call: &Call, asked: Asked, include_usage: bool) -> Self {
        Self {
            writer,
            ids: CallIds::new(call),
            call: call.clone(),
            asked,
            include_usage,
            choices: BTreeMap::new(),
            blocked: None,
            usage: None,
            usage_is_news: false,
            searched: false,
            failure: None,
        }
    }

    /// Translates the events of one read.
    ///
    /// # Errors
    /// An event tells a failure or can't be read. What came before it is handed out first.
    pub(crate) fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let failure = events.iter().try_for_each(|event| self.event(&event.data)).err();
        let batch = Batch { chunks: self.writer.take(), usage: self.news(), done: false };
        match failure {
            Some(failure) if batch.chunks.is_empty() => Err(failure),
            failure => {
                self.failure = failure;
                Ok(batch)
            }
        }
    }

    /// The stream is over.
    ///
    /// # Errors
    /// Some choice has no finish reason: the answer isn't complete.
    pub(crate) fn end(&mut self, ending: Ending) -> Result<Batch, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.block();
        let complete = self.choices.values().all(|choice| choice.finish.is_some());
        if !complete || self.choices.is_empty() {
            return Err(match ending {
                Ending::Complete => failure::malformed("gemini's stream ended before a finish reason"),
                Ending::Cut => failure::malformed("the connection to gemini broke before a finish reason"),
                Ending::Stalled => failure::failure(FailureKind::Timeout, "gemini fell silent before a finish reason"),
            });
        }
        for (index, choice) in std::mem::take(&mut self.choices) {
            self.finish(index, choice);
        }
        let used = self.used();
        if let Some(used) = used.as_ref().filter(|_| self.include_usage) {
            self.writer.usage(&used.body);
        }
        Ok(Batch { chunks: self.writer.take(), usage: used.map(|used| used.usage), done: true })
    }

    /// A refused prompt ends what has no reason of its own to end, and is an answer itself where none began.
    fn block(&mut self) {
        let Some(PromptFeedback { block_reason, block_reason_message }) = self.blocked.take() else { return };
        if self.choices.is_empty() {
            self.choices.insert(0, Progress::default());
        }
        for choice in self.choices.values_mut() {
            choice.finish.get_or_insert_with(|| Finish {
                native: block_reason.clone().unwrap_or_default(),
                message: block_reason_message.clone(),
                blocked: true,
                with_call: false,
            });
        }
    }

    fn used(&self) -> Option<Used> {
        self.usage.as_ref().map(|metadata| usage::translate(metadata, self.searched))
    }

    fn news(&mut self) -> Option<Usage> {
        std::mem::take(&mut self.usage_is_news).then(|| self.used())?.map(|used| used.usage)
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Failure> {
        let data = data.trim_ascii();
        let unreadable = |_| failure::malformed("gemini sent an event that is no GenerateContentResponse");
        // A failure may come as a list of one.
        let answers: Vec<Answer> = match data.first() {
            None => return Ok(()),
            Some(b'[') => serde_json::from_slice(data).map_err(unreadable)?,
            Some(_) => vec![serde_json::from_slice(data).map_err(unreadable)?],
        };
        answers.into_iter().try_for_each(|answer| self.answer(answer))
    }

    fn answer(&mut self, answer: Answer) -> Result<(), Failure> {
        if let Some(error) = &answer.error {
            return Err(error::from_event(error));
        }
        for (place, candidate) in answer.candidates.unwrap_or_default().into_iter().enumerate() {
            let index = candidate.index.unwrap_or_else(|| u32::try_from(place).unwrap_or(u32::MAX));
            let mut choice = self.choices.remove(&index).unwrap_or_default();
            self.candidate(index, &mut choice, candidate);
            self.choices.insert(index, choice);
        }
        if let Some(feedback) = answer.prompt_feedback.filter(|feedback| feedback.block_reason.is_some()) {
            self.blocked = Some(feedback);
        }
        if answer.usage_metadata.is_some() {
            self.usage = answer.usage_metadata;
            self.usage_is_news = true;
        }
        Ok(())
    }

    fn candidate(&mut self, index: u32, choice: &mut Progress, candidate: Candidate) {
        let calls_before = choice.calls;
        // The event's probabilities go with its first delta.
        let mut logprobs = candidate.logprobs_result.and_then(logprobs::translate);
        let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
        for piece in parts.into_iter().filter_map(Piece::sort) {
            if let Some(delta) = self.delta(choice, piece) {
                self.writer.delta_with(index, delta, logprobs.take());
            }
        }
        if logprobs.is_some() {
            self.writer.delta_with(index, Delta::default(), logprobs);
        }
        if let Some(metadata) = candidate.grounding_metadata {
            self.searched |= grounding::searched(&metadata);
            choice.grounding = Some(metadata);
        }
        if let Some(native) = candidate.finish_reason {
            let with_call = choice.calls > calls_before;
            choice.finish = Some(Finish { native, message: candidate.finish_message, blocked: false, with_call });
        }
    }

    /// What can be told of a piece right now. The rest waits in `choice`.
    fn delta(&mut self, choice: &mut Progress, piece: Piece) -> Option<Delta> {
        match piece {
            Piece::Thought { text, signature } => {
                choice.thinking_blocks.extend(signature.map(|signature| answer::thinking_block(&text, &signature)));
                (!text.is_empty()).then(|| Delta::reasoning(text))
            }
            Piece::Text { text, signature } => {
                choice.content.push_str(&text);
                choice.signatures.extend(signature.map(Value::String));
                // Where the answer may be a call's arguments, text before it is no part of it.
                (!text.is_empty() && self.asked.json_tool.is_none()).then(|| Delta::content(text))
            }
            Piece::Call { name, arguments, .. } if self.asked.json_tool.as_ref() == Some(&name) => {
                choice.json_answer.get_or_insert(arguments);
                None
            }
            Piece::Call { id, name, arguments, signature } => {
                let name = self.asked.names.client(&name).to_owned();
                let mut call = ToolCallDelta::begin(choice.calls, self.ids.id(id), name, arguments);
                (call.provider_specific_fields, call.extra_content) = answer::signature_fields(signature);
                choice.calls = choice.calls.saturating_add(1);
                Some(Delta::tool_call(call))
            }
            Piece::Image { url, signature } => {
                choice.images.push(answer::image(url, choice.images.len(), signature));
                None
            }
            Piece::Audio { data, media_type } => {
                // What the first piece says of the whole would add up, were it said again.
                let audio = match std::mem::replace(&mut choice.sounds, true) {
                    false => answer::audio(&self.call, data, media_type),
                    true => json!({"data": data}),
                };
                Some(Delta { audio: Some(audio), ..Delta::default() })
            }
            Piece::Other(part) => {
                choice.others.push(Value::Object(part));
                None
            }
        }
    }

    fn finish(&mut self, index: u32, mut choice: Progress) {
        let Some(finish) = choice.finish.take() else { return };
        // A reason other than STOP that came later than the calls ended something else: text that went on.
        let called = choice.calls > 0 && (finish.with_call || finish.native == "STOP");
        let reason = match finish.blocked {
            true => FinishReason::ContentFilter,
            false => answer::finish_reason(&finish.native, called),
        };
        let mut fields = answer::finish_fields(Some(&finish.native), finish.message.as_deref());
        let annotations = match choice.grounding.take() {
            Some(metadata) => {
                let annotations = grounding::annotations(&metadata, &choice.content);
                fields.insert("vertex_ai_grounding_metadata".to_owned(), json!([metadata]));
                annotations
            }
            None => Vec::new(),
        };
        self.rest(index, choice, annotations);
        self.writer.finish(index, reason, fields);
    }

    /// What had to wait, in one delta.
    fn rest(&mut self, index: u32, choice: Progress, annotations: Vec<Value>) {
        let Progress { content, calls, json_answer, images, thinking_blocks, signatures, others, .. } = choice;
        if self.asked.json_tool.is_some() {
            // One that came with other calls is a guess at what they will bring.
            let content = json_answer.filter(|_| calls == 0).unwrap_or(content);
            if !content.is_empty() {
                self.writer.delta(index, Delta::content(content));
            }
        }
        let mut own = Map::new();
        for (key, list) in [("thought_signatures", signatures), (GEMINI_PARTS, others)] {
            if !list.is_empty() {
                own.insert(key.to_owned(), Value::Array(list));
            }
        }
        if !(images.is_empty() && thinking_blocks.is_empty() && annotations.is_empty() && own.is_empty()) {
            let lists = Delta { images, thinking_blocks, annotations, ..Delta::default() };
            self.writer.delta(index, Delta { provider_specific_fields: own, ..lists });
        }
    }
}
