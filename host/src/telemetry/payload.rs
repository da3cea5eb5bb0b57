//! A call as LiteLLM tells it to its callbacks: the fields of its `StandardLoggingPayload` that are known here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::content;
use crate::plugin::Operation;
use crate::usage::{CallRecord, Outcome, Usage};

/// What is left out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Discretion {
    /// What was asked and answered is told.
    pub(super) messages: bool,
    /// Whose key it was isn't.
    pub(super) hide_callers: bool,
}

/// One call.
pub(super) fn payload(call: &CallRecord, discretion: Discretion) -> Value {
    let is_success = call.outcome == Outcome::Complete && call.status < 400;
    let usage = call.usage.unwrap_or_default();
    let served_by = call.served_by.as_ref();
    let messages = call.messages.as_ref().filter(|_| discretion.messages);
    let status = if is_success { "success" } else { "failure" };
    let completed = call.first_byte.unwrap_or(call.duration);
    let cost = call.cost;
    json!({
        "id": call.call_id,
        "litellm_call_id": call.call_id,
        "trace_id": call.session_id.as_ref().unwrap_or(&call.call_id),
        "session_id": call.session_id,
        "call_type": call_type(call.operation),
        "stream": call.streaming,
        "status": status,
        "status_fields": {"llm_api_status": status, "guardrail_status": "not_run"},
        "custom_llm_provider": served_by.map(|by| &by.provider),
        "model": served_by.map(|by| &by.model).or(call.model.as_ref()),
        "model_id": served_by.map(|by| &by.deployment),
        "model_group": call.fallback.as_ref().or(call.model_group.as_ref()).or(call.model.as_ref()),
        "requested_model": call.model,
        "response_cost": cost.map(|cost| cost.total),
        "cost_breakdown": cost.map(|cost| json!({
            "total_cost": cost.total, "input_cost": cost.input, "output_cost": cost.output,
        })),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
        "startTime": seconds(call.started, Duration::ZERO),
        "completionStartTime": seconds(call.started, completed),
        "endTime": seconds(call.started, call.duration),
        "response_time": call.duration.as_secs_f64(),
        "cache_hit": false,
        "request_tags": call.tags,
        "end_user": call.end_user,
        "requester_ip_address": call.client_ip.map(|ip| ip.to_string()),
        "messages": messages.map(content::prompt),
        "response": messages.map(content::response),
        "error_str": call.error,
        "error_information": (!is_success).then(|| json!({
            "error_code": call.status.to_string(),
            "error_class": call.kind,
            "llm_provider": served_by.map(|by| &by.provider),
            "error_message": call.error,
        })),
        "metadata": metadata(call, &usage, discretion),
        "hidden_params": {
            "model_id": served_by.map(|by| &by.deployment),
            "litellm_model_name": served_by.map(|by| &by.model),
            "response_cost": cost.map(|cost| cost.total),
            "litellm_overhead_time_ms": call.overhead.map(|overhead| overhead.as_secs_f64() * 1000.0),
        },
    })
}

fn metadata(call: &CallRecord, usage: &Usage, discretion: Discretion) -> Value {
    let caller = call.caller.as_deref().filter(|_| !discretion.hide_callers);
    let key = caller.map(|caller| &caller.key);
    json!({
        "user_api_key_hash": key.map(|key| key.hash.to_string()),
        "user_api_key_alias": key.and_then(|key| key.alias.as_ref()),
        "user_api_key_team_id": key.and_then(|key| key.team_id.as_ref()),
        "user_api_key_team_alias": caller.and_then(|caller| caller.team.as_ref()?.alias.as_ref()),
        "user_api_key_user_id": key.and_then(|key| key.user_id.as_ref()),
        "user_api_key_user_email": caller.and_then(|caller| caller.user.as_ref()?.email.as_ref()),
        "user_api_key_org_id": key.and_then(|key| key.organization_id.as_ref()),
        "user_api_key_end_user_id": call.end_user,
        "user_api_key_request_route": call.operation.path(),
        "requester_ip_address": call.client_ip.map(|ip| ip.to_string()),
        "usage_object": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
            "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "cache_creation_input_tokens": usage.cache_write_tokens,
            "is_estimated": call.is_estimated,
        },
    })
}

/// LiteLLM's word for an endpoint.
fn call_type(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions => "acompletion",
        Operation::Completions => "atext_completion",
        Operation::Embeddings => "aembedding",
        Operation::ImagesGenerations => "aimage_generation",
    }
}

fn seconds(started: SystemTime, after: Duration) -> f64 {
    started.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(after).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::usage::{Messages, samples};

    fn call() -> CallRecord {
        let request = Bytes::from_static(br#"{"messages":[{"role":"user","content":"a secret"}]}"#);
        let response = Bytes::from_static(br#"{"choices":[{"message":{"content":"another"}}]}"#);
        CallRecord { messages: Some(Messages::new(request, response)), ..samples::call() }
    }

    #[test]
    fn a_call_has_litellms_fields() {
        let told = payload(&call(), Discretion { messages: true, hide_callers: false });
        for (pointer, value) in [
            ("/call_type", json!("acompletion")),
            ("/status", json!("success")),
            ("/response_cost", json!(0.0015)),
            ("/total_tokens", json!(111)),
            ("/startTime", json!(1_800_000_000.0)),
            ("/completionStartTime", json!(1_800_000_000.5)),
            ("/endTime", json!(1_800_000_002.5)),
            ("/model", json!("gpt-4o")),
            ("/model_group", json!("smart")),
            ("/custom_llm_provider", json!("openai")),
            ("/request_tags", json!(["a"])),
            ("/end_user", json!("eve")),
            ("/metadata/user_api_key_alias", json!("app-1")),
            ("/metadata/user_api_key_team_alias", json!("crew")),
            ("/messages/0/content", json!("a secret")),
            ("/response/choices/0/message/content", json!("another")),
            ("/error_information", Value::Null),
        ] {
            assert_eq!(told.pointer(pointer), Some(&value), "{pointer}");
        }
    }

    #[test]
    fn what_isnt_to_be_told_isnt() {
        let told = payload(&call(), Discretion { messages: false, hide_callers: true }).to_string();
        for secret in ["a secret", "another", "app-1", "crew", "u@example.com", "00000001"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }

    #[test]
    fn an_unknown_cost_is_null() {
        let told = payload(&CallRecord { cost: None, ..samples::call() }, Discretion::default());
        assert!(told["response_cost"].is_null() && told["cost_breakdown"].is_null());
    }
}
