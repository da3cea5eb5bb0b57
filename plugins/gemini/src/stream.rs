//! A streamed chat answer: each event is a `GenerateContentResponse` with the next parts of it.
//!
//! No event says that it is the last. Usage may come with or after the finish reason, and grounding after the text it
//! is about, so finish reasons, citations and usage are sent when Google has closed the stream. Everything else that is a
//! list of ours rides with the citations: the OpenAI SDKs can't put such lists together from several deltas.

use std::collections::BTreeMap;

use ai_api_plugin_sdk::canonical::{ChunkWriter, Delta, FinishReason, ToolCallDelta};
use ai_api_plugin_sdk::json::{Json, Object, Text};
use ai_api_plugin_sdk::{Batch, Call, Ending, Event, Failure, FailureKind, Usage, failure, object};

use crate::answer::{self, Asked, CallIds, GEMINI_PARTS, Piece};
use crate::usage::Counts;
use crate::wire::{Answer, Candidate, PromptFeedback};
use crate::{error, grounding, logprobs};

/// A stream that is being translated.
#[derive(Debug)]
pub(crate) struct Stream {
    teller: Teller,
    include_usage: bool,
    choices: BTreeMap<u32, Progress>,
    blocked: Option<PromptFeedback<'static>>,
    usage: Option<Counts>,
    /// The gateway hasn't heard of the usage yet.
    usage_is_news: bool,
    /// A failure that has to wait until the chunks before it are out.
    failure: Option<Failure>,
}

/// Tells the client in chunks what choices say.
#[derive(Debug)]
struct Teller {
    writer: ChunkWriter,
    /// For what an answer repeats of its call; without the request's body.
    call: Call,
    asked: Asked,
    ids: CallIds,
    /// Google Search or Maps was used.
    searched: bool,
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
    images: Vec<Json<'static>>,
    thinking_blocks: Vec<Json<'static>>,
    /// Signatures of texts.
    signatures: Vec<Json<'static>>,
    /// Parts that only Gemini understands.
    others: Vec<Json<'static>>,
    finish: Option<Finish>,
    grounding: Option<Json<'static>>,
}

/// Why a choice is complete.
#[derive(Debug)]
struct Finish {
    /// In Google's words.
    native: Text<'static>,
    message: Option<Text<'static>>,
    /// It isn't the choice's own: the prompt was refused.
    blocked: bool,
    /// A call stood in the same event.
    with_call: bool,
}

// === impl Stream ===

impl Stream {
    /// A stream that answers `call`, which has given up its body.
    pub(crate) fn new(call: Call, asked: Asked, include_usage: bool) -> Self {
        let (writer, ids) = (ChunkWriter::new(&call), CallIds::new(&call));
        Self {
            teller: Teller { writer, call, asked, ids, searched: false },
            include_usage,
            choices: BTreeMap::new(),
            blocked: None,
            usage: None,
            usage_is_news: false,
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
        let batch = Batch { chunks: self.teller.writer.take(), usage: self.news(), done: false };
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
            self.teller.finish(index, choice);
        }
        if let Some(counts) = self.usage.as_ref().filter(|_| self.include_usage) {
            self.teller.writer.usage(&counts.body(self.teller.searched));
        }
        Ok(Batch { chunks: self.teller.writer.take(), usage: self.used(), done: true })
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

    fn used(&self) -> Option<Usage> {
        self.usage.as_ref().map(|counts| counts.usage(self.teller.searched))
    }

    fn news(&mut self) -> Option<Usage> {
        if std::mem::take(&mut self.usage_is_news) { self.used() } else { None }
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Failure> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        // What is no JSON is no answer either.
        match Json::parse(data).unwrap_or_default() {
            // A failure may come as a list of one.
            Json::Array(answers) => answers.into_iter().try_for_each(|answer| self.answer(answer)),
            answer => self.answer(answer),
        }
    }

    fn answer(&mut self, answer: Json<'_>) -> Result<(), Failure> {
        let Some(answer) = Answer::of(answer) else {
            return Err(failure::malformed("gemini sent an event that is no GenerateContentResponse"));
        };
        if let Some(error) = &answer.error {
            return Err(error::from_event(error));
        }
        for (place, candidate) in answer.candidates.into_iter().enumerate() {
            let index = candidate.index.unwrap_or_else(|| u32::try_from(place).unwrap_or(u32::MAX));
            self.teller.candidate(index, self.choices.entry(index).or_default(), candidate);
        }
        if let Some(feedback) = answer.prompt_feedback.filter(|feedback| feedback.block_reason.is_some()) {
            self.blocked = Some(feedback.into_owned());
        }
        if let Some(metadata) = &answer.usage_metadata {
            self.usage.get_or_insert_default().read(metadata);
            self.usage_is_news = true;
        }
        Ok(())
    }
}

// === impl Teller ===

impl Teller {
    fn candidate(&mut self, index: u32, choice: &mut Progress, candidate: Candidate<'_>) {
        let calls_before = choice.calls;
        // The event's probabilities go with its first delta.
        let mut logprobs = candidate.logprobs_result.and_then(logprobs::translate);
        for piece in candidate.parts.into_iter().filter_map(Piece::sort) {
            if let Some(delta) = self.delta(choice, piece) {
                self.writer.delta_with(index, delta, logprobs.take());
            }
        }
        if logprobs.is_some() {
            self.writer.delta_with(index, Delta::default(), logprobs);
        }
        if let Some(metadata) = candidate.grounding_metadata {
            self.searched |= grounding::searched(&metadata);
            choice.grounding = Some(metadata.into_owned());
        }
        if let Some(native) = candidate.finish_reason {
            let with_call = choice.calls > calls_before;
            let message = candidate.finish_message.map(Text::into_owned);
            choice.finish = Some(Finish { native: native.into_owned(), message, blocked: false, with_call });
        }
    }

    /// What can be told of a piece right now. The rest waits in `choice`.
    fn delta<'a>(&mut self, choice: &mut Progress, piece: Piece<'a>) -> Option<Delta<'a>> {
        match piece {
            Piece::Thought { text, signature } => {
                let block = signature.map(|signature| answer::thinking_block(text.clone(), signature));
                choice.thinking_blocks.extend(block.map(Json::into_owned));
                (!text.is_empty()).then(|| Delta::reasoning(text))
            }
            Piece::Text { text, signature } => {
                choice.content.push_str(&text);
                choice.signatures.extend(signature.map(|signature| Json::String(signature.into_owned())));
                // Where the answer may be a call's arguments, text before it is no part of it.
                (!text.is_empty() && self.asked.json_tool.is_none()).then(|| Delta::content(text))
            }
            Piece::Call { name, arguments, .. } if self.asked.answers_in(&name) => {
                choice.json_answer.get_or_insert_with(|| arguments.into_string());
                None
            }
            Piece::Call { id, name, arguments, signature } => {
                let name = self.asked.names.to_client(name);
                let mut call = ToolCallDelta::begin(choice.calls, self.ids.id(id), name, arguments);
                (call.provider_specific_fields, call.extra_content) = answer::signature_fields(signature);
                choice.calls = choice.calls.saturating_add(1);
                Some(Delta::tool_call(call))
            }
            Piece::Image { url, signature } => {
                choice.images.push(answer::image(url, choice.images.len(), signature).into_owned());
                None
            }
            Piece::Audio { data, media_type } => {
                // What the first piece says of the whole would add up, were it said again.
                let audio = match std::mem::replace(&mut choice.sounds, true) {
                    false => answer::audio(&self.call, data, media_type),
                    true => object! {"data": data}.into(),
                };
                Some(Delta { audio: Some(audio), ..Delta::default() })
            }
            Piece::Other(part) => {
                choice.others.push(Json::Object(part.into_owned()));
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
        let mut fields = answer::finish_fields(Some(finish.native), finish.message);
        let annotations = match choice.grounding.take() {
            Some(metadata) => {
                let annotations = grounding::annotations(&metadata, &choice.content);
                fields.insert("vertex_ai_grounding_metadata", vec![metadata]);
                annotations
            }
            None => Vec::new(),
        };
        self.rest(index, choice, annotations);
        self.writer.finish(index, reason, fields);
    }

    /// What had to wait, in one delta.
    fn rest(&mut self, index: u32, choice: Progress, annotations: Vec<Json<'static>>) {
        let Progress { content, calls, json_answer, images, thinking_blocks, signatures, others, .. } = choice;
        if self.asked.json_tool.is_some() {
            // One that came with other calls is a guess at what they will bring.
            let content = json_answer.filter(|_| calls == 0).unwrap_or(content);
            if !content.is_empty() {
                self.writer.delta(index, Delta::content(content));
            }
        }
        let mut own = Object::new();
        for (key, list) in [("thought_signatures", signatures), (GEMINI_PARTS, others)] {
            if !list.is_empty() {
                own.insert(key, list);
            }
        }
        if !(images.is_empty() && thinking_blocks.is_empty() && annotations.is_empty() && own.is_empty()) {
            let lists = Delta { images, thinking_blocks, annotations, ..Delta::default() };
            self.writer.delta(index, Delta { provider_specific_fields: own, ..lists });
        }
    }
}
