//! A streamed answer: <https://platform.claude.com/docs/en/build-with-claude/streaming>.
//!
//! A message begins, its blocks come one after another, each in pieces, then it says why it stopped. Events of
//! other types are to be ignored, says the documentation.

use ai_api_plugin_sdk::canonical::{ChunkWriter, Delta, ToolCallDelta};
use ai_api_plugin_sdk::json::{Json, Object, Text};
use ai_api_plugin_sdk::{Batch, Call, Ending, Event, Failure, failure};

use crate::error::{self, ErrorDetail};
use crate::event::{self, Piece, Read, WireDelta, WireEvent};
use crate::request::Memory;
use crate::response::{Answer, Stop};
use crate::usage::WireUsage;

/// Reads a stream and writes chunks.
#[derive(Debug)]
pub(crate) struct Stream {
    writer: ChunkWriter,
    usage: Option<WireUsage<'static>>,
    /// By Anthropic's index.
    blocks: Vec<(u64, Block)>,
    /// How many calls began.
    calls: u32,
    /// Text that a call of the tool which is the answer would make worthless.
    held: Option<String>,
    answered_in_tool: bool,
    container: Option<Json<'static>>,
    finished: bool,
    /// How the stream failed, while chunks that came before are on their way.
    failed: Option<Failure>,
}

/// A block as far as it came.
#[derive(Debug)]
struct Block {
    kind: Kind,
    /// As it began.
    start: Object<'static>,
    /// Its text, reasoning, or JSON input.
    text: String,
    signature: String,
    citations: Vec<Json<'static>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Thinking,
    RedactedThinking,
    /// The client's tool, as this call of the answer.
    Call(u32),
    /// The tool whose input is the answer.
    Json,
    /// A tool of Anthropic's own, its result, or something newer.
    Other,
}

impl Stream {
    pub(crate) fn new(call: &Call, memory: &Memory) -> Self {
        Self {
            writer: ChunkWriter::new(call),
            usage: None,
            blocks: Vec::new(),
            calls: 0,
            held: memory.json_tool.as_ref().map(|_| String::new()),
            answered_in_tool: false,
            container: None,
            finished: false,
            failed: None,
        }
    }

    /// Translates the events of one read. What came before a failure is still handed over, the failure next time.
    ///
    /// # Errors
    /// The provider says that it failed, or an event makes no sense.
    pub(crate) fn events(&mut self, events: &[Event], memory: &Memory) -> Result<Batch, Failure> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        let mut news = false;
        for event in events {
            match self.read(&event.data, memory, &mut news) {
                Ok(false) => {}
                Ok(true) => return Ok(self.batch(news, true)),
                Err(failure) => {
                    let batch = self.batch(news, false);
                    if batch.chunks.is_empty() {
                        return Err(failure);
                    }
                    self.failed = Some(failure);
                    return Ok(batch);
                }
            }
        }
        Ok(self.batch(news, false))
    }

    /// Reads one event. True if it was the last one.
    fn read(&mut self, data: &[u8], memory: &Memory, news: &mut bool) -> Result<bool, Failure> {
        match event::read(data)? {
            Read::Piece(index, piece) => {
                self.piece(index, piece);
                Ok(false)
            }
            Read::Event(event) => {
                *news |= event.usage.is_some() || event.message.is_some();
                self.event(*event, memory)
            }
            Read::Unknown => Ok(false),
        }
    }

    /// The stream ended before `message_stop`. Where the connection broke, the gateway says so itself.
    pub(crate) fn end(&mut self, ending: Ending) -> Result<Batch, Failure> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        match ending {
            Ending::Complete => Err(failure::malformed("anthropic's stream ended before message_stop")),
            Ending::Cut | Ending::Stalled => Ok(self.batch(true, false)),
        }
    }

    fn batch(&mut self, news: bool, done: bool) -> Batch {
        let usage = self.usage.as_ref().filter(|_| news).map(WireUsage::total);
        Batch { chunks: self.writer.take(), usage, done }
    }

    /// Translates one event. True if it was the last one.
    fn event(&mut self, event: WireEvent<'_>, memory: &Memory) -> Result<bool, Failure> {
        match event.kind.as_ref() {
            "message_start" => self.update_usage(event.message.and_then(|message| message.usage)),
            "content_block_start" => {
                let Some(start) = event.content_block else { return Ok(false) };
                self.start_block(event.index, start, memory);
            }
            "content_block_delta" => {
                if let Some(delta) = event.delta {
                    self.delta(event.index, delta);
                }
            }
            "content_block_stop" => self.stop_block(event.index),
            "message_delta" => {
                self.update_usage(event.usage);
                if let Some(delta) = event.delta {
                    if let Some(container) = delta.container {
                        self.container = Some(container.into_owned());
                    }
                    if delta.stop_reason.is_some() {
                        let WireDelta { stop_reason: reason, stop_sequence: sequence, stop_details: details, .. } =
                            delta;
                        self.finish(Stop { reason, sequence, details }, memory);
                    }
                }
            }
            "message_stop" => {
                self.finish(Stop::default(), memory);
                if let Some(usage) = self.usage.as_ref().filter(|_| memory.include_usage) {
                    self.writer.usage(&usage.body());
                }
                return Ok(true);
            }
            "error" => {
                let detail = event.error.unwrap_or(ErrorDetail {
                    kind: "api_error".to_owned(),
                    message: "anthropic's stream failed without saying why".to_owned(),
                });
                return Err(error::of_detail(&detail));
            }
            _ => {}
        }
        Ok(false)
    }

    fn update_usage(&mut self, newer: Option<WireUsage<'_>>) {
        if let Some(newer) = newer {
            self.usage.get_or_insert_default().update(newer);
        }
    }

    fn start_block(&mut self, index: u64, start: Object<'_>, memory: &Memory) {
        let text = |key: &str| match start.get(key) {
            Some(Json::String(text)) => text.clone(),
            _ => Text::default(),
        };
        let mut block = Block {
            kind: Kind::Other,
            text: String::new(),
            signature: String::new(),
            citations: Vec::new(),
            start: Object::new(),
        };
        let mut first = WireDelta::default();
        match text("type").as_str() {
            "text" => {
                block.kind = Kind::Text;
                first.text = Some(text("text"));
            }
            "thinking" => {
                block.kind = Kind::Thinking;
                first.thinking = Some(text("thinking"));
                block.signature = text("signature").into_string();
                // There was reasoning, even if none of it is shown.
                self.writer.delta(0, Delta::reasoning(""));
            }
            "redacted_thinking" => {
                block.kind = Kind::RedactedThinking;
                self.writer.delta(0, Delta::reasoning(""));
            }
            // A second answer is none.
            "tool_use" if memory.answers_in(&text("name")) && self.answered_in_tool => {}
            "tool_use" if memory.answers_in(&text("name")) => {
                block.kind = Kind::Json;
                self.answered_in_tool = true;
                // Talk before the answer is not the answer.
                self.held = None;
            }
            "tool_use" => {
                block.kind = Kind::Call(self.calls);
                let name = memory.names.to_client(text("name"));
                let call = ToolCallDelta::begin(self.calls, text("id"), name, "");
                self.calls += 1;
                self.writer.delta(0, Delta::tool_call(call));
            }
            _ => {}
        }
        block.start = start.into_owned();
        self.blocks.push((index, block));
        self.delta(index, first);
    }

    /// More of a block. What isn't of the block's kind is ignored.
    fn piece(&mut self, index: u64, piece: Piece<'_>) {
        let Some(block) = block_mut(&mut self.blocks, index) else { return };
        match (block.kind, piece) {
            (Kind::Text, Piece::Text(piece))
            | (Kind::Thinking, Piece::Thinking(piece))
            | (Kind::Call(_) | Kind::Json | Kind::Other, Piece::Json(piece)) => self.grow(index, piece),
            _ => {}
        }
    }

    fn delta(&mut self, index: u64, delta: WireDelta<'_>) {
        let Some(block) = block_mut(&mut self.blocks, index) else { return };
        let piece = match block.kind {
            Kind::Text => delta.text,
            Kind::Thinking => delta.thinking,
            Kind::Call(_) | Kind::Json => delta.partial_json,
            Kind::Other => delta.partial_json.or(delta.content),
            Kind::RedactedThinking => None,
        };
        if let Some(signature) = delta.signature {
            block.signature.push_str(&signature);
        }
        block.citations.extend(delta.citation.map(Json::into_owned));
        if let Some(piece) = piece {
            self.grow(index, piece);
        }
    }

    /// Adds `piece` to a block, and hands it on as the block's kind wants it.
    fn grow(&mut self, index: u64, piece: Text<'_>) {
        let Some(block) = block_mut(&mut self.blocks, index).filter(|_| !piece.is_empty()) else { return };
        block.text.push_str(&piece);
        match block.kind {
            Kind::Text => match &mut self.held {
                Some(held) => held.push_str(&piece),
                None if self.answered_in_tool => {}
                None => self.writer.delta(0, Delta::content(piece)),
            },
            Kind::Thinking => self.writer.delta(0, Delta::reasoning(piece)),
            Kind::Call(call) => self.writer.delta(0, Delta::tool_call(ToolCallDelta::arguments(call, piece))),
            Kind::Json => self.writer.delta(0, Delta::content(piece)),
            Kind::RedactedThinking | Kind::Other => {}
        }
    }

    fn stop_block(&mut self, index: u64) {
        let Some(block) = block_mut(&mut self.blocks, index) else { return };
        if !block.text.is_empty() {
            return;
        }
        // No piece came: the input is what the block began with.
        let input = block.start.get("input").filter(|input| input.is_object());
        let input = input.map_or_else(|| "{}".to_owned(), ToString::to_string);
        match block.kind {
            Kind::Call(call) => self.writer.delta(0, Delta::tool_call(ToolCallDelta::arguments(call, input))),
            Kind::Json => {
                block.text.clone_from(&input);
                self.writer.delta(0, Delta::content(input));
            }
            Kind::Text | Kind::Thinking | Kind::RedactedThinking | Kind::Other => {}
        }
    }

    /// The answer is complete.
    ///
    /// What OpenAI's API doesn't have comes in one single delta: clients put pieces of text together, not of
    /// lists and objects that they don't know.
    fn finish(&mut self, stop: Stop<'_>, memory: &Memory) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Some(held) = self.held.take().filter(|held| !held.is_empty()) {
            self.writer.delta(0, Delta::content(held));
        }
        let mut answer = Answer::default();
        for (_, block) in self.blocks.drain(..) {
            match block.kind {
                Kind::Json => answer.answer_in_tool(block.text.into()),
                _ => answer.add(block.whole().into(), memory),
            }
        }
        let finish_reason = stop.finish_reason(answer.is_in_tool());
        let mut provider_specific_fields = answer.fields();
        if let Some(container) = self.container.take().filter(|container| !container.is_null()) {
            provider_specific_fields.insert("container", container);
        }
        let Answer { thinking_blocks, annotations, .. } = answer;
        if !(thinking_blocks.is_empty() && annotations.is_empty() && provider_specific_fields.is_empty()) {
            self.writer.delta(0, Delta { thinking_blocks, annotations, provider_specific_fields, ..Delta::default() });
        }
        self.writer.finish(0, finish_reason, stop.fields());
    }
}

/// The last block of this index.
fn block_mut(blocks: &mut [(u64, Block)], index: u64) -> Option<&mut Block> {
    blocks.iter_mut().rev().find(|(known, _)| *known == index).map(|(_, block)| block)
}

impl Block {
    /// The block as it would stand in a whole answer.
    fn whole(self) -> Object<'static> {
        let mut block = self.start;
        let compaction = block.get("type").is_some_and(|kind| *kind == "compaction");
        let mut set = |key: &'static str, value: Json<'static>| block.insert(key, value);
        match self.kind {
            Kind::Text => {
                set("text", self.text.into());
                if !self.citations.is_empty() {
                    set("citations", self.citations.into());
                }
            }
            Kind::Thinking => {
                set("thinking", self.text.into());
                set("signature", self.signature.into());
            }
            Kind::RedactedThinking => {}
            Kind::Other if compaction => {
                if !self.text.is_empty() {
                    set("content", self.text.into());
                }
            }
            Kind::Call(_) | Kind::Json | Kind::Other => {
                if !self.text.is_empty() {
                    let input = Json::parse(self.text.as_bytes());
                    set("input", input.map_or_else(|_| Object::new().into(), |input| input.rendered()));
                }
            }
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ai_api_plugin_sdk::testing::call;
    use ai_api_plugin_sdk::{FailureKind, Operation};
    use serde_json::json;

    use super::*;
    use crate::names::ToolNames;

    const START: &str = r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}"#;
    const BLOCK: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    const TEXT: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"par"}}"#;
    const OVERLOADED: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;

    fn memory() -> Memory {
        Memory { names: ToolNames::new(std::iter::empty(), &BTreeSet::new()), json_tool: None, include_usage: false }
    }

    fn stream() -> Stream {
        Stream::new(&call(Operation::ChatCompletions, "claude", &json!({"stream": true})), &memory())
    }

    fn read(stream: &mut Stream, events: &[&str]) -> Result<Batch, Failure> {
        let event = |data: &&str| Event { name: None, data: data.as_bytes().to_vec() };
        stream.events(&events.iter().map(event).collect::<Vec<_>>(), &memory())
    }

    #[test]
    fn usage_is_told_as_soon_as_the_provider_tells_it() {
        let mut stream = stream();
        assert_eq!(read(&mut stream, &[START]).unwrap().usage.unwrap().prompt_tokens, 10);
        assert!(read(&mut stream, &[BLOCK, TEXT]).unwrap().usage.is_none());
        let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#;
        let usage = read(&mut stream, &[delta]).unwrap().usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (10, 9));
        assert!(read(&mut stream, &[r#"{"type":"message_stop"}"#]).unwrap().done);
    }

    #[test]
    fn what_came_before_a_failure_in_the_same_read_is_not_lost() {
        let mut stream = stream();
        let batch = read(&mut stream, &[START, BLOCK, TEXT, OVERLOADED]).unwrap();
        assert_eq!((batch.chunks.len(), batch.done), (1, false));
        assert_eq!(stream.end(Ending::Complete).unwrap_err().kind, FailureKind::Overloaded);
    }

    #[test]
    fn a_failure_before_anything_was_said_is_told_at_once() {
        assert_eq!(read(&mut stream(), &[START, OVERLOADED]).unwrap_err().kind, FailureKind::Overloaded);
    }

    #[test]
    fn a_broken_connection_still_tells_the_usage() {
        for (ending, fine) in [(Ending::Complete, false), (Ending::Cut, true), (Ending::Stalled, true)] {
            let mut stream = stream();
            read(&mut stream, &[START, BLOCK, TEXT]).unwrap();
            let end = stream.end(ending);
            assert_eq!(end.is_ok(), fine, "{ending:?}");
            assert!(end.is_ok_and(|batch| batch.usage.is_some()) == fine);
        }
    }
}
