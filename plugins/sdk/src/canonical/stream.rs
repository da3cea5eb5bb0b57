//! A streamed chat answer: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use super::answer::{FinishReason, UsageBody};
use crate::Call;
use crate::json::{Json, Object, ObjectWriter, Text, WriteJson};

/// Writes the chunks of one stream: same id, model and time in each, the role once for each choice.
#[derive(Debug)]
pub struct ChunkWriter {
    /// What every chunk begins with, up to its choices.
    beginning: Vec<u8>,
    /// Choices whose role was sent.
    begun: Vec<u32>,
    chunks: Vec<Vec<u8>>,
}

/// What a chunk adds to a choice.
///
/// `thinking_blocks`, `annotations`, `images` and `provider_specific_fields` belong in one delta of a choice each, whole:
/// openai-python's `stream()` helper raises an error where a list that comes twice has no `index` in its entries, and
/// openai-node's keeps the last of what it doesn't know.
#[derive(Clone, Debug, Default)]
pub struct Delta<'a> {
    /// Text.
    pub content: Option<Text<'a>>,
    /// Text of a refusal.
    pub refusal: Option<Text<'a>>,
    /// Reasoning (LiteLLM's and DeepSeek's extension).
    pub reasoning_content: Option<Text<'a>>,
    /// The provider's own blocks of reasoning.
    pub thinking_blocks: Vec<Json<'a>>,
    /// Calls, or pieces of them.
    pub tool_calls: Vec<ToolCallDelta<'a>>,
    /// Citations, in OpenAI's form.
    pub annotations: Vec<Json<'a>>,
    /// Images that the model made.
    pub images: Vec<Json<'a>>,
    /// Sound that the model made, in OpenAI's form.
    pub audio: Option<Json<'a>>,
    /// What only this provider tells.
    pub provider_specific_fields: Object<'a>,
}

/// A call, or a piece of its arguments.
#[derive(Clone, Debug)]
pub struct ToolCallDelta<'a> {
    index: u32,
    id: Option<Text<'a>>,
    function: FunctionDelta<'a>,
    /// What only this provider tells, to be sent back with the call.
    pub provider_specific_fields: Object<'a>,
    /// The same in the form of Google's own OpenAI endpoint: `{"google": {"thought_signature": …}}`.
    pub extra_content: Object<'a>,
}

#[derive(Clone, Debug)]
struct FunctionDelta<'a> {
    name: Option<Text<'a>>,
    arguments: Text<'a>,
}

impl<'a> ToolCallDelta<'a> {
    /// The `index`-th call of this answer begins, with what is known of its arguments.
    pub fn begin(
        index: u32,
        id: impl Into<Text<'a>>,
        name: impl Into<Text<'a>>,
        arguments: impl Into<Text<'a>>,
    ) -> Self {
        let function = FunctionDelta { name: Some(name.into()), arguments: arguments.into() };
        Self { id: Some(id.into()), ..Self::piece(index, function) }
    }

    /// More of the `index`-th call's arguments.
    pub fn arguments(index: u32, arguments: impl Into<Text<'a>>) -> Self {
        Self::piece(index, FunctionDelta { name: None, arguments: arguments.into() })
    }

    fn piece(index: u32, function: FunctionDelta<'a>) -> Self {
        let (provider_specific_fields, extra_content) = (Object::new(), Object::new());
        Self { index, id: None, function, provider_specific_fields, extra_content }
    }
}

impl<'a> Delta<'a> {
    /// Text.
    pub fn content(text: impl Into<Text<'a>>) -> Self {
        Self { content: Some(text.into()), ..Self::default() }
    }

    /// Reasoning.
    pub fn reasoning(text: impl Into<Text<'a>>) -> Self {
        Self { reasoning_content: Some(text.into()), ..Self::default() }
    }

    /// A call, or a piece of one.
    pub fn tool_call(call: ToolCallDelta<'a>) -> Self {
        Self { tool_calls: vec![call], ..Self::default() }
    }

    /// Writes the delta; the first one of a choice has a role, and content even if there is none.
    fn write(&self, is_first: bool, out: &mut Vec<u8>) {
        let mut fields = ObjectWriter::new(out);
        if is_first {
            fields.field("role", "assistant");
        }
        match &self.content {
            Some(content) => _ = fields.field("content", content),
            // OpenAI's first delta always has both; some clients add to `content` without a look.
            None if is_first => _ = fields.field("content", ""),
            None => {}
        }
        fields.some("refusal", self.refusal.as_ref()).some("reasoning_content", self.reasoning_content.as_ref());
        fields.elements("thinking_blocks", &self.thinking_blocks).elements("tool_calls", &self.tool_calls);
        fields.elements("annotations", &self.annotations).elements("images", &self.images);
        fields.some("audio", self.audio.as_ref()).fields("provider_specific_fields", &self.provider_specific_fields);
        fields.end();
    }
}

impl ChunkWriter {
    /// A writer for the answer to `call`.
    pub fn new(call: &Call) -> Self {
        let mut beginning = Vec::with_capacity(192);
        beginning.extend_from_slice(br#"{"id":"chatcmpl-"#);
        Text::from(call.id.as_str()).write_inside(&mut beginning);
        beginning.extend_from_slice(br#"","object":"chat.completion.chunk","created":"#);
        call.created.write_json(&mut beginning);
        beginning.extend_from_slice(br#","model":"#);
        call.requested_model.write_json(&mut beginning);
        beginning.extend_from_slice(br#","choices":["#);
        Self { beginning, begun: Vec::new(), chunks: Vec::new() }
    }

    /// Adds `delta` to choice `index`.
    pub fn delta(&mut self, index: u32, delta: Delta<'_>) {
        self.delta_with(index, delta, None);
    }

    /// Adds `delta` to choice `index`, with its tokens' probabilities in OpenAI's form.
    pub fn delta_with(&mut self, index: u32, delta: Delta<'_>, logprobs: Option<Json<'_>>) {
        let is_first = self.begin(index);
        let mut chunk = self.begin_chunk();
        chunk.extend_from_slice(br#"{"index":"#);
        index.write_json(&mut chunk);
        chunk.extend_from_slice(br#","delta":"#);
        delta.write(is_first, &mut chunk);
        match logprobs {
            None => chunk.extend_from_slice(br#","logprobs":null,"finish_reason":null}]}"#),
            Some(logprobs) => {
                chunk.extend_from_slice(br#","logprobs":"#);
                logprobs.write_json(&mut chunk);
                chunk.extend_from_slice(br#","finish_reason":null}]}"#);
            }
        }
        self.chunks.push(chunk);
    }

    /// Choice `index` is complete.
    pub fn finish(&mut self, index: u32, reason: FinishReason, provider_specific_fields: Object<'_>) {
        if !self.begun.contains(&index) {
            self.delta(index, Delta::default());
        }
        let mut chunk = self.begin_chunk();
        let mut choice = ObjectWriter::new(&mut chunk);
        choice.field("index", &index).field("delta", &Object::new()).field("logprobs", &None::<&str>);
        choice.field("finish_reason", reason.as_str());
        choice.fields("provider_specific_fields", &provider_specific_fields);
        choice.end();
        chunk.extend_from_slice(b"]}");
        self.chunks.push(chunk);
    }

    /// The chunk without choices that tells the usage, for clients that asked for it.
    pub fn usage(&mut self, usage: &UsageBody<'_>) {
        let mut chunk = self.begin_chunk();
        chunk.extend_from_slice(br#"],"usage":"#);
        usage.write_json(&mut chunk);
        chunk.push(b'}');
        self.chunks.push(chunk);
    }

    /// The chunks written since the last time.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.chunks)
    }

    /// Whether nothing was written of this choice yet.
    fn begin(&mut self, index: u32) -> bool {
        let is_first = !self.begun.contains(&index);
        if is_first {
            self.begun.push(index);
        }
        is_first
    }

    fn begin_chunk(&self) -> Vec<u8> {
        // Enough for most.
        let mut chunk = Vec::with_capacity(self.beginning.len() + 128);
        chunk.extend_from_slice(&self.beginning);
        chunk
    }
}

impl WriteJson for ToolCallDelta<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut fields = ObjectWriter::new(out);
        fields.field("index", &self.index);
        if let Some(id) = &self.id {
            fields.field("id", id).field("type", "function");
        }
        fields.field("function", &self.function);
        fields.fields("provider_specific_fields", &self.provider_specific_fields);
        fields.fields("extra_content", &self.extra_content);
        fields.end();
    }
}

impl WriteJson for FunctionDelta<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut fields = ObjectWriter::new(out);
        fields.some("name", self.name.as_ref()).field("arguments", &self.arguments);
        fields.end();
    }
}
