//! A canonical chat request becomes `POST /v1/messages`.
//!
//! Rules that aren't Anthropic's own are LiteLLM's (`llms/anthropic/chat/transformation.py`), so that clients
//! find what they know.

mod content;
mod format;
mod messages;
mod sampling;
mod thinking;
mod tools;

use std::collections::BTreeSet;

use ai_api_plugin_sdk::canonical::{ChatRequest, Message, Tool, ToolChoice};
use ai_api_plugin_sdk::json::{Fields, Json, Object, Path, Warnings, WriteJson, wrong_type};
use ai_api_plugin_sdk::names::Names;
use ai_api_plugin_sdk::{Call, Failure, Header, HttpRequest, Warning, failure, object};

use crate::model::Model;
use crate::names::{RULE, ToolNames};

/// What is remembered until the answer comes.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Which tools are called something else on the wire.
    pub(crate) names: ToolNames,
    /// The tool whose input is the answer, in the form that the client asked for. It isn't the client's.
    pub(crate) json_tool: Option<String>,
    /// The client wants the usage chunk.
    pub(crate) include_usage: bool,
}

impl Memory {
    /// Whether a call of the wire's `name` is the answer itself.
    pub(crate) fn answers_in(&self, name: &str) -> bool {
        self.json_tool.as_deref() == Some(name)
    }
}

/// What all parts of the translation share.
struct Context {
    model: Model,
    /// Tools, as they are called on the wire.
    names: ToolNames,
    /// Ids of calls, likewise.
    ids: Names,
    warnings: Warnings,
    /// Values of the header `anthropic-beta`.
    betas: BTreeSet<String>,
}

impl Context {
    fn beta(&mut self, name: &str) {
        self.betas.insert(name.to_owned());
    }
}

/// Translates the request of `call`.
///
/// # Errors
/// The request is wrong, or asks for what Anthropic can't do and what can't be left out.
pub(crate) fn translate(call: &Call) -> Result<(HttpRequest, Vec<Warning>, Memory), Failure> {
    let request = ChatRequest::parse(&call.body)?;
    let mut cx = Context {
        model: Model::of(&call.model),
        names: ToolNames::new(tool_names(&request), &moved_names(&request)),
        ids: Names::of(RULE, call_ids(&request.messages)),
        warnings: request.lost,
        betas: BTreeSet::new(),
    };
    let ChatRequest { messages, tools, tool_choice, parallel_tool_calls, response_format, .. } = request;
    let mut rest = request.rest;
    sampling::refuse(&mut rest, &mut cx);
    let mut conversation = messages::translate(messages, &mut cx)?;

    let mut body = object! {"model": call.model.as_str()};
    let mut tools = tools::translate(tools, rest.take("web_search_options"), &mut cx)?;
    tools.choose(tool_choice, parallel_tool_calls, conversation.has_tool_blocks, &mut cx)?;
    let mut output_config = rest.object("output_config", &Path::Root)?.unwrap_or_default().into_object();
    let wanted = thinking::Wanted {
        effort: request.reasoning_effort,
        thinking: rest.take("thinking"),
        unsigned: conversation.ends_unsigned,
        forced_call: tools.is_forced(),
    };
    let mut thinking = thinking::translate(wanted, &mut output_config, &mut cx)?;
    let json_tool =
        format::translate(response_format, &mut tools, &mut output_config, &mut conversation, &mut thinking, &mut cx)?;

    let limit =
        call.params.iter().find(|(key, _)| key == "max_output_tokens").and_then(|(_, value)| value.parse().ok());
    body.insert("max_tokens", thinking.max_tokens(request.max_tokens, limit, &mut cx.warnings));
    if !conversation.system.is_empty() {
        body.insert("system", conversation.system);
    }
    body.insert("messages", conversation.messages);
    tools.write(&mut body);
    if let Some(field) = thinking.field {
        body.insert("thinking", field);
    }
    if !output_config.is_empty() {
        body.insert("output_config", output_config);
    }
    sampling::Sampling { temperature: request.temperature, top_p: request.top_p, stop: request.stop }.write(
        &mut rest,
        thinking.active,
        &mut body,
        &mut cx,
    )?;
    write_metadata(&mut rest, &mut body, &mut cx)?;
    write_rest(rest, &mut body, &mut cx)?;
    if call.streaming {
        body.insert("stream", true);
    }

    // It is about as long as it was; what Anthropic wants beside that is short.
    let mut written = Vec::with_capacity(call.body.len() + 512);
    body.write_json(&mut written);
    let http = HttpRequest {
        method: "POST".to_owned(),
        path: "v1/messages".to_owned(),
        query: Vec::new(),
        headers: headers(&cx.betas),
        body: written,
    };
    let memory = Memory { names: cx.names, json_tool, include_usage: request.include_usage };
    Ok((http, cx.warnings.into_vec(), memory))
}

fn headers(betas: &BTreeSet<String>) -> Vec<Header> {
    let header = |name: &str, value: String| Header { name: name.to_owned(), value };
    let mut headers = vec![
        header("content-type", "application/json".to_owned()),
        header("anthropic-version", "2023-06-01".to_owned()),
    ];
    if !betas.is_empty() {
        let betas: Vec<&str> = betas.iter().map(String::as_str).collect();
        headers.push(header("anthropic-beta", betas.join(",")));
    }
    headers
}

/// Every name of a tool that stands anywhere in the request.
fn tool_names<'r>(request: &'r ChatRequest<'_>) -> impl Iterator<Item = &'r str> + Clone {
    let called = request.messages.iter().flat_map(|message| &message.tool_calls).map(|call| call.name.as_str());
    let chosen = request.tool_choice.iter().filter_map(|choice| match choice {
        ToolChoice::Function(name) => Some(name.as_str()),
        _ => None,
    });
    functions(request).chain(called).chain(chosen).chain(fixed_names(request))
}

/// The client's functions that are called like a tool of Anthropic's own, which must keep its name.
fn moved_names<'r>(request: &'r ChatRequest<'_>) -> BTreeSet<&'r str> {
    let fixed: BTreeSet<&str> = fixed_names(request).collect();
    functions(request).filter(|name| fixed.contains(name)).collect()
}

fn functions<'r>(request: &'r ChatRequest<'_>) -> impl Iterator<Item = &'r str> + Clone {
    request.tools.iter().filter_map(|tool| match tool {
        Tool::Function(function) => Some(function.name.as_str()),
        Tool::Other(_) => None,
    })
}

/// Names of tools that aren't functions.
fn fixed_names<'r>(request: &'r ChatRequest<'_>) -> impl Iterator<Item = &'r str> + Clone {
    let hosted = request.tools.iter().filter_map(|tool| match tool {
        Tool::Function(_) => None,
        Tool::Other(fields) => fields.peek("name").and_then(Json::as_str),
    });
    hosted.chain(request.rest.peek("web_search_options").map(|_| tools::WEB_SEARCH))
}

/// Every id of a call in the history.
fn call_ids<'r>(messages: &'r [Message<'_>]) -> impl Iterator<Item = &'r str> + Clone {
    let calls = messages.iter().flat_map(|message| &message.tool_calls).map(|call| call.id.as_str());
    calls.chain(messages.iter().filter_map(|message| message.tool_call_id.as_deref()))
}

/// `metadata.user_id`: Anthropic's own field, else OpenAI's `safety_identifier` or its older name `user`.
///
/// Anthropic wants no names, mail addresses or phone numbers there, so that those are left out.
fn write_metadata<'a>(rest: &mut Fields<'a>, body: &mut Object<'a>, cx: &mut Context) -> Result<(), Failure> {
    let at = &Path::Root;
    let (user, safety) = (rest.string("user", at)?, rest.string("safety_identifier", at)?);
    let metadata_at = at.key("metadata");
    let mut user_id = None;
    if let Some(mut metadata) = rest.object("metadata", at)? {
        user_id = metadata.string("user_id", &metadata_at)?;
        cx.warnings.dropped_fields(&metadata, &metadata_at);
    }
    for (path, value) in [("safety_identifier", safety), ("user", user)] {
        let Some(value) = value else { continue };
        let same = user_id.as_deref() == Some(value.as_str());
        if user_id.is_none() && !looks_personal(&value) {
            user_id = Some(value);
        } else if !same {
            cx.warnings.dropped(path);
        }
    }
    if let Some(user_id) = user_id {
        body.insert("metadata", object! {"user_id": user_id});
    }
    Ok(())
}

/// A mail address or a phone number. LiteLLM's rule, so that both leave out the same.
fn looks_personal(user: &str) -> bool {
    let is_mail = user.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && domain.contains('.') && !user.chars().any(char::is_whitespace)
    });
    let digits = user.strip_prefix('+').unwrap_or(user);
    let is_phone = digits.len() >= 7 && digits.chars().all(|c| c.is_ascii_digit() || " \t()-".contains(c));
    is_mail || is_phone
}

/// What is neither OpenAI's nor known here goes into the body as it is: Anthropic's own parameters do, and those
/// that came after this was written.
fn write_rest<'a>(mut rest: Fields<'a>, body: &mut Object<'a>, cx: &mut Context) -> Result<(), Failure> {
    match rest.take("anthropic_beta") {
        None => {}
        Some(Json::String(names)) => names.split(',').for_each(|name| cx.beta(name.trim())),
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).for_each(|name| cx.beta(name)),
        Some(other) => return Err(wrong_type(&Path::Root.key("anthropic_beta"), "a string or an array", &other)),
    }
    if cx.betas.iter().any(|name| name.is_empty() || name.contains(|c: char| c.is_control())) {
        return Err(failure::invalid("anthropic_beta", "Invalid 'anthropic_beta': expected names of beta features."));
    }
    let mut rest = rest.into_object();
    rest.retain(|_, value| !value.is_null());
    for (key, value) in rest.iter() {
        match key.as_str() {
            "context_management" => {
                let compacts = value.to_string().contains("compact_20260112");
                cx.beta(if compacts { "compact-2026-01-12" } else { "context-management-2025-06-27" });
            }
            "mcp_servers" if !cx.betas.contains("mcp-client-2025-11-20") => cx.beta("mcp-client-2025-04-04"),
            "output_format" => cx.beta("structured-outputs-2025-11-13"),
            "speed" if *value == "fast" => cx.beta("fast-mode-2026-02-01"),
            "container" if value.get("skills").is_some() => {
                cx.beta("skills-2025-10-02");
                cx.beta("code-execution-2025-08-25");
            }
            _ => {}
        }
    }
    body.extend(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_names_a_person_is_recognised() {
        for (user, personal) in [
            ("a@b.co", true),
            ("+49 (30) 1234-567", true),
            ("1234567", true),
            ("user-42", false),
            ("123456", false),
            ("a@b", false),
            ("7f3c9b1e", false),
        ] {
            assert_eq!(looks_personal(user), personal, "{user}");
        }
    }
}
