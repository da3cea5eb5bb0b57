//! A call as spans: the server's own, and below it one for each attempt at a provider.

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use serde_json::json;

use super::attributes;
use crate::telemetry::content;
use crate::usage::{Attempt, CallRecord, SpanIds, TraceParent};

/// How spans are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling {
    /// What was asked and answered is in them.
    pub(super) messages: bool,
    /// Whose key it was isn't.
    pub(super) hide_callers: bool,
    /// Some of it is said once more in Langfuse's words.
    pub(super) for_langfuse: bool,
}

/// The spans of one call.
pub(super) fn spans(call: &CallRecord, telling: Telling) -> Vec<SpanData> {
    let ids = SpanIds::of(&call.call_id, call.trace);
    let server = server(call, ids, telling);
    let last = call.attempts.len().saturating_sub(1);
    let attempts = call.attempts.iter().enumerate().map(|(index, attempt)| {
        let mut span = self::attempt(call, attempt, ids, index);
        if index == last && attempt.kind.is_none() {
            describe(&mut span.attributes, call, telling);
        }
        span
    });
    let mut spans: Vec<SpanData> = attempts.collect();
    spans.push(server);
    spans
}

fn server(call: &CallRecord, ids: SpanIds, telling: Telling) -> SpanData {
    let mut attributes = vec![
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("http.route", call.operation.path()),
        KeyValue::new("http.response.status_code", i64::from(call.status)),
        KeyValue::new("litellm.call_id", call.call_id.clone()),
        KeyValue::new("litellm.retries", i64::from(call.retries)),
        KeyValue::new("litellm.fallbacks", i64::from(call.fallbacks)),
    ];
    let mut text = |key: &'static str, value: Option<&str>| {
        attributes.extend(value.map(|value| KeyValue::new(key, value.to_owned())));
    };
    text("litellm.requested_model", call.model.as_deref());
    text("litellm.fallback", call.fallback.as_deref());
    text("client.address", call.client_ip.map(|ip| ip.to_string()).as_deref());
    let error = attributes::error_type(call);
    text("error.type", error);
    if let Some(overhead) = call.overhead {
        attributes.push(KeyValue::new("litellm.overhead_duration_ms", overhead.as_secs_f64() * 1000.0));
    }
    attribute(&mut attributes, call, telling);
    if telling.for_langfuse {
        let name = format!("{} {}", attributes::operation(call.operation), call.model.as_deref().unwrap_or_default());
        attributes.push(KeyValue::new("langfuse.trace.name", name));
    }
    let parent = call.trace.map_or(SpanId::INVALID, |trace| SpanId::from_bytes(trace.parent));
    SpanData {
        span_context: context(ids.trace, ids.span),
        parent_span_id: parent,
        parent_span_is_remote: call.trace.is_some(),
        span_kind: SpanKind::Server,
        name: format!("POST {}", call.operation.path()).into(),
        start_time: call.started,
        end_time: call.started + call.duration,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        // What a client did wrong is no error of a server.
        status: match error {
            Some(_) if call.status >= 500 || call.status < 400 => status(call.error.as_deref()),
            _ => Status::Unset,
        },
        instrumentation_scope: scope(),
    }
}

fn attempt(call: &CallRecord, attempt: &Attempt, ids: SpanIds, index: usize) -> SpanData {
    let operation = attributes::operation(call.operation);
    let by = &attempt.by;
    let mut attributes = vec![
        KeyValue::new("gen_ai.operation.name", operation),
        KeyValue::new("gen_ai.provider.name", attributes::provider(&by.provider).to_owned()),
        KeyValue::new("gen_ai.request.model", by.model.clone()),
        KeyValue::new("litellm.model_id", by.deployment.clone()),
    ];
    attributes.extend(attempt.kind.map(|kind| KeyValue::new("error.type", kind)));
    let end = attempt.took.map_or(call.duration, |took| attempt.began.saturating_add(took));
    SpanData {
        span_context: context(ids.trace, ids.attempt(index)),
        parent_span_id: SpanId::from_bytes(ids.span),
        parent_span_is_remote: false,
        span_kind: SpanKind::Client,
        name: format!("{operation} {}", by.model).into(),
        start_time: call.started + attempt.began,
        end_time: call.started + end.max(attempt.began),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: attempt.kind.map_or(Status::Unset, |kind| status(Some(kind))),
        instrumentation_scope: scope(),
    }
}

/// What is known of the answer.
fn describe(attributes: &mut Vec<KeyValue>, call: &CallRecord, telling: Telling) {
    let mut number = |key: &'static str, value: u64| {
        attributes.push(KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX)));
    };
    if let Some(usage) = &call.usage {
        number("gen_ai.usage.input_tokens", usage.prompt_tokens);
        number("gen_ai.usage.output_tokens", usage.completion_tokens);
        number("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens);
        number("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens);
    }
    attributes.push(KeyValue::new("gen_ai.request.stream", call.streaming));
    if let Some(cost) = &call.cost {
        attributes.push(KeyValue::new("gen_ai.cost.total_cost", cost.total.as_f64()));
    }
    if let Some(error) = attributes::error_type(call) {
        attributes.push(KeyValue::new("error.type", error));
    }
    attribute(attributes, call, telling);
    if telling.for_langfuse {
        attributes.push(KeyValue::new("langfuse.observation.type", "generation"));
        if let Some(cost) = &call.cost {
            let details = json!({"input": cost.input, "output": cost.output, "total": cost.total});
            attributes.push(KeyValue::new("langfuse.observation.cost_details", details.to_string()));
        }
    }
    let Some(messages) = call.messages.as_ref().filter(|_| telling.messages) else { return };
    let (prompt, response) = (content::prompt(messages), content::response(messages));
    if let Some(model) = response.get("model").and_then(serde_json::Value::as_str) {
        attributes.push(KeyValue::new("gen_ai.response.model", model.to_owned()));
    }
    let answers = content::answers(&response);
    if telling.for_langfuse {
        attributes.push(KeyValue::new("langfuse.observation.input", prompt.to_string()));
        let output = if answers.is_empty() { response } else { serde_json::Value::Array(answers.clone()) };
        attributes.push(KeyValue::new("langfuse.observation.output", output.to_string()));
    }
    let asked = content::parts(&content::as_messages(prompt)).to_string();
    attributes.push(KeyValue::new("gen_ai.input.messages", asked));
    attributes.push(KeyValue::new("gen_ai.output.messages", content::parts(&answers).to_string()));
}

/// Whose call it was.
fn attribute(attributes: &mut Vec<KeyValue>, call: &CallRecord, telling: Telling) {
    let mut text = |key: &'static str, value: Option<&str>| {
        attributes.extend(value.map(|value| KeyValue::new(key, value.to_owned())));
    };
    text("gen_ai.conversation.id", call.session_id.as_deref());
    text("user.id", call.end_user.as_deref());
    if let Some(caller) = call.caller.as_deref().filter(|_| !telling.hide_callers) {
        text("metadata.user_api_key_hash", Some(&caller.key.hash.to_string()));
        text("metadata.user_api_key_alias", caller.key.alias.as_deref());
        text("metadata.user_api_key_team_id", caller.key.team_id.as_deref());
        text("metadata.user_api_key_team_alias", caller.team.as_ref().and_then(|team| team.alias.as_deref()));
        text("metadata.user_api_key_user_id", caller.key.user_id.as_deref());
    }
    if telling.for_langfuse {
        text("langfuse.session.id", call.session_id.as_deref());
        text("langfuse.user.id", call.end_user.as_deref());
    }
    if !call.tags.is_empty() {
        let tags: Vec<opentelemetry::StringValue> = call.tags.iter().cloned().map(Into::into).collect();
        let key = if telling.for_langfuse { "langfuse.trace.tags" } else { "litellm.tags" };
        attributes.push(KeyValue::new(key, Value::Array(tags.into())));
    }
}

fn context(trace: [u8; 16], span: [u8; 8]) -> SpanContext {
    let (trace, span) = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}

fn status(description: Option<&str>) -> Status {
    Status::Error { description: description.unwrap_or_default().to_owned().into() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("ai-api").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// Whether a call has spans.
pub(super) fn sampled(call: &CallRecord, sampler: crate::config::otlp::Sampler) -> bool {
    let parent = call.trace.map(|TraceParent { sampled, .. }| sampled);
    sampler.samples(SpanIds::of(&call.call_id, call.trace).trace, parent)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::usage::{Messages, Outcome, ServedBy, samples};

    const PLAIN: Telling = Telling { messages: true, hide_callers: false, for_langfuse: false };

    fn call() -> CallRecord {
        let by = |deployment: &str| ServedBy {
            deployment: deployment.to_owned(),
            provider: "azure".to_owned(),
            model: "gpt-4o".to_owned(),
        };
        let ms = Duration::from_millis;
        CallRecord {
            trace: Some(TraceParent { trace: [7; 16], parent: [9; 8], sampled: true }),
            attempts: vec![
                Attempt { by: by("d0"), began: ms(1), took: Some(ms(99)), kind: Some("server") },
                Attempt { by: by("d1"), began: ms(100), took: None, kind: None },
            ],
            messages: Some(Messages::new(
                Bytes::from_static(br#"{"messages":[{"role":"user","content":"hi"}]}"#),
                Bytes::from_static(
                    br#"{"model":"gpt-4o-1","choices":[{"message":{"role":"assistant","content":"yo"}}]}"#,
                ),
            )),
            ..samples::call()
        }
    }

    fn of<'a>(span: &'a SpanData, key: &str) -> Option<std::borrow::Cow<'a, str>> {
        span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|attribute| attribute.value.as_str())
    }

    #[test]
    fn a_call_is_a_server_span_in_the_clients_trace_with_an_attempt_each_below() {
        let spans = spans(&call(), PLAIN);
        let [failed, answered, server] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!(server.parent_span_id, SpanId::from_bytes([9; 8]));
        assert!(spans.iter().all(|span| span.span_context.trace_id() == TraceId::from_bytes([7; 16])));
        assert!([failed, answered].iter().all(|span| span.parent_span_id == server.span_context.span_id()));
        assert_ne!(failed.span_context.span_id(), answered.span_context.span_id());
        assert_eq!(failed.end_time, call().started + Duration::from_millis(100));
        assert_eq!((answered.name.as_ref(), answered.end_time), ("chat gpt-4o", server.end_time));
        assert_eq!(of(failed, "error.type").as_deref(), Some("server"));
        for (key, value) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "azure.ai.openai"),
            ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.response.model", "gpt-4o-1"),
            ("gen_ai.usage.input_tokens", "100"),
            ("gen_ai.usage.output_tokens", "11"),
            ("gen_ai.conversation.id", "s1"),
            ("metadata.user_api_key_alias", "app-1"),
            ("gen_ai.input.messages", r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#),
            ("gen_ai.output.messages", r#"[{"role":"assistant","parts":[{"type":"text","content":"yo"}]}]"#),
        ] {
            assert_eq!(of(answered, key).as_deref(), Some(value), "{key}");
        }
    }

    #[test]
    fn without_a_trace_of_the_clients_it_begins_one() {
        let call = CallRecord { trace: None, ..call() };
        let spans = spans(&call, PLAIN);
        let server = spans.last().unwrap();
        assert_eq!(server.parent_span_id, SpanId::INVALID);
        assert!(server.span_context.is_valid());
        assert_eq!(server.span_context.trace_id().to_string(), call.call_id.replace('-', ""));
    }

    #[test]
    fn what_isnt_to_be_told_isnt() {
        let told = format!("{:?}", spans(&call(), Telling { messages: false, hide_callers: true, ..PLAIN }));
        for secret in ["\"hi\"", "yo", "app-1", "crew", "00000001000"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }

    #[test]
    fn langfuse_is_told_in_its_own_words() {
        let spans = spans(&call(), Telling { for_langfuse: true, ..PLAIN });
        let answered = &spans[1];
        assert_eq!(of(answered, "langfuse.observation.type").as_deref(), Some("generation"));
        assert_eq!(of(answered, "langfuse.observation.input").as_deref(), Some(r#"[{"role":"user","content":"hi"}]"#));
        assert_eq!(of(answered, "langfuse.session.id").as_deref(), Some("s1"));
    }

    #[test]
    fn a_clients_mistake_is_no_error_of_the_server() {
        for (code, outcome, is_error) in [
            (400, Outcome::Failed, false),
            (502, Outcome::Failed, true),
            (200, Outcome::Failed, true),
            (200, Outcome::Complete, false),
        ] {
            let call = CallRecord { status: code, outcome, ..call() };
            let server = spans(&call, PLAIN).pop().unwrap();
            assert_eq!(matches!(server.status, Status::Error { .. }), is_error, "{code} {outcome:?}");
        }
    }
}
