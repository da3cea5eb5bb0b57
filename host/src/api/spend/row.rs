//! A call as LiteLLM's `SpendLogs` has it, as JSON and as a line of a file.

use serde_json::{Map, Value, json};

use super::params::DAY;
use super::table::{Cell, money_or_null};
use crate::config::Date;
use crate::store::reports::CallRow;

/// The columns of [`line`].
pub(super) const COLUMNS: &[&str] = &[
    "request_id",
    "startTime",
    "endTime",
    "request_duration_ms",
    "ttft_ms",
    "status",
    "http_status",
    "call_type",
    "model_group",
    "model",
    "custom_llm_provider",
    "model_id",
    "api_key",
    "key_alias",
    "user",
    "team_id",
    "organization_id",
    "end_user",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "usage_is_estimated",
    "spend",
    "request_tags",
    "session_id",
    "requester_ip_address",
    "error",
];

/// A line of a file.
pub(super) fn line(call: &CallRow) -> Vec<Cell> {
    let tokens = |count: Option<i64>| count.map_or(Cell::Nothing, |count| Cell::Count(count.into()));
    let count = |count: i64| Cell::Count(count.into());
    vec![
        Cell::from(&*call.id),
        Cell::Text(stamp(call.started)),
        Cell::Text(stamp(call.started.saturating_add(call.duration))),
        count(call.duration),
        tokens(call.first_byte),
        status(call).into(),
        count(call.status),
        call_type(&call.operation).into(),
        Cell::from(&*call.model_group),
        Cell::from(&*call.model),
        Cell::from(&*call.provider),
        Cell::from(&*call.deployment),
        Cell::from(&*call.key_hash),
        Cell::from(&*call.key_alias),
        Cell::from(&*call.user_id),
        Cell::from(&*call.team_id),
        Cell::from(&*call.organization_id),
        Cell::from(&*call.end_user),
        tokens(call.prompt_tokens),
        tokens(call.completion_tokens),
        count(total_tokens(call)),
        tokens(call.cache_read_tokens),
        tokens(call.cache_write_tokens),
        tokens(call.reasoning_tokens),
        Cell::from(if call.estimated { "true" } else { "false" }),
        spend(call).map_or(Cell::Nothing, |pico| Cell::Money(pico.into())),
        Cell::Text(tags(call).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";")),
        Cell::from(&*call.session_id),
        Cell::from(&*call.client_ip),
        Cell::from(&*call.error),
    ]
}

/// LiteLLM's object.
pub(super) fn object(call: &CallRow) -> Value {
    let first_byte = call.first_byte.map(|after| stamp(call.started.saturating_add(after)));
    let (request, response) = (body(call.request.as_deref()), body(call.response.as_deref()));
    json!({
        "request_id": call.id,
        "litellm_call_id": call.id,
        "call_type": call_type(&call.operation),
        "api_key": call.key_hash,
        "spend": money_or_null(spend(call)),
        "total_tokens": total_tokens(call),
        "prompt_tokens": call.prompt_tokens.unwrap_or_default(),
        "completion_tokens": call.completion_tokens.unwrap_or_default(),
        "startTime": stamp(call.started),
        "endTime": stamp(call.started.saturating_add(call.duration)),
        "completionStartTime": first_byte,
        "request_duration_ms": call.duration,
        "model": call.model,
        "model_id": call.deployment,
        "model_group": call.model_group,
        "custom_llm_provider": call.provider,
        "api_base": "",
        "user": call.user_id,
        "team_id": some(&call.team_id),
        "organization_id": some(&call.organization_id),
        "end_user": call.end_user,
        "requester_ip_address": some(&call.client_ip),
        "session_id": some(&call.session_id),
        "status": status(call),
        "cache_hit": "False",
        "cache_key": "",
        "request_tags": tags(call),
        "metadata": metadata(call),
        "messages": request.get("messages").cloned().unwrap_or_else(|| json!({})),
        "response": response,
        "proxy_server_request": request,
        "mcp_namespaced_tool_name": null,
        "agent_id": null,
    })
}

/// What was asked and answered, where that is kept: LiteLLM's answer for one call's bodies.
pub(super) fn bodies(call: &CallRow) -> Value {
    let (request, response) = (body(call.request.as_deref()), body(call.response.as_deref()));
    json!({
        "messages": request.get("messages").cloned().unwrap_or_else(|| json!({})),
        "response": response,
        "proxy_server_request": request,
    })
}

/// Nothing is stored of a call that used nothing, which has cost nothing. Of one that used something it is what nobody
/// knows.
pub(super) fn spend(call: &CallRow) -> Option<i64> {
    let is_used = call.prompt_tokens.is_some() || call.completion_tokens.is_some();
    call.spent.or(if is_used { None } else { Some(0) })
}

fn metadata(call: &CallRow) -> Map<String, Value> {
    let mut metadata = Map::new();
    let mut add = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    add("user_api_key", json!(call.key_hash));
    add("user_api_key_alias", some(&call.key_alias));
    add("user_api_key_user_id", some(&call.user_id));
    add("user_api_key_team_id", some(&call.team_id));
    add("user_api_key_org_id", some(&call.organization_id));
    add("status", json!(status(call)));
    add("http_status", json!(call.status));
    add("attempted_retries", json!(call.retries));
    add("attempted_fallbacks", json!(call.fallbacks));
    add("fallback_model_group", some(&call.fallback));
    add("is_streaming", json!(call.streaming));
    add("usage_is_estimated", json!(call.estimated));
    add(
        "additional_usage_values",
        json!({
            "cache_read_input_tokens": call.cache_read_tokens,
            "cache_creation_input_tokens": call.cache_write_tokens,
            "reasoning_tokens": call.reasoning_tokens,
        }),
    );
    if call.spent.is_some() {
        let (input, output) = (money_or_null(call.spent_input), money_or_null(call.spent_output));
        let total = money_or_null(call.spent);
        add("cost_breakdown", json!({"input_cost": input, "output_cost": output, "total_cost": total}));
    }
    if status(call) == "failure" {
        add(
            "error_information",
            json!({
                "error_code": call.status.to_string(),
                "error_class": call.kind,
                "error_message": call.error,
                "llm_provider": call.provider,
            }),
        );
    }
    metadata
}

fn status(call: &CallRow) -> &'static str {
    if call.outcome == "success" { "success" } else { "failure" }
}

fn total_tokens(call: &CallRow) -> i64 {
    call.prompt_tokens.unwrap_or_default().saturating_add(call.completion_tokens.unwrap_or_default())
}

fn tags(call: &CallRow) -> Vec<Value> {
    serde_json::from_str(&call.tags).unwrap_or_default()
}

fn some(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

/// A body, which may have been cut: then it is the text that there is.
fn body(text: Option<&str>) -> Value {
    match text {
        None | Some("") => json!({}),
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    }
}

/// LiteLLM's names of the endpoints, which are its functions'.
fn call_type(operation: &str) -> &str {
    match operation.strip_prefix("/v1/").unwrap_or(operation) {
        "chat/completions" => "acompletion",
        "completions" => "atext_completion",
        "embeddings" => "aembedding",
        "images/generations" => "aimage_generation",
        other => other,
    }
}

/// A moment, `2026-11-23T14:03:09.123Z`.
pub(super) fn stamp(ms: i64) -> String {
    let (day, rest) = (Date::from_unix_days(ms.div_euclid(DAY)), ms.rem_euclid(DAY));
    let (seconds, ms) = (rest / 1000, rest % 1000);
    format!("{day}T{:02}:{:02}:{:02}.{ms:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_cost_is_nothing_a_sum_or_unknown() {
        let call = |spent, tokens| CallRow { spent, prompt_tokens: tokens, ..CallRow::default() };
        assert_eq!(spend(&call(None, None)), Some(0));
        assert_eq!(spend(&call(None, Some(3))), None);
        assert_eq!(spend(&call(Some(7), Some(3))), Some(7));
        assert_eq!(object(&call(None, Some(3)))["spend"], Value::Null);
    }

    #[test]
    fn a_line_has_a_cell_for_each_column() {
        assert_eq!(line(&CallRow::default()).len(), COLUMNS.len());
    }

    #[test]
    fn a_moment_is_written_to_the_millisecond() {
        assert_eq!(stamp(1_795_442_589_123), "2026-11-23T14:03:09.123Z");
        assert_eq!(stamp(0), "1970-01-01T00:00:00.000Z");
    }
}
