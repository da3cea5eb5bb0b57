//! A chat answer: <https://platform.openai.com/docs/api-reference/chat/object>.

use crate::json::{Json, Object, ObjectWriter, Text, WriteJson};
use crate::{Call, Completion, Usage, object};

/// A whole chat answer.
#[derive(Clone, Debug)]
pub struct ChatCompletion<'a> {
    /// `chatcmpl-…`
    pub id: String,
    /// Unix time in seconds.
    pub created: u64,
    /// The name that the client used.
    pub model: Text<'a>,
    /// Usually one.
    pub choices: Vec<Choice<'a>>,
    /// What it used.
    pub usage: Option<UsageBody<'a>>,
    /// What else the provider told (`service_tier`, `vertex_ai_grounding_metadata`, …).
    pub extra: Object<'a>,
}

/// One of the answers to choose from.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// Its place, from 0.
    pub index: u32,
    /// What the model said.
    pub message: AssistantMessage<'a>,
    /// Probabilities, in OpenAI's form; `null` if there are none.
    pub logprobs: Option<Json<'a>>,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// What only this provider tells.
    pub provider_specific_fields: Object<'a>,
}

/// What the model said.
#[derive(Clone, Debug, Default)]
pub struct AssistantMessage<'a> {
    /// The text; `null` if there is none.
    pub content: Option<Text<'a>>,
    /// The model refused, in its words.
    pub refusal: Option<Text<'a>>,
    /// How it reasoned (LiteLLM's and DeepSeek's extension).
    pub reasoning_content: Option<Text<'a>>,
    /// The provider's own blocks of reasoning with their signatures, to be sent back in the next turn.
    pub thinking_blocks: Vec<Json<'a>>,
    /// What the model calls.
    pub tool_calls: Vec<ToolCall<'a>>,
    /// Citations, in OpenAI's form.
    pub annotations: Vec<Json<'a>>,
    /// Images that the model made, `[{"type": "image_url", "image_url": {"url": "data:…"}}]`.
    pub images: Vec<Json<'a>>,
    /// Sound that the model made, in OpenAI's form.
    pub audio: Option<Json<'a>>,
    /// What only this provider tells.
    pub provider_specific_fields: Object<'a>,
}

/// A call that the model makes.
#[derive(Clone, Debug)]
pub struct ToolCall<'a> {
    /// The call's id.
    pub id: Text<'a>,
    function: Function<'a>,
    /// What only this provider tells, to be sent back with the call.
    pub provider_specific_fields: Object<'a>,
    /// The same in the form of Google's own OpenAI endpoint: `{"google": {"thought_signature": …}}`.
    pub extra_content: Object<'a>,
}

#[derive(Clone, Debug)]
struct Function<'a> {
    name: Text<'a>,
    arguments: Text<'a>,
}

impl<'a> ToolCall<'a> {
    /// A call of function `name`; `arguments` is JSON text.
    pub fn new(id: impl Into<Text<'a>>, name: impl Into<Text<'a>>, arguments: impl Into<Text<'a>>) -> Self {
        let function = Function { name: name.into(), arguments: arguments.into() };
        Self { id: id.into(), function, provider_specific_fields: Object::new(), extra_content: Object::new() }
    }
}

/// Why the model stopped, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done, or met a stop text.
    Stop,
    /// It ran out of tokens.
    Length,
    /// It calls tools.
    ToolCalls,
    /// A safety system stopped it.
    ContentFilter,
}

/// Usage, as the OpenAI API shows it.
#[derive(Clone, Debug)]
pub struct UsageBody<'a>(Object<'a>);

impl<'a> UsageBody<'a> {
    /// The OpenAI form of `usage`.
    pub fn new(usage: &Usage) -> Self {
        let mut prompt = object! {"cached_tokens": usage.cache_read_tokens};
        if usage.cache_write_tokens > 0 {
            prompt.insert("cache_creation_tokens", usage.cache_write_tokens);
        }
        Self(object! {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
            "prompt_tokens_details": prompt,
            "completion_tokens_details": object! {"reasoning_tokens": usage.reasoning_tokens},
        })
    }

    /// Adds or replaces a field: `total_tokens` where the provider counts differently, or an extension.
    #[must_use]
    pub fn with(mut self, key: &'a str, value: impl Into<Json<'a>>) -> Self {
        self.0.insert(key, value);
        self
    }

    /// Adds a field to `prompt_tokens_details` or `completion_tokens_details`.
    #[must_use]
    pub fn with_detail(mut self, details: &str, key: &'a str, value: impl Into<Json<'a>>) -> Self {
        if let Some(Json::Object(object)) = self.0.get_mut(details) {
            object.insert(key, value);
        }
        self
    }
}

impl<'a> ChatCompletion<'a> {
    /// An answer to `call` with one choice.
    pub fn new(
        call: &'a Call,
        message: AssistantMessage<'a>,
        finish_reason: FinishReason,
        usage: Option<UsageBody<'a>>,
    ) -> Self {
        let provider_specific_fields = Object::new();
        let choice = Choice { index: 0, message, logprobs: None, finish_reason, provider_specific_fields };
        Self {
            id: format!("chatcmpl-{}", call.id),
            created: call.created,
            model: call.requested_model.as_str().into(),
            choices: vec![choice],
            usage,
            extra: Object::new(),
        }
    }

    /// The answer as the gateway takes it.
    pub fn into_completion(self, usage: Option<Usage>) -> Completion {
        Completion { body: self.to_json(), usage }
    }
}

impl FinishReason {
    /// OpenAI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

impl WriteJson for ChatCompletion<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut fields = ObjectWriter::new(out);
        fields.field("id", &self.id).field("object", "chat.completion").field("created", &self.created);
        fields.field("model", &self.model).field("choices", &self.choices).some("usage", self.usage.as_ref());
        for (key, value) in self.extra.iter() {
            fields.field(key, value);
        }
        fields.end();
    }
}

impl WriteJson for Choice<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut fields = ObjectWriter::new(out);
        fields.field("index", &self.index).field("message", &self.message).field("logprobs", &self.logprobs);
        fields.field("finish_reason", self.finish_reason.as_str());
        fields.fields("provider_specific_fields", &self.provider_specific_fields);
        fields.end();
    }
}

impl WriteJson for AssistantMessage<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut fields = ObjectWriter::new(out);
        fields.field("role", "assistant").field("content", &self.content).field("refusal", &self.refusal);
        fields.some("reasoning_content", self.reasoning_content.as_ref());
        fields.elements("thinking_blocks", &self.thinking_blocks).elements("tool_calls", &self.tool_calls);
        fields.elements("annotations", &self.annotations).elements("images", &self.images);
        fields.some("audio", self.audio.as_ref()).fields("provider_specific_fields", &self.provider_specific_fields);
        fields.end();
    }
}

impl WriteJson for ToolCall<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut fields = ObjectWriter::new(out);
        fields.field("id", &self.id).field("type", "function").field("function", &self.function);
        fields.fields("provider_specific_fields", &self.provider_specific_fields);
        fields.fields("extra_content", &self.extra_content);
        fields.end();
    }
}

impl WriteJson for Function<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut fields = ObjectWriter::new(out);
        fields.field("name", &self.name).field("arguments", &self.arguments);
        fields.end();
    }
}

impl WriteJson for UsageBody<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        self.0.write_json(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_counts_do_not_overflow() {
        let usage = Usage {
            prompt_tokens: u64::MAX,
            completion_tokens: 1,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
        };
        let body = String::from_utf8(UsageBody::new(&usage).to_json()).unwrap();
        assert!(body.contains(&format!(r#""total_tokens":{}"#, u64::MAX)), "{body}");
    }
}
