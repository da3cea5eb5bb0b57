//! A conversation in Anthropic's form: `system` apart, turns of user and assistant, each a list of blocks.
//! <https://platform.claude.com/docs/en/api/messages/create>

use ai_api_plugin_sdk::canonical::{CalledTool, Message, Part, PartKind, Role};
use ai_api_plugin_sdk::json::{Fields, Json, Object, Path, missing};
use ai_api_plugin_sdk::{Failure, failure, object};

use super::{Context, content};

/// What LiteLLM puts before instructions that come after the first turn, for models that take none there.
const OPERATOR_NOTE: &str = "Operator note (not from the user): the following was originally a mid-conversation \
                             system-role reminder.";

/// Anthropic refuses a user's turn without text.
const EMPTY: &str = "(empty message)";

/// The conversation, translated.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Object<'a>>,
    pub(super) messages: Vec<Object<'a>>,
    /// It has calls or results, so that Anthropic wants `tools`.
    pub(super) has_tool_blocks: bool,
    /// It ends in an answer, or in results of its calls, that no reasoning stands before.
    pub(super) ends_unsigned: bool,
}

/// Turns, as they grow.
#[derive(Debug, Default)]
struct Turns<'a>(Vec<Turn<'a>>);

#[derive(Debug)]
struct Turn<'a> {
    role: &'static str,
    blocks: Vec<Object<'a>>,
}

/// Translates `messages`.
///
/// # Errors
/// A message has something that Anthropic can't be given, or there are only instructions.
pub(super) fn translate<'a>(messages: Vec<Message<'a>>, cx: &mut Context) -> Result<Conversation<'a>, Failure> {
    let at = Path::Root;
    let at = at.key("messages");
    let mut conversation = Conversation::default();
    let mut turns = Turns::default();
    let mut begun = false;
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    for (index, mut message) in messages.into_iter().enumerate() {
        let at = at.index(index);
        if message.name.is_some() && message.role != Role::Tool {
            cx.warnings.dropped(at.key("name"));
        }
        let instructs = matches!(message.role, Role::System | Role::Developer);
        begun |= !instructs;
        match message.role {
            Role::System | Role::Developer => {
                let texts = system_blocks(&mut message, &at, cx)?;
                let next = roles.iter().skip(index + 1).find(|role| !matches!(role, Role::System | Role::Developer));
                if !begun {
                    conversation.system.extend(texts);
                } else if !texts.is_empty() {
                    turns.push_instruction(texts, matches!(next, None | Some(Role::Assistant)), &at, cx);
                }
            }
            Role::User => {
                let blocks = user_blocks(&mut message, &at, cx)?;
                turns.push("user", blocks);
            }
            Role::Assistant => {
                let blocks = assistant_blocks(&mut message, &at, cx)?;
                turns.push("assistant", blocks);
            }
            Role::Tool => {
                let block = tool_result(&mut message, &at, cx)?;
                turns.push_result(block);
            }
            Role::Function => {
                let message = "Anthropic has no functions of the 2023 API; use 'tools' and role 'tool'.";
                return Err(failure::unsupported(at.key("role"), message));
            }
        }
        cx.warnings.dropped_fields(&message.rest, &at);
    }
    if turns.0.is_empty() {
        let message = "Anthropic needs at least one message that is not a system message.";
        return Err(failure::invalid("messages", message));
    }
    turns.strip_prefill();
    conversation.has_tool_blocks = turns.has_tool_blocks();
    conversation.ends_unsigned = turns.ends_unsigned();
    conversation.messages =
        turns.0.into_iter().map(|turn| object! {"role": turn.role, "content": turn.blocks}).collect();
    Ok(conversation)
}

fn system_blocks<'a>(message: &mut Message<'a>, at: &Path<'_>, cx: &mut Context) -> Result<Vec<Object<'a>>, Failure> {
    let mut blocks = Vec::new();
    let content_at = at.key("content");
    for (index, part) in std::mem::take(&mut message.content).into_iter().enumerate() {
        let at = content_at.index(index);
        if !matches!(part.kind, PartKind::Text(_)) {
            return Err(failure::unsupported(at, "Anthropic takes nothing but text in system messages."));
        }
        blocks.extend(content::block(part, &at, cx)?);
    }
    cache(&mut blocks, message.cache_control.take(), at, cx);
    Ok(blocks)
}

fn user_blocks<'a>(message: &mut Message<'a>, at: &Path<'_>, cx: &mut Context) -> Result<Vec<Object<'a>>, Failure> {
    let mut blocks = content_blocks(std::mem::take(&mut message.content), at, cx)?;
    if blocks.is_empty() {
        cx.warnings.approximated(at.key("content"));
        blocks.push(object! {"type": "text", "text": EMPTY});
    }
    cache(&mut blocks, message.cache_control.take(), at, cx);
    Ok(blocks)
}

fn content_blocks<'a>(parts: Vec<Part<'a>>, at: &Path<'_>, cx: &mut Context) -> Result<Vec<Object<'a>>, Failure> {
    let content_at = at.key("content");
    let mut blocks = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        blocks.extend(content::block(part, &content_at.index(index), cx)?);
    }
    Ok(blocks)
}

/// A message's own `cache_control` stands on its last block that isn't reasoning.
fn cache<'a>(blocks: &mut [Object<'a>], cache_control: Option<Json<'a>>, at: &Path<'_>, cx: &mut Context) {
    let Some(cache_control) = cache_control else { return };
    match blocks.iter_mut().rfind(|block| !is_thinking(block)) {
        Some(block) => block.insert("cache_control", cache_control),
        None => cx.warnings.dropped(at.key("cache_control")),
    }
}

/// Reasoning first, then text, then calls: Anthropic's own order.
fn assistant_blocks<'a>(
    message: &mut Message<'a>,
    at: &Path<'_>,
    cx: &mut Context,
) -> Result<Vec<Object<'a>>, Failure> {
    if message.rest.take("function_call").is_some() {
        let message = "Anthropic has no functions of the 2023 API; use 'tool_calls'.";
        return Err(failure::unsupported(at.key("function_call"), message));
    }
    // They point at places in an answer that was read long ago; no request has them.
    let _ = message.rest.take("annotations");
    let mut own = message.provider_specific_fields.take().unwrap_or_default();
    if let Some(Json::Array(blocks)) = own.take("content_blocks")
        && !blocks.is_empty()
    {
        // The answer as Anthropic gave it, with what its own tools did: nothing else has all of it in order.
        if let Some(blocks) = own_blocks(blocks, message, at, cx) {
            return Ok(blocks);
        }
        let own_at = at.key("provider_specific_fields");
        cx.warnings.dropped(own_at.key("content_blocks"));
    }
    let mut thinking = std::mem::take(&mut message.thinking_blocks);
    let fallback = own.take("thinking_blocks");
    if let (true, Some(Json::Array(blocks))) = (thinking.is_empty(), fallback) {
        thinking = blocks;
    }
    let mut blocks = thinking_blocks(thinking, at, cx);
    if message.reasoning_content.take().is_some_and(|text| !text.is_empty()) && blocks.is_empty() {
        // Without its signature, reasoning is refused.
        cx.warnings.dropped(at.key("reasoning_content"));
    }
    blocks.extend(content_blocks(std::mem::take(&mut message.content), at, cx)?);
    if let Some(refusal) = message.refusal.take().filter(|text| !text.is_blank()) {
        cx.warnings.approximated(at.key("refusal"));
        blocks.push(object! {"type": "text", "text": refusal});
    }
    let calls_at = at.key("tool_calls");
    for (index, call) in std::mem::take(&mut message.tool_calls).into_iter().enumerate() {
        blocks.push(tool_use(call, &calls_at.index(index), cx));
    }
    cache(&mut blocks, message.cache_control.take(), at, cx);
    if blocks.is_empty() {
        // Anthropic refuses a turn without content, and the model said nothing in this one.
        cx.warnings.dropped(at);
    }
    Ok(blocks)
}

/// `blocks` as they are sent back; none if they no longer say what the message says, which counts.
fn own_blocks<'a>(
    blocks: Vec<Json<'a>>,
    message: &mut Message<'a>,
    at: &Path<'_>,
    cx: &mut Context,
) -> Option<Vec<Object<'a>>> {
    let mut blocks = objects(blocks)?;
    let of_kind = |word: &'static str| blocks.iter().filter(move |block| kind(block) == word);
    let text: String = of_kind("text").map(|block| string(block, "text")).collect();
    let calls = of_kind("tool_use").map(|block| string(block, "id"));
    let is_text = message.content.iter().all(|part| matches!(part.kind, PartKind::Text(_)));
    if !is_text || text != message.text() || !calls.eq(message.tool_calls.iter().map(|call| call.id.as_str())) {
        return None;
    }
    // Anthropic gives such text but refuses it.
    blocks.retain(|block| kind(block) != "text" || !string(block, "text").trim().is_empty());
    let uses = blocks.iter_mut().filter(|block| kind(block) == "tool_use");
    for (block, call) in uses.zip(std::mem::take(&mut message.tool_calls)) {
        block.insert("id", cx.ids.to_wire(call.id));
        block.insert("name", cx.names.to_wire(call.name));
        if let Some(cache_control) = call.cache_control {
            block.insert("cache_control", cache_control);
        }
    }
    let parts = std::mem::take(&mut message.content);
    let of_parts = parts.into_iter().filter_map(|part| part.cache_control).next_back();
    cache(&mut blocks, message.cache_control.take().or(of_parts), at, cx);
    Some(blocks)
}

/// Earlier reasoning, verbatim, with its signature. LiteLLM streams a block in pieces of the same `index`.
fn thinking_blocks<'a>(blocks: Vec<Json<'a>>, at: &Path<'_>, cx: &mut Context) -> Vec<Object<'a>> {
    let at = at.key("thinking_blocks");
    let mut whole: Vec<(usize, Object<'a>)> = Vec::with_capacity(blocks.len());
    for (place, block) in blocks.into_iter().enumerate() {
        let Json::Object(block) = block else {
            cx.warnings.dropped(at.index(place));
            continue;
        };
        match whole.last_mut() {
            Some((_, last))
                if last.contains_key("index")
                    && last.get("index") == block.get("index")
                    && string(last, "signature").is_empty() =>
            {
                let joined = string(last, "thinking").to_owned() + string(&block, "thinking");
                last.extend(block);
                last.insert("thinking", joined);
            }
            _ => whole.push((place, block)),
        }
    }
    whole.into_iter().filter_map(|(place, block)| thinking_block(block, &at.index(place), cx)).collect()
}

fn thinking_block<'a>(block: Object<'a>, at: &Path<'_>, cx: &mut Context) -> Option<Object<'a>> {
    let keys: &[&'static str] = match kind(&block) {
        "thinking" if !string(&block, "signature").is_empty() => &["type", "thinking", "signature"],
        "redacted_thinking" => &["type", "data"],
        _ => {
            cx.warnings.dropped(at);
            return None;
        }
    };
    let mut fields = Fields::from(block);
    let known = keys.iter().filter_map(|key| Some((*key, fields.take(key)?))).collect();
    let _ = fields.take("index");
    cx.warnings.dropped_fields(&fields, at);
    Some(known)
}

fn tool_use<'a>(call: CalledTool<'a>, at: &Path<'_>, cx: &mut Context) -> Object<'a> {
    let input = match Json::parse(call.arguments.as_bytes()) {
        Ok(input @ Json::Object(_)) => Some(input.rendered()),
        _ if call.arguments.is_blank() => Some(Object::new().into()),
        Ok(Json::Null) => Some(Object::new().into()),
        _ => None,
    };
    let input = input.unwrap_or_else(|| {
        // A model wrote it, and Anthropic takes objects only: the conversation must be able to go on.
        cx.warnings.approximated(at.key("function").key("arguments"));
        object! {"arguments": call.arguments}.into()
    });
    let (id, name) = (cx.ids.to_wire(call.id), cx.names.to_wire(call.name));
    let mut block = object! {"type": "tool_use", "id": id, "name": name, "input": input};
    if let Some(cache_control) = call.cache_control {
        block.insert("cache_control", cache_control);
    }
    cx.warnings.dropped_fields(&call.rest, at);
    block
}

fn tool_result<'a>(message: &mut Message<'a>, at: &Path<'_>, cx: &mut Context) -> Result<Object<'a>, Failure> {
    let Some(id) = message.tool_call_id.take() else { return Err(missing(&at.key("tool_call_id"))) };
    let mut block = object! {"type": "tool_result", "tool_use_id": cx.ids.to_wire(id)};
    let mut cache_control = message.cache_control.take();
    for part in &mut message.content {
        cache_control = part.cache_control.take().or(cache_control);
    }
    let mut blocks = content_blocks(std::mem::take(&mut message.content), at, cx)?;
    match blocks.as_mut_slice() {
        [] => {}
        [only] if only.contains_key("text") => block.insert("content", only.remove("text")),
        _ => block.insert("content", blocks),
    }
    if let Some(is_error) = message.rest.take("is_error") {
        block.insert("is_error", is_error);
    }
    if let Some(cache_control) = cache_control {
        block.insert("cache_control", cache_control);
    }
    Ok(block)
}

/// All of them, if all are objects.
fn objects(values: Vec<Json<'_>>) -> Option<Vec<Object<'_>>> {
    values.into_iter().map(Json::into_object).collect()
}

fn string<'b>(block: &'b Object<'_>, key: &str) -> &'b str {
    block.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn kind<'b>(block: &'b Object<'_>) -> &'b str {
    string(block, "type")
}

fn is_thinking(block: &Object<'_>) -> bool {
    matches!(kind(block), "thinking" | "redacted_thinking")
}

impl<'a> Turns<'a> {
    /// Adds to the last turn if it is of this role, for Anthropic wants roles to take turns.
    fn push(&mut self, role: &'static str, blocks: Vec<Object<'a>>) {
        if blocks.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.extend(blocks),
            _ => self.0.push(Turn { role, blocks }),
        }
    }

    /// Results come first in their turn, or Anthropic misses them.
    fn push_result(&mut self, block: Object<'a>) {
        match self.0.last_mut() {
            Some(turn) if turn.role == "user" => {
                let place = turn.blocks.iter().take_while(|block| kind(block) == "tool_result").count();
                turn.blocks.insert(place, block);
            }
            _ => self.push("user", vec![block]),
        }
    }

    /// Instructions after the first turn. Models that take them want them between a user's turn and the
    /// assistant's: <https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages>.
    fn push_instruction(&mut self, texts: Vec<Object<'a>>, answered_next: bool, at: &Path<'_>, cx: &mut Context) {
        let after_user = self.0.last().is_some_and(|turn| matches!(turn.role, "user" | "system"));
        if cx.model.mid_system() && after_user && answered_next {
            self.push("system", texts);
            return;
        }
        cx.warnings.approximated(at.key("role"));
        let mut blocks = vec![object! {"type": "text", "text": OPERATOR_NOTE}];
        blocks.extend(texts);
        self.push("user", blocks);
    }

    /// Anthropic refuses white space at the end of an answer that it is to continue.
    fn strip_prefill(&mut self) {
        let Some(turn) = self.0.last_mut().filter(|turn| turn.role == "assistant") else { return };
        if let Some(Json::String(text)) = turn.blocks.last_mut().and_then(|block| block.get_mut("text"))
            && text.trim_end() != text.as_str()
        {
            *text = text.trim_end().to_owned().into();
        }
    }

    fn has_tool_blocks(&self) -> bool {
        self.0.iter().flat_map(|turn| &turn.blocks).any(|block| matches!(kind(block), "tool_use" | "tool_result"))
    }

    fn ends_unsigned(&self) -> bool {
        let mut last = self.0.iter().rev().filter(|turn| turn.role != "system");
        let is_unsigned = |turn: &Turn<'_>| !turn.blocks.first().is_some_and(is_thinking);
        let has_results = |turn: &Turn<'_>| turn.blocks.iter().any(|block| kind(block) == "tool_result");
        match last.next() {
            // To be continued.
            Some(turn) if turn.role == "assistant" => is_unsigned(turn),
            Some(turn) if has_results(turn) => last.next().is_some_and(is_unsigned),
            _ => false,
        }
    }
}
