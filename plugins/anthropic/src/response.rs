//! A whole answer, and what it shares with a streamed one.

use ai_api_plugin_sdk::canonical::{AssistantMessage, ChatCompletion, FinishReason, ToolCall};
use ai_api_plugin_sdk::json::{Json, Object, Text};
use ai_api_plugin_sdk::{Call, Completion, Failure, failure, object};
use serde::Deserialize;

use crate::error::{self, ErrorBody};
use crate::request::Memory;
use crate::usage::WireUsage;
use crate::wire;

/// `{"type": "message", …}`
#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Json<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Json<'a>>,
    #[serde(borrow, default)]
    stop_details: Option<Json<'a>>,
    #[serde(borrow, default)]
    usage: Option<WireUsage<'a>>,
    #[serde(borrow, default)]
    container: Option<Json<'a>>,
    #[serde(borrow, default)]
    context_management: Option<Json<'a>>,
}

impl<'a> Message<'a> {
    /// The message in `object`; none if it isn't as documented.
    fn quick(mut object: Object<'a>) -> Option<Self> {
        let Some(Json::Array(content)) = object.remove("content") else { return None };
        let mut message = Self {
            content,
            stop_reason: None,
            stop_sequence: None,
            stop_details: None,
            usage: None,
            container: None,
            context_management: None,
        };
        for (key, value) in object {
            match key.as_str() {
                "stop_reason" => message.stop_reason = wire::text(value)?,
                "stop_sequence" => message.stop_sequence = wire::some(value),
                "stop_details" => message.stop_details = wire::some(value),
                "usage" => message.usage = wire::object(value, WireUsage::quick)?,
                "container" => message.container = wire::some(value),
                "context_management" => message.context_management = wire::some(value),
                _ => {}
            }
        }
        Some(message)
    }
}

/// Why the model stopped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop<'a> {
    pub(crate) reason: Option<Text<'a>>,
    pub(crate) sequence: Option<Json<'a>>,
    pub(crate) details: Option<Json<'a>>,
}

impl<'a> Stop<'a> {
    /// OpenAI's word. `answered_in_tool`: the call that stopped the model was the answer itself.
    pub(crate) fn finish_reason(&self, answered_in_tool: bool) -> FinishReason {
        match self.reason.as_deref() {
            Some("tool_use") if answered_in_tool => FinishReason::Stop,
            Some("tool_use") => FinishReason::ToolCalls,
            Some("max_tokens" | "pause_turn" | "compaction" | "model_context_window_exceeded") => FinishReason::Length,
            Some("refusal") => FinishReason::ContentFilter,
            _ => FinishReason::Stop,
        }
    }

    /// Anthropic's own word where OpenAI's says less, and what belongs to it.
    pub(crate) fn fields(self) -> Object<'a> {
        let plain = matches!(self.reason.as_deref(), None | Some("end_turn" | "max_tokens" | "tool_use"));
        let reason = self.reason.filter(|_| !plain).map(Json::String);
        present([("stop_reason", reason), ("stop_sequence", self.sequence), ("stop_details", self.details)])
    }
}

/// The fields that are there.
pub(crate) fn present<'a, const N: usize>(fields: [(&'static str, Option<Json<'a>>); N]) -> Object<'a> {
    fields.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_null())?))).collect()
}

/// Reads the body of a good answer.
///
/// # Errors
/// The body says that the call failed, or isn't an answer.
pub(crate) fn translate(call: &Call, memory: &Memory, body: &[u8]) -> Result<Completion, Failure> {
    let object = Json::parse(body).ok().and_then(Json::into_object);
    let message = match wire::read(body, object, Message::quick) {
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
    let Message { stop_reason: reason, stop_sequence: sequence, stop_details: details, .. } = message;
    let stop = Stop { reason, sequence, details };
    let finish_reason = stop.finish_reason(answer.is_in_tool());
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
        choice.provider_specific_fields = stop.fields();
    }
    Ok(completion.into_completion(usage.map(WireUsage::total)))
}

/// What the blocks say.
#[derive(Default)]
pub(crate) struct Answer<'a> {
    text: Option<Text<'a>>,
    /// In characters. Counted since the first citation, for nothing else needs it.
    text_length: Option<u64>,
    reasoning: Option<Text<'a>>,
    pub(crate) thinking_blocks: Vec<Json<'a>>,
    pub(crate) calls: Vec<ToolCall<'a>>,
    /// The input of the tool that is the answer.
    json: Option<Text<'a>>,
    pub(crate) annotations: Vec<Json<'a>>,
    citations: Vec<Json<'a>>,
    /// All blocks, as they can be sent back.
    blocks: Vec<Json<'a>>,
    /// A canonical answer has no place for some of them, or doesn't say where they stood.
    more: bool,
}

impl<'a> Answer<'a> {
    pub(crate) fn add(&mut self, block: Json<'a>, memory: &Memory) {
        let text = |key: &str| match block.get(key) {
            Some(Json::String(text)) => text.clone(),
            _ => Text::default(),
        };
        match block.get("type").and_then(Json::as_str).unwrap_or_default() {
            // Talk beside the answer in a tool is not the answer.
            "text" if self.json.is_some() => return,
            "text" => {
                let citations = block.get("citations").and_then(Json::as_array).filter(|all| !all.is_empty());
                self.add_text(text("text"), citations);
            }
            "thinking" => {
                self.more |= self.has_spoken();
                append(&mut self.reasoning, text("thinking"));
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
                    None | Some(Json::Null) => "{}".to_owned(),
                    Some(input) => input.to_string(),
                };
                let name = text("name");
                if memory.answers_in(&name) {
                    self.answer_in_tool(input.into());
                    return;
                }
                self.calls.push(ToolCall::new(text("id"), memory.names.to_client(name), input));
            }
            _ => self.more = true,
        }
        self.blocks.push(block);
    }

    fn add_text(&mut self, text: Text<'a>, citations: Option<&Vec<Json<'a>>>) {
        let length = |text: &str| text.chars().count() as u64;
        let start = match (self.text_length, citations) {
            (None, Some(_)) => Some(self.text.as_deref().map_or(0, length)),
            (start, _) => start,
        };
        if let Some(start) = start {
            let end = start + length(&text);
            self.text_length = Some(end);
            if let Some(citations) = citations {
                self.annotations.extend(annotations(citations, start, end));
                let all = citations.iter().map(|citation| supported(citation, &text)).collect();
                self.citations.push(Json::Array(all));
            }
        }
        append(&mut self.text, text);
    }

    /// Whether reasoning that comes now isn't the answer's beginning.
    fn has_spoken(&self) -> bool {
        self.text.is_some() || !self.calls.is_empty()
    }

    /// The input of the tool that is the answer, which stands in place of all talk.
    pub(crate) fn answer_in_tool(&mut self, input: Text<'a>) {
        // One answer is enough, and a stream can't take the first one back.
        if self.json.is_none() {
            self.annotations.clear();
            self.blocks.retain(|block| block.get("type").is_none_or(|kind| *kind != "text"));
            self.blocks.push(object! {"type": "text", "text": input.clone()}.into());
            self.json = Some(input);
        }
    }

    /// Whether the call that stopped the model was the answer itself.
    pub(crate) fn is_in_tool(&self) -> bool {
        self.json.is_some() && self.calls.is_empty()
    }

    /// What only Anthropic tells.
    pub(crate) fn fields(&mut self) -> Object<'a> {
        let all = |values: &mut Vec<Json<'a>>| (!values.is_empty()).then(|| Json::Array(std::mem::take(values)));
        let blocks = if self.more { all(&mut self.blocks) } else { None };
        present([("citations", all(&mut self.citations)), ("content_blocks", blocks)])
    }
}

/// The first piece is taken as it is; mostly there is no other.
fn append<'a>(text: &mut Option<Text<'a>>, more: Text<'a>) {
    match text {
        None => *text = Some(more),
        Some(text) => text.push_str(&more),
    }
}

/// OpenAI's form of the citations that have a URL. The text from `start` to `end` rests on them.
fn annotations<'a>(citations: &[Json<'a>], start: u64, end: u64) -> Vec<Json<'a>> {
    let url = |citation: &Json<'a>| match citation.get("url").or_else(|| citation.get("source"))? {
        Json::String(url) if url.starts_with("http") => Some(url.clone()),
        _ => None,
    };
    let annotation = |citation: &Json<'a>| {
        let title = match citation.get("title") {
            Some(Json::String(title)) => title.clone(),
            _ => Text::default(),
        };
        let cited = object! {"start_index": start, "end_index": end, "url": url(citation)?, "title": title};
        Some(object! {"type": "url_citation", "url_citation": cited}.into())
    };
    citations.iter().filter_map(annotation).collect()
}

/// LiteLLM's form: the citation with the text that rests on it.
fn supported<'a>(citation: &Json<'a>, text: &Text<'a>) -> Json<'a> {
    let mut citation = citation.clone();
    if let Json::Object(fields) = &mut citation {
        fields.insert("supported_text", text.clone());
    }
    citation
}
