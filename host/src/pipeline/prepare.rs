//! The client's request, made ready for a deployment: canonical in, canonical out.

use serde_json::{Value, json};

use super::{Call, GatewayError};
use crate::canonical::{Edits, RequestBody};
use crate::plugin::Operation;

/// What LiteLLM's clients say to the gateway, not to the provider.
const FOR_THE_GATEWAY: &[&str] = &[
    "additional_drop_params",
    "allowed_openai_params",
    "cache",
    "caching",
    "context_window_fallbacks",
    "disable_fallbacks",
    "drop_params",
    "fallbacks",
    "guardrails",
    "include_fallback_errors",
    "mock_testing_content_policy_fallbacks",
    "mock_testing_context_fallbacks",
    "mock_testing_fallbacks",
    "num_retries",
    "prompt_id",
    "prompt_variables",
    "stream_timeout",
    "tags",
    "timeout",
];

/// What would let a client choose where a call goes or with which key. LiteLLM refuses these too.
pub(super) const BANNED: &[&str] = &[
    "api_base",
    "api_key",
    "base_url",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "callbacks",
    "model_list",
    "user_config",
    "vertex_ai_credentials",
    "vertex_credentials",
];

/// Refuses what no client may say.
pub(super) fn refuse_banned(body: &RequestBody) -> Result<(), GatewayError> {
    match BANNED.iter().find(|key| body.raw(key).is_some()) {
        Some(key) => Err(GatewayError::invalid(*key, format!("'{key}' can't be set by a client of this gateway."))),
        None => Ok(()),
    }
}

/// Refuses a request without what every provider needs.
pub(super) fn require(operation: Operation, body: &RequestBody) -> Result<(), GatewayError> {
    let key = match operation {
        Operation::ChatCompletions => "messages",
        Operation::Embeddings => "input",
        Operation::Completions | Operation::ImagesGenerations => "prompt",
    };
    match body.raw(key) {
        None => Err(GatewayError::missing(key)),
        Some(text) if key == "messages" && !text.starts_with('[') => {
            Err(GatewayError::invalid(key, "Invalid type for 'messages': expected an array of messages."))
        }
        Some(_) => Ok(()),
    }
}

/// Whether the client wants the usage at the end of its stream.
pub(super) fn asks_for_usage(body: &RequestBody) -> Result<bool, GatewayError> {
    let options: Option<Value> = body.typed("stream_options", "an object")?;
    Ok(options.is_some_and(|options| options.get("include_usage") == Some(&Value::Bool(true))))
}

/// Whether unsupported parameters are left out for this call.
pub(super) fn drops_params(call: &Call<'_>) -> Result<bool, GatewayError> {
    Ok(call.body.boolean("drop_params")?.unwrap_or(call.route.target.deployment.drop_params))
}

/// The request as the deployment wants it. `native`: the provider itself will read it.
pub(super) fn prepare(call: &Call<'_>, native: bool) -> Result<bytes::Bytes, GatewayError> {
    let body = call.body;
    let deployment = &call.route.target.deployment;
    let mut edits = Edits::default();
    edits.set("model", Value::String(call.route.model.clone()).to_string());
    for key in FOR_THE_GATEWAY {
        edits.remove(key);
    }
    // OpenAI takes metadata only with `store`; to everybody else it is a note to the gateway.
    if native && body.boolean("store")? != Some(true) {
        edits.remove("metadata");
    }
    for (name, renamed) in &deployment.rename_params {
        edits.rename(name, renamed);
    }
    for (key, value) in &call.binding.defaults {
        edits.set_default(key, value.clone());
    }
    for (key, value) in &call.binding.extra_body {
        edits.set(key, value.clone());
    }
    // Usage is always asked for, because it is always counted; who did not ask won't see it.
    let has_usage_option = matches!(call.operation, Operation::ChatCompletions | Operation::Completions);
    if call.streaming && has_usage_option && !asks_for_usage(body)? {
        let mut options: Value = body.typed("stream_options", "an object")?.unwrap_or_else(|| json!({}));
        match options.as_object_mut() {
            Some(options) => drop(options.insert("include_usage".to_owned(), Value::Bool(true))),
            None => {
                return Err(GatewayError::invalid(
                    "stream_options",
                    "Invalid type for 'stream_options': expected an object.",
                ));
            }
        }
        edits.set("stream_options", options.to_string());
    }
    let of_the_client: Vec<String> = body.typed("additional_drop_params", "an array of strings")?.unwrap_or_default();
    let of_the_client = of_the_client.iter().map(String::as_str).filter(|path| may_be_dropped(path));
    for path in deployment.additional_drop_params.iter().map(String::as_str).chain(of_the_client) {
        edits.remove_path(body, path);
    }
    Ok(edits.apply(body))
}

/// Whether a client may have this left out: what is accounted and where the call goes isn't its to say.
fn may_be_dropped(path: &str) -> bool {
    let key = path.split(['.', '[']).next().unwrap_or_default();
    !matches!(key, "model" | "stream" | "stream_options")
}
