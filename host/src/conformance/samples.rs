//! Canonical requests as clients send them, tame and less so.

use serde_json::{Value, json};

use crate::plugin::Operation;

/// A transparent pixel.
const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// The plainest request for an operation. A plugin that refuses it serves nobody.
pub(super) fn minimal(operation: Operation) -> Value {
    match operation {
        Operation::ChatCompletions => json!({"messages": [{"role": "user", "content": "Hello"}]}),
        Operation::Completions => json!({"prompt": "Hello"}),
        Operation::Embeddings => json!({"input": "Hello"}),
        Operation::ImagesGenerations => json!({"prompt": "A dog"}),
    }
}

/// The same, as a stream; `None` where there are none.
pub(super) fn streamed(operation: Operation) -> Option<Value> {
    let streams = matches!(operation, Operation::ChatCompletions | Operation::Completions);
    streams.then(|| with(minimal(operation), json!({"stream": true, "stream_options": {"include_usage": true}})))
}

/// Requests with their names.
pub(super) fn all(operation: Operation) -> Vec<(&'static str, Value)> {
    let mut samples = vec![("a minimal request", minimal(operation))];
    samples.extend(streamed(operation).map(|body| ("a streamed request", body)));
    let extra = with(minimal(operation), json!({"x_conformance": {"deep": [1, null, "é"]}, "user": "u-1"}));
    samples.push(("unknown extra fields", extra));
    samples.extend(match operation {
        Operation::ChatCompletions => chat(),
        Operation::Completions => completions(),
        Operation::Embeddings => embeddings(),
        Operation::ImagesGenerations => images(),
    });
    samples
}

fn chat() -> Vec<(&'static str, Value)> {
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let hello = || user(json!("Hello"));
    let weather = json!({"type": "function", "function": {
        "name": "weather", "description": "The weather somewhere",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }});
    let called = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}},
        {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": ""}},
    ]});
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": false});
    let deep = (0..100).fold(json!("deep"), |inner, _| json!([inner]));
    vec![
        (
            "a system message and several turns",
            json!({"messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"},
            ]}),
        ),
        (
            "a developer message and names",
            json!({"messages": [
                {"role": "developer", "content": "Be brief."}, {"role": "user", "name": "ann", "content": "Hi"},
            ]}),
        ),
        (
            "all sampling parameters",
            with(
                hello(),
                json!({
                    "temperature": 0.5, "top_p": 0.9, "max_tokens": 64, "stop": ["END"], "seed": 7, "n": 1,
                    "presence_penalty": 0.1, "frequency_penalty": -0.1, "logit_bias": {"1": 1}, "logprobs": false,
                }),
            ),
        ),
        ("max_completion_tokens and a single stop", with(hello(), json!({"max_completion_tokens": 64, "stop": "END"}))),
        (
            "null parameters",
            with(hello(), json!({"temperature": null, "stop": null, "tools": null, "max_tokens": null})),
        ),
        ("several choices", with(hello(), json!({"n": 3}))),
        ("tools", with(hello(), json!({"tools": [weather], "tool_choice": "auto", "parallel_tool_calls": false}))),
        (
            "a forced tool",
            with(
                hello(),
                json!({"tools": [weather],
            "tool_choice": {"type": "function", "function": {"name": "weather"}}}),
            ),
        ),
        (
            "tool results",
            json!({"tools": [weather], "messages": [
                {"role": "user", "content": "Weather?"}, called,
                {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
                {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "no city"}]},
            ]}),
        ),
        (
            "a JSON schema",
            with(
                hello(),
                json!({"response_format": {"type": "json_schema",
            "json_schema": {"name": "a", "strict": true, "schema": schema}}}),
            ),
        ),
        ("a JSON object", with(hello(), json!({"response_format": {"type": "json_object"}}))),
        (
            "an image by URL",
            user(json!([{"type": "text", "text": "What?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}])),
        ),
        ("an image in a data URL", user(json!([{"type": "image_url", "image_url": {"url": PNG}}]))),
        ("reasoning effort", with(hello(), json!({"reasoning_effort": "low"}))),
        ("unicode", user(json!("Grüße 👩‍👩‍👧‍👦 \u{202e}rtl\u{202c} \u{0} \u{ffff} 漢字"))),
        ("empty strings", json!({"messages": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]})),
        ("no messages", json!({"messages": []})),
        ("a message that is none", json!({"messages": [null, 1, "x", [], {}]})),
        ("a role that nobody knows", json!({"messages": [{"role": "wizard", "content": "Hi"}]})),
        ("content of a wrong type", user(json!({"a": 1}))),
        (
            "parameters of wrong types",
            with(hello(), json!({"temperature": "hot", "max_tokens": -1, "stop": 5, "tools": {}})),
        ),
        ("deep nesting", with(hello(), json!({"metadata": deep}))),
        ("absurd numbers", with(hello(), json!({"max_tokens": u64::MAX, "temperature": 1e308, "seed": i64::MIN}))),
    ]
}

fn completions() -> Vec<(&'static str, Value)> {
    vec![
        (
            "sampling parameters",
            json!({"prompt": "a", "max_tokens": 5, "temperature": 0.1, "stop": ["x"], "suffix": "b"}),
        ),
        ("several prompts", json!({"prompt": ["a", "b"]})),
        ("tokens", json!({"prompt": [1, 2, 3]})),
        ("a prompt of a wrong type", json!({"prompt": {"a": 1}})),
        ("an empty prompt", json!({"prompt": ""})),
    ]
}

fn embeddings() -> Vec<(&'static str, Value)> {
    vec![
        ("several inputs", json!({"input": ["a", "b", "漢字"]})),
        ("dimensions and base64", json!({"input": "a", "dimensions": 8, "encoding_format": "base64"})),
        ("tokens", json!({"input": [[1, 2], [3]]})),
        ("no input", json!({"input": []})),
        ("an input of a wrong type", json!({"input": {"a": 1}})),
    ]
}

fn images() -> Vec<(&'static str, Value)> {
    vec![
        ("size and number", json!({"prompt": "A dog", "n": 2, "size": "1024x1024", "response_format": "b64_json"})),
        ("an empty prompt", json!({"prompt": ""})),
        ("a prompt of a wrong type", json!({"prompt": 1})),
    ]
}

/// `body` with more fields.
pub(super) fn with(mut body: Value, more: Value) -> Value {
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}
