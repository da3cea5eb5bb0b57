//! A chat answer: <https://platform.openai.com/docs/api-reference/chat/object>.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Call, Completion, Usage};

/// A whole chat answer.
#[derive(Clone, Debug, Serialize)]
pub struct ChatCompletion {
    /// `chatcmpl-…`
    pub id: String,
    object: &'static str,
    /// Unix time in seconds.
    pub created: u64,
    /// The name that the client used.
    pub model: String,
    /// Usually one.
    pub choices: Vec<Choice>,
    /// What it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageBody>,
    /// What else the provider told (`service_tier`, `vertex_ai_grounding_metadata`, …).
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One of the answers to choose from.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// Its place, from 0.
    pub index: u32,
    /// What the model said.
    pub message: AssistantMessage,
    /// Probabilities, in OpenAI's form; `null` if there are none.
    pub logprobs: Option<Value>,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// What only this provider tells.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub provider_specific_fields: Map<String, Value>,
}

/// What the model said.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AssistantMessage {
    /// Always `assistant`.
    pub role: AssistantRole,
    /// The text; `null` if there is none.
    pub content: Option<String>,
    /// The model refused, in its words.
    pub refusal: Option<String>,
    /// How it reasoned (LiteLLM's and DeepSeek's extension).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The provider's own blocks of reasoning with their signatures, to be sent back in the next turn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thinking_blocks: Vec<Value>,
    /// What the model calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Citations, in OpenAI's form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Value>,
    /// Images that the model made, `[{"type": "image_url", "image_url": {"url": "data:…"}}]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Value>,
    /// Sound that the model made, in OpenAI's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Value>,
    /// What only this provider tells.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub provider_specific_fields: Map<String, Value>,
}

/// The one role that answers.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AssistantRole {
    /// `assistant`
    #[default]
    Assistant,
}

/// A call that the model makes.
#[derive(Clone, Debug, Serialize)]
pub struct ToolCall {
    /// The call's id.
    pub id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
    /// What only this provider tells, to be sent back with the call.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub provider_specific_fields: Map<String, Value>,
    /// The same in the form of Google's own OpenAI endpoint: `{"google": {"thought_signature": …}}`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra_content: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
struct Function {
    name: String,
    arguments: String,
}

impl ToolCall {
    /// A call of function `name`; `arguments` is JSON text.
    pub fn new(id: String, name: String, arguments: String) -> Self {
        let function = Function { name, arguments };
        Self { id, kind: "function", function, provider_specific_fields: Map::new(), extra_content: Map::new() }
    }
}

/// Why the model stopped, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct UsageBody(Map<String, Value>);

impl UsageBody {
    /// The OpenAI form of `usage`.
    pub fn new(usage: &Usage) -> Self {
        let mut prompt = Map::from_iter([("cached_tokens".to_owned(), json!(usage.cache_read_tokens))]);
        if usage.cache_write_tokens > 0 {
            prompt.insert("cache_creation_tokens".to_owned(), json!(usage.cache_write_tokens));
        }
        let fields = json!({
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
            "prompt_tokens_details": prompt,
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        });
        match fields {
            Value::Object(map) => Self(map),
            _ => unreachable!("the literal above is an object"),
        }
    }

    /// Adds or replaces a field: `total_tokens` where the provider counts differently, or an extension.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a field to `prompt_tokens_details` or `completion_tokens_details`.
    #[must_use]
    pub fn with_detail(mut self, details: &str, key: &str, value: impl Into<Value>) -> Self {
        if let Some(Value::Object(map)) = self.0.get_mut(details) {
            map.insert(key.to_owned(), value.into());
        }
        self
    }
}

impl ChatCompletion {
    /// An answer to `call` with one choice.
    pub fn new(call: &Call, message: AssistantMessage, finish_reason: FinishReason, usage: Option<UsageBody>) -> Self {
        let fields = Map::new();
        let choice = Choice { index: 0, message, logprobs: None, finish_reason, provider_specific_fields: fields };
        Self {
            id: format!("chatcmpl-{}", call.id),
            object: "chat.completion",
            created: call.created,
            model: call.requested_model.clone(),
            choices: vec![choice],
            usage,
            extra: Map::new(),
        }
    }

    /// The answer as the gateway takes it.
    pub fn into_completion(self, usage: Option<Usage>) -> Completion {
        Completion { body: to_json(&self), usage }
    }
}

/// JSON of an answer's own types, which always have one.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("string keys and finite numbers always serialize")
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
        assert_eq!(json!(UsageBody::new(&usage))["total_tokens"], json!(u64::MAX));
    }
}
