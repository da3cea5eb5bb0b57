//! A chat request, as the body of `generateContent`: <https://ai.google.dev/api/generate-content#request-body>.
//!
//! Google refuses a body with a field that it doesn't know, so a parameter is carried over, or named in a warning
//! and left out; none is passed on unseen.

mod contents;
mod format;
mod generation;
mod media;
mod tools;

use ai_api_plugin_sdk::Failure;
use ai_api_plugin_sdk::legacy::canonical::{ChatRequest, Role, Tool, ToolChoice};
use ai_api_plugin_sdk::legacy::json::{Fields, Path, Warnings};
use ai_api_plugin_sdk::names::{Names, Rule};
use serde_json::{Map, Value, json};

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
    /// For Google.
    pub(crate) body: Map<String, Value>,
    /// For the client.
    pub(crate) warnings: Warnings,
}

/// Translates a chat request; what its answer has to know of it comes beside it.
///
/// # Errors
/// Something in it can't be said to Gemini, and leaving it out would change what it means.
pub(crate) fn translate(mut chat: ChatRequest, model: &Model) -> Result<(Translated, Asked), Failure> {
    let mut warnings = std::mem::take(&mut chat.lost);
    let mut names = names(&chat);
    let contents::Conversation { system, contents, media_resolution } =
        contents::translate(std::mem::take(&mut chat.messages), &names, model, &mut warnings)?;
    let mut offer = tools::Offer::of(&mut chat, &names, model, &mut warnings)?;
    let mut config = generation::config(&mut chat, model, &mut warnings)?;
    let form = chat.response_format.take();
    let json_tool = format::translate(form, &mut offer, &mut names, &mut config, model, &mut warnings)?;
    if let Some(resolution) = media_resolution {
        config.entry("mediaResolution").or_insert_with(|| json!(resolution));
    }

    let mut body = Map::new();
    body.insert("contents".to_owned(), Value::Array(contents));
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({"parts": system}));
    }
    offer.write(&mut body);
    if let Some(tier) = service_tier(&mut chat.rest, &mut warnings)? {
        body.insert("serviceTier".to_owned(), json!(tier));
    }
    pass_own_fields(&mut chat.rest, &mut body, &mut config);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    refuse_or_drop(&mut chat.rest, &mut warnings);
    Ok((Translated { body, warnings }, Asked { names, json_tool }))
}

/// All functions that the request speaks of.
fn names(chat: &ChatRequest) -> Names {
    let mut names: Vec<&str> = Vec::new();
    for message in &chat.messages {
        names.extend(message.tool_calls.iter().map(|call| call.name.as_str()));
        let called = message.rest.peek("function_call").and_then(|call| call.get("name"));
        names.extend(called.and_then(Value::as_str));
        names.extend(message.name.as_deref().filter(|_| matches!(message.role, Role::Tool | Role::Function)));
    }
    names.extend(chat.tools.iter().filter_map(|tool| match tool {
        Tool::Function(function) => Some(function.name.as_str()),
        Tool::Other(_) => None,
    }));
    if let Some(ToolChoice::Function(name)) = &chat.tool_choice {
        names.push(name);
    }
    Names::new(NAMES, names.into_iter())
}

/// Google's word for OpenAI's tier. `auto` and `default` ask for nothing in particular. (LiteLLM takes `auto` for
/// the dearer `priority`.)
fn service_tier(rest: &mut Fields, warnings: &mut Warnings) -> Result<Option<&'static str>, Failure> {
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
fn pass_own_fields(rest: &mut Fields, body: &mut Map<String, Value>, config: &mut Map<String, Value>) {
    for (name, alias) in [("safetySettings", "safety_settings"), ("cachedContent", "cached_content")] {
        if let Some(value) = rest.take(name).or_else(|| rest.take(alias)) {
            body.insert(name.to_owned(), value);
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
            config.insert(name.to_owned(), value);
        }
    }
    for (name, alias, target) in
        [("toolConfig", "tool_config", None), ("generationConfig", "generation_config", Some(config))]
    {
        let Some(value) = rest.take(name).or_else(|| rest.take(alias)) else { continue };
        match (value, target) {
            (Value::Object(fields), Some(config)) => config.extend(fields),
            (Value::Object(fields), None) => {
                let own = body.entry(name).or_insert_with(|| json!({}));
                if let Value::Object(own) = own {
                    own.extend(fields);
                }
            }
            // Not an object: Google says what is wrong with it.
            (other, _) => {
                body.insert(name.to_owned(), other);
            }
        }
    }
}

/// What is left: parameters that ask for something Gemini can't do are refused, unless they ask for what happens
/// anyway; everything else is left out.
fn refuse_or_drop(rest: &mut Fields, warnings: &mut Warnings) {
    for name in ["logit_bias", "store", "prediction", "functions", "function_call", "verbosity", "best_of"] {
        let Some(value) = rest.take(name) else { continue };
        let harmless = match name {
            "logit_bias" => value.as_object().is_some_and(Map::is_empty),
            "store" => value == json!(false),
            "functions" => value.as_array().is_some_and(Vec::is_empty),
            "function_call" => value == json!("none") || value == json!("auto"),
            "verbosity" => value == json!("medium"),
            "best_of" => value == json!(1),
            _ => false,
        };
        if !harmless {
            warnings.unsupported(name);
        }
    }
    warnings.dropped_fields(rest, &Path::Root);
}
