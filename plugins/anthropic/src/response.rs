//! A whole answer, and what it shares with a streamed one.

use ai_api_plugin_sdk::legacy::canonical::{AssistantMessage, ChatCompletion, FinishReason, ToolCall};
use ai_api_plugin_sdk::{Call, Completion, Failure, failure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{self, ErrorBody};
use crate::request::Memory;
use crate::usage::WireUsage;

/// `{"type": "message", …}`
#[derive(Debug, Deserialize)]
struct Message {
    content: Vec<Value>,
    #[serde(flatten)]
    stop: Stop,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    container: Option<Value>,
    #[serde(default)]
    context_management: Option<Value>,
}

/// Why the model stopped.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Stop {
    #[serde(default)]
    pub(crate) stop_reason: Option<String>,
    #[serde(default)]
    pub(crate) stop_sequence: Option<Value>,
    #[serde(default)]
    pub(crate) stop_details: Option<Value>,
}

impl Stop {
    /// OpenAI's word. `answered_in_tool`: the call that stopped the model was the answer itself.
    pub(crate) fn finish_reason(&self, answered_in_tool: bool) -> FinishReason {
        match self.stop_reason.as_deref() {
            Some("tool_use") if answered_in_tool => FinishReason::Stop,
            Some("tool_use") => FinishReason::ToolCalls,
            Some("max_tokens" | "pause_turn" | "compaction" | "model_context_window_exceeded") => FinishReason::Length,
            Some("refusal") => FinishReason::ContentFilter,
            _ => FinishReason::Stop,
        }
    }

    /// Anthropic's own word where OpenAI's says less, and what belongs to it.
    pub(crate) fn fields(self) -> Map<String, Value> {
        let plain = matches!(self.stop_reason.as_deref(), None | Some("end_turn" | "max_tokens" | "tool_use"));
        let reason = self.stop_reason.filter(|_| !plain).map(Value::String);
        present([("stop_reason", reason), ("stop_sequence", self.stop_sequence), ("stop_details", self.stop_details)])
    }
}

/// The fields that are there.
pub(crate) fn present<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.filter(|v| !v.is_null())?))).collect()
}

/// Reads the body of a good answer.
///
/// # Errors
/// The body says that the call failed, or isn't an answer.
pub(crate) fn translate(call: &Call, memory: &Memory, body: &[u8]) -> Result<Completion, Failure> {
    let message: Message = match serde_json::from_slice(body) {
        Ok(message) => message,
        Err(error) => {
            return Err(match serde_json::from_slice::<ErrorBody>(body) {
                Ok(body) => error::of_detail(&body.error),
                Err(_) => failure::malformed(format!("anthropic's answer is not a message: {error}")),
            });
        }
    };
    let mut answer = Answer::default();
    for block in message.content {
        answer.add(block, memory);
    }
    let finish_reason = message.stop.finish_reason(answer.is_in_tool());
    let mut fields = answer.fields();
    fields.extend(present([("container", message.container), ("context_management", message.context_management)]));
    let assistant = AssistantMessage {
        content: answer.json.or(answer.text),
        reasoning_content: answer.reasoning,
        thinking_blocks: answer.thinking_blocks,
        tool_calls: answer.calls,
        annotations: answer.annotations,
        provider_specific_fields: fields,
        ..AssistantMessage::default()
    };
    let usage = message.usage.as_ref();
    let mut completion = ChatCompletion::new(call, assistant, finish_reason, usage.map(WireUsage::body));
    if let Some(choice) = completion.choices.first_mut() {
        choice.provider_specific_fields = message.stop.fields();
    }
    Ok(completion.into_completion(usage.map(WireUsage::total)))
}

/// What the blocks say.
#[derive(Default)]
pub(crate) struct Answer {
    text: Option<String>,
    /// In characters.
    text_length: u64,
    reasoning: Option<String>,
    pub(crate) thinking_blocks: Vec<Value>,
    pub(crate) calls: Vec<ToolCall>,
    /// The input of the tool that is the answer.
    json: Option<String>,
    pub(crate) annotations: Vec<Value>,
    citations: Vec<Value>,
    /// All blocks, as they can be sent back.
    blocks: Vec<Value>,
    /// A canonical answer has no place for some of them, or doesn't say where they stood.
    more: bool,
}

impl Answer {
    pub(crate) fn add(&mut self, block: Value, memory: &Memory) {
        let string = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
        match string("type") {
            // Talk beside the answer in a tool is not the answer.
            "text" if self.json.is_some() => return,
            "text" => {
                let text = string("text");
                let start = self.text_length;
                self.text_length += text.chars().count() as u64;
                self.text.get_or_insert_default().push_str(text);
                if let Some(Value::Array(citations)) = block.get("citations").filter(|all| **all != json!([])) {
                    self.annotations.extend(annotations(citations, start, self.text_length));
                    self.citations.push(citations.iter().map(|citation| supported(citation, text)).collect());
                }
            }
            "thinking" => {
                self.more |= self.has_spoken();
                self.reasoning.get_or_insert_default().push_str(string("thinking"));
                self.thinking_blocks.push(block.clone());
            }
            "redacted_thinking" => {
                self.more |= self.has_spoken();
                // There was reasoning, even if none of it is shown.
                self.reasoning.get_or_insert_default();
                self.thinking_blocks.push(block.clone());
            }
            "tool_use" => {
                let input = match block.get("input") {
                    None | Some(Value::Null) => "{}".to_owned(),
                    Some(input) => input.to_string(),
                };
                let name = string("name");
                if memory.answers_in(name) {
                    self.answer_in_tool(input);
                    return;
                }
                let name = memory.names.client(name).to_owned();
                self.calls.push(ToolCall::new(string("id").to_owned(), name, input));
            }
            _ => self.more = true,
        }
        self.blocks.push(block);
    }

    /// Whether reasoning that comes now isn't the answer's beginning.
    fn has_spoken(&self) -> bool {
        self.text.is_some() || !self.calls.is_empty()
    }

    /// The input of the tool that is the answer, which stands in place of all talk.
    pub(crate) fn answer_in_tool(&mut self, input: String) {
        // One answer is enough, and a stream can't take the first one back.
        if self.json.is_none() {
            self.annotations.clear();
            self.blocks.retain(|block| block.get("type").is_none_or(|kind| kind != "text"));
            self.blocks.push(json!({"type": "text", "text": input}));
            self.json = Some(input);
        }
    }

    /// Whether the call that stopped the model was the answer itself.
    pub(crate) fn is_in_tool(&self) -> bool {
        self.json.is_some() && self.calls.is_empty()
    }

    /// What only Anthropic tells.
    pub(crate) fn fields(&mut self) -> Map<String, Value> {
        let all = |values: &mut Vec<Value>| Some(Value::Array(std::mem::take(values))).filter(|all| *all != json!([]));
        let blocks = if self.more { all(&mut self.blocks) } else { None };
        present([("citations", all(&mut self.citations)), ("content_blocks", blocks)])
    }
}

/// OpenAI's form of the citations that have a URL. The text from `start` to `end` rests on them.
fn annotations(citations: &[Value], start: u64, end: u64) -> Vec<Value> {
    let url = |citation: &Value| {
        let url = citation.get("url").or_else(|| citation.get("source"))?.as_str()?;
        url.starts_with("http").then(|| url.to_owned())
    };
    let annotation = |citation: &Value| {
        let title = citation.get("title").and_then(Value::as_str).unwrap_or_default();
        let url_citation = json!({"start_index": start, "end_index": end, "url": url(citation)?, "title": title});
        Some(json!({"type": "url_citation", "url_citation": url_citation}))
    };
    citations.iter().filter_map(annotation).collect()
}

/// LiteLLM's form: the citation with the text that rests on it.
fn supported(citation: &Value, text: &str) -> Value {
    let mut citation = citation.clone();
    if let Value::Object(fields) = &mut citation {
        fields.insert("supported_text".to_owned(), json!(text));
    }
    citation
}
