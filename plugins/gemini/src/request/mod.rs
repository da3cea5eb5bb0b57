//! A chat request, as the body of `generateContent`: <https://ai.google.dev/api/generate-content#request-body>.
//!
//! Google refuses a body with a field that it doesn't know, so a parameter is carried over, or named in a warning
//! and left out; none is passed on unseen.

mod contents;
mod format;
mod generation;
mod media;
mod tools;

use ai_api_plugin_sdk::canonical::{ChatRequest, Role, Tool, ToolChoice};
use ai_api_plugin_sdk::json::{Fields, Json, Object, Path, Warnings, WriteJson};
use ai_api_plugin_sdk::names::{Names, Rule};
use ai_api_plugin_sdk::{Failure, object};

use crate::answer::Asked;
use crate::model::Model;

/// Names of functions: <https://ai.google.dev/api/caching#FunctionDeclaration>.
const NAMES: Rule = Rule {
    may_begin: |c| c.is_ascii_alphabetic() || c == '_',
    may_follow: |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'),
    max_length: 64,
};

/// A translated request.
#[derive(Debug)]
pub(crate) struct Translated {
    /// For Google, in JSON.
    pub(crate) body: Vec<u8>,
    /// For the client.
    pub(crate) warnings: Warnings,
}

/// Translates a chat request; what its answer has to know of it comes beside it.
///
/// # Errors
/// Something in it can't be said to Gemini, and leaving it out would change what it means.
pub(crate) fn translate(mut chat: ChatRequest<'_>, model: &Model) -> Result<(Translated, Asked), Failure> {
    let mut warnings = std::mem::take(&mut chat.lost);
    let mut names = names(&chat);
    let contents::Conversation { system, contents, media_resolution } =
        contents::translate(std::mem::take(&mut chat.messages), &names, model, &mut warnings)?;
    let mut offer = tools::Offer::of(&mut chat, &names, model, &mut warnings)?;
    let mut config = generation::config(&mut chat, model, &mut warnings)?;
    let form = chat.response_format.take();
    let json_tool = format::translate(form, &mut offer, &mut names, &mut config, model, &mut warnings)?;
    if let Some(resolution) = media_resolution {
        config.insert_default("mediaResolution", resolution);
    }

    let mut body = object! {"contents": contents};
    if !system.is_empty() {
        body.insert("systemInstruction", object! {"parts": system});
    }
    offer.write(&mut body);
    if let Some(tier) = service_tier(&mut chat.rest, &mut warnings)? {
        body.insert("serviceTier", tier);
    }
    pass_own_fields(&mut chat.rest, &mut body, &mut config);
    if !config.is_empty() {
        body.insert("generationConfig", config);
    }
    refuse_or_drop(&mut chat.rest, &mut warnings);
    Ok((Translated { body: body.to_json(), warnings }, Asked { names, json_tool }))
}

/// All functions that the request speaks of.
fn names(chat: &ChatRequest<'_>) -> Names {
    let mut names: Vec<&str> = Vec::new();
    for message in &chat.messages {
        names.extend(message.tool_calls.iter().map(|call| call.name.as_str()));
        let called = message.rest.peek("function_call").and_then(|call| call.get("name"));
        names.extend(called.and_then(Json::as_str));
        names.extend(message.name.as_deref().filter(|_| matches!(message.role, Role::Tool | Role::Function)));
    }
    names.extend(chat.tools.iter().filter_map(|tool| match tool {
        Tool::Function(function) => Some(function.name.as_str()),
        Tool::Other(_) => None,
    }));
    if let Some(ToolChoice::Function(name)) = &chat.tool_choice {
        names.push(name);
    }
    // A form of the answer may become one more function.
    if chat.response_format.is_some() {
        Names::new(NAMES, names.into_iter())
    } else {
        Names::of(NAMES, names.into_iter())
    }
}

/// Google's word for OpenAI's tier. `auto` and `default` ask for nothing in particular. (LiteLLM takes `auto` for
/// the dearer `priority`.)
fn service_tier(rest: &mut Fields<'_>, warnings: &mut Warnings) -> Result<Option<&'static str>, Failure> {
    let tier = rest.string("service_tier", &Path::Root)?;
    Ok(match tier.as_deref() {
        None | Some("auto" | "default") => None,
        Some("standard") => Some("standard"),
        Some("flex") => Some("flex"),
        Some("priority") => Some("priority"),
        Some(_) => {
            warnings.unsupported("service_tier");
            None
        }
    })
}

/// Google's own fields, which a client may write beside OpenAI's, go to where Google wants them. They win over what
/// was translated. Both spellings of a name are Google's own.
fn pass_own_fields<'a>(rest: &mut Fields<'a>, body: &mut Object<'a>, config: &mut Object<'a>) {
    for (name, alias) in [("safetySettings", "safety_settings"), ("cachedContent", "cached_content")] {
        if let Some(value) = rest.take(name).or_else(|| rest.take(alias)) {
            body.insert(name, value);
        }
    }
    for (name, alias) in [
        ("thinkingConfig", "thinking_config"),
        ("mediaResolution", "media_resolution"),
        ("speechConfig", "speech_config"),
        ("imageConfig", "image_config"),
        ("responseModalities", "response_modalities"),
        ("responseMimeType", "response_mime_type"),
        ("responseSchema", "response_schema"),
        ("responseJsonSchema", "response_json_schema"),
    ] {
        if let Some(value) = rest.take(name).or_else(|| rest.take(alias)) {
            config.insert(name, value);
        }
    }
    for (name, alias, target) in
        [("toolConfig", "tool_config", None), ("generationConfig", "generation_config", Some(config))]
    {
        let Some(value) = rest.take(name).or_else(|| rest.take(alias)) else { continue };
        match (value, target) {
            (Json::Object(fields), Some(config)) => config.extend(fields),
            (Json::Object(fields), None) => match body.get_mut(name) {
                Some(Json::Object(own)) => own.extend(fields),
                _ => body.insert(name, fields),
            },
            // Not an object: Google says what is wrong with it.
            (other, _) => body.insert(name, other),
        }
    }
}

/// What is left: parameters that ask for something Gemini can't do are refused, unless they ask for what happens
/// anyway; everything else is left out.
fn refuse_or_drop(rest: &mut Fields<'_>, warnings: &mut Warnings) {
    for name in ["logit_bias", "store", "prediction", "functions", "function_call", "verbosity", "best_of"] {
        let Some(value) = rest.take(name) else { continue };
        let harmless = match name {
            "logit_bias" => value.as_object().is_some_and(Object::is_empty),
            "store" => value.as_bool() == Some(false),
            "functions" => value.as_array().is_some_and(Vec::is_empty),
            "function_call" => value == "none" || value == "auto",
            "verbosity" => value == "medium",
            "best_of" => value.as_u64() == Some(1),
            _ => false,
        };
        if !harmless {
            warnings.unsupported(name);
        }
    }
    warnings.dropped_fields(rest, &Path::Root);
}
