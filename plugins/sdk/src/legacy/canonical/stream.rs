//! A streamed chat answer: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::{FinishReason, UsageBody, to_json};
use crate::Call;

/// Writes the chunks of one stream: same id, model and time in each, the role once for each choice.
#[derive(Debug)]
pub struct ChunkWriter {
    id: String,
    created: u64,
    model: String,
    /// Choices whose role was sent.
    begun: Vec<u32>,
    chunks: Vec<Vec<u8>>,
}

/// What a chunk adds to a choice.
///
/// `thinking_blocks`, `annotations`, `images` and `provider_specific_fields` belong in one delta of a choice each, whole:
/// openai-python's `stream()` helper raises an error where a list that comes twice has no `index` in its entries, and
/// openai-node's keeps the last of what it doesn't know.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Delta {
    /// Set by the writer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Text of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Reasoning (LiteLLM's and DeepSeek's extension).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The provider's own blocks of reasoning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thinking_blocks: Vec<Value>,
    /// Calls, or pieces of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallDelta>,
    /// Citations, in OpenAI's form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Value>,
    /// Images that the model made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Value>,
    /// Sound that the model made, in OpenAI's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Value>,
    /// What only this provider tells.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub provider_specific_fields: Map<String, Value>,
}

/// A call, or a piece of its arguments.
#[derive(Clone, Debug, Serialize)]
pub struct ToolCallDelta {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta,
    /// What only this provider tells, to be sent back with the call.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub provider_specific_fields: Map<String, Value>,
    /// The same in the form of Google's own OpenAI endpoint: `{"google": {"thought_signature": …}}`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra_content: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
struct FunctionDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    arguments: String,
}

impl ToolCallDelta {
    /// The `index`-th call of this answer begins, with what is known of its arguments.
    pub fn begin(index: u32, id: String, name: String, arguments: String) -> Self {
        let function = FunctionDelta { name: Some(name), arguments };
        Self { id: Some(id), kind: Some("function"), ..Self::piece(index, function) }
    }

    /// More of the `index`-th call's arguments.
    pub fn arguments(index: u32, arguments: String) -> Self {
        Self::piece(index, FunctionDelta { name: None, arguments })
    }

    fn piece(index: u32, function: FunctionDelta) -> Self {
        let (provider_specific_fields, extra_content) = (Map::new(), Map::new());
        Self { index, id: None, kind: None, function, provider_specific_fields, extra_content }
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a UsageBody>,
}

#[derive(Serialize)]
struct ChunkChoice {
    index: u32,
    delta: Delta,
    logprobs: Option<Value>,
    finish_reason: Option<FinishReason>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    provider_specific_fields: Map<String, Value>,
}

impl Delta {
    /// Text.
    pub fn content(text: impl Into<String>) -> Self {
        Self { content: Some(text.into()), ..Self::default() }
    }

    /// Reasoning.
    pub fn reasoning(text: impl Into<String>) -> Self {
        Self { reasoning_content: Some(text.into()), ..Self::default() }
    }

    /// A call, or a piece of one.
    pub fn tool_call(call: ToolCallDelta) -> Self {
        Self { tool_calls: vec![call], ..Self::default() }
    }
}

impl ChunkWriter {
    /// A writer for the answer to `call`.
    pub fn new(call: &Call) -> Self {
        Self {
            id: format!("chatcmpl-{}", call.id),
            created: call.created,
            model: call.requested_model.clone(),
            begun: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// Adds `delta` to choice `index`.
    pub fn delta(&mut self, index: u32, delta: Delta) {
        self.delta_with(index, delta, None);
    }

    /// Adds `delta` to choice `index`, with its tokens' probabilities in OpenAI's form.
    pub fn delta_with(&mut self, index: u32, mut delta: Delta, logprobs: Option<Value>) {
        if !self.begun.contains(&index) {
            self.begun.push(index);
            delta.role = Some("assistant");
            // OpenAI's first delta always has both; some clients add to `content` without a look.
            delta.content.get_or_insert_default();
        }
        let fields = Map::new();
        self.write(
            &[ChunkChoice { index, delta, logprobs, finish_reason: None, provider_specific_fields: fields }],
            None,
        );
    }

    /// Choice `index` is complete.
    pub fn finish(&mut self, index: u32, reason: FinishReason, provider_specific_fields: Map<String, Value>) {
        if !self.begun.contains(&index) {
            self.delta(index, Delta::default());
        }
        let choice = ChunkChoice {
            index,
            delta: Delta::default(),
            logprobs: None,
            finish_reason: Some(reason),
            provider_specific_fields,
        };
        self.write(&[choice], None);
    }

    /// The chunk without choices that tells the usage, for clients that asked for it.
    pub fn usage(&mut self, usage: &UsageBody) {
        self.write(&[], Some(usage));
    }

    /// The chunks written since the last time.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.chunks)
    }

    fn write(&mut self, choices: &[ChunkChoice], usage: Option<&UsageBody>) {
        let object = "chat.completion.chunk";
        let (id, created, model) = (self.id.as_str(), self.created, self.model.as_str());
        let chunk = Chunk { id, object, created, model, choices, usage };
        self.chunks.push(to_json(&chunk));
    }
}
