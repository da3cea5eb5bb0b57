//! What an answer says, streamed or not: the form in which the recordings' `expected` is compared.

use serde_json::{Value, json};

/// A chat answer, put together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meaning {
    /// `content`; empty if there is none.
    pub text: String,
    /// `reasoning_content` or `reasoning`.
    pub reasoning: Option<String>,
    /// In order.
    pub tool_calls: Vec<ToolCall>,
    /// Of the first choice.
    pub finish_reason: Option<String>,
    /// The `usage` object, if there is one.
    pub usage: Option<Value>,
    /// Text and finish reason of every choice.
    pub choices: Vec<(String, Option<String>)>,
}

/// A tool call of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    /// Never empty.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// As the text that came.
    pub arguments: String,
}

impl Meaning {
    /// The meaning of a whole `chat.completion`.
    pub fn of_answer(answer: &Value) -> Self {
        let mut meaning = Self { usage: given(&answer["usage"]), ..Self::default() };
        for choice in answer["choices"].as_array().into_iter().flatten() {
            let message = &choice["message"];
            let (text, thought) = texts(&message["content"]);
            let finish_reason = choice["finish_reason"].as_str().map(str::to_owned);
            if meaning.choices.is_empty() {
                meaning.text.clone_from(&text);
                meaning.reasoning = reasoning(message).or(thought);
                meaning.finish_reason.clone_from(&finish_reason);
                meaning.tool_calls = message["tool_calls"].as_array().into_iter().flatten().map(ToolCall::of).collect();
                meaning.tool_calls.extend(ToolCall::legacy(&message["function_call"]));
            }
            meaning.choices.push((text, finish_reason));
        }
        meaning
    }

    /// A number in `usage`, by its path there; absent counts as 0.
    pub fn tokens(&self, pointer: &str) -> u64 {
        self.usage.as_ref().and_then(|usage| usage.pointer(pointer)).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Every way in which this is not what a recording expects. `also` holds further right values; `null` and
    /// absent fields are not compared.
    pub fn differences(&self, expected: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |field: &str, got: Value| {
            let also = expected["also"][field].as_array().cloned().unwrap_or_default();
            let wanted = &expected[field];
            if !wanted.is_null() && !same(field, wanted, &got) && !also.iter().any(|other| same(field, other, &got)) {
                differences.push(format!("{field}: expected {wanted}, got {got}"));
            }
        };
        compare("text", json!(self.text));
        compare("reasoning", json!(self.reasoning));
        compare("finish_reason", json!(self.finish_reason));
        compare("tool_calls", self.tool_calls.iter().map(ToolCall::to_json).collect());
        if self.choices.len() > 1 {
            let choices = self.choices.iter().map(|(text, reason)| json!({"text": text, "finish_reason": reason}));
            compare("choices", choices.collect());
        }
        for (field, pointer) in [
            ("prompt_tokens", "/prompt_tokens"),
            ("completion_tokens", "/completion_tokens"),
            ("total_tokens", "/total_tokens"),
            ("cached_tokens", "/prompt_tokens_details/cached_tokens"),
            ("reasoning_tokens", "/completion_tokens_details/reasoning_tokens"),
        ] {
            compare(field, json!(self.tokens(pointer)));
        }
        differences
    }
}

impl ToolCall {
    pub(crate) fn of(call: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let function = &call["function"];
        Self { id: text(&call["id"]), name: text(&function["name"]), arguments: text(&function["arguments"]) }
    }

    /// A `function_call`, as the API had it before tools: without an id.
    fn legacy(call: &Value) -> Option<Self> {
        let function = json!({"function": given(call)?, "id": "legacy"});
        Some(Self::of(&function))
    }

    fn to_json(&self) -> Value {
        let arguments = serde_json::from_str(&self.arguments).unwrap_or_else(|_| json!(self.arguments));
        json!({"id": self.id, "name": self.name, "arguments": arguments})
    }
}

/// `reasoning_content`, or what other vendors call it.
pub(crate) fn reasoning(message: &Value) -> Option<String> {
    let text = message["reasoning_content"].as_str().or_else(|| message["reasoning"].as_str());
    text.map(str::to_owned)
}

/// Text and thoughts of a `content`, which some vendors give as parts.
pub(crate) fn texts(content: &Value) -> (String, Option<String>) {
    let Some(parts) = content.as_array() else { return (content.as_str().unwrap_or_default().to_owned(), None) };
    let of = |kind: &str, part: &Value| part["type"] == kind;
    let text = parts.iter().filter(|part| of("text", part)).filter_map(|part| part["text"].as_str()).collect();
    let thoughts = parts.iter().filter(|part| of("thinking", part));
    let thought: String = thoughts
        .flat_map(|part| part["thinking"].as_array())
        .flatten()
        .filter_map(|part| part["text"].as_str())
        .collect();
    (text, (!thought.is_empty()).then_some(thought))
}

pub(crate) fn given(value: &Value) -> Option<Value> {
    (!value.is_null()).then(|| value.clone())
}

fn same(field: &str, wanted: &Value, got: &Value) -> bool {
    if field != "tool_calls" {
        return wanted == got;
    }
    let (Some(wanted), Some(got)) = (wanted.as_array(), got.as_array()) else { return false };
    let call = |(wanted, got): (&Value, &Value)| {
        let id = if wanted["id"].is_null() { got["id"] != "" } else { wanted["id"] == got["id"] };
        id && wanted["name"] == got["name"] && wanted["arguments"] == got["arguments"]
    };
    wanted.len() == got.len() && wanted.iter().zip(got).all(call)
}
