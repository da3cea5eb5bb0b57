//! Golden files: what becomes of a request, of an answer, of a stream.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail with a panic, helpers too")]

use ai_api_plugin_anthropic::Anthropic;
use ai_api_plugin_sdk::testing::{Outcome, Upstream, call, request, run};
use ai_api_plugin_sdk::{Call, Failure, Header, Operation, Usage, Warning};
use serde_json::{Value, json};

fn call_of(fixture: &Value) -> Call {
    let mut call = call(Operation::ChatCompletions, fixture["model"].as_str().unwrap(), &fixture["body"]);
    let params = fixture["params"].as_object().into_iter().flatten();
    call.params = params.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
    call
}

fn read(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn failure(failure: &Failure) -> Value {
    let Failure { kind, status, message, param, .. } = failure;
    json!({"failure": {"kind": format!("{kind:?}"), "status": status, "message": message, "param": param}})
}

fn warnings(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(|warning| format!("{:?} {}", warning.loss, warning.path)).collect()
}

fn usage(usage: Usage) -> Value {
    let Usage { prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens } = usage;
    json!({"prompt": prompt_tokens, "completion": completion_tokens, "cache_read": cache_read_tokens,
        "cache_write": cache_write_tokens, "reasoning": reasoning_tokens})
}

fn headers(headers: &[Header]) -> Vec<String> {
    headers.iter().map(|header| format!("{}: {}", header.name, header.value)).collect()
}

#[test]
fn requests_are_translated() {
    insta::glob!("../golden/request", "*.json", |path| {
        let seen = match request::<Anthropic>(call_of(&read(path))) {
            Ok((http, lost)) => json!({
                "request": format!("{} {}", http.method, http.path),
                "headers": headers(&http.headers),
                "body": serde_json::from_slice::<Value>(&http.body).unwrap(),
                "warnings": warnings(&lost),
            }),
            Err(refused) => failure(&refused),
        };
        insta::assert_json_snapshot!(seen);
    });
}

#[test]
fn answers_are_translated() {
    insta::glob!("../golden/response", "*.json", |path| {
        let fixture = read(path);
        let outcome = replay(&fixture, fixture["answer"].to_string());
        let seen = match &outcome.failure {
            Some(refused) => failure(refused),
            None => json!({"answer": outcome.answer, "usage": outcome.usage.map(usage)}),
        };
        insta::assert_json_snapshot!(seen);
    });
}

#[test]
fn streams_are_translated() {
    insta::glob!("../golden/stream", "*.json", |path| {
        let fixture = read(path);
        let events = fixture["events"].as_array().unwrap();
        let body = events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
        let outcome = replay(&fixture, body.collect());
        // What never changes from chunk to chunk says nothing here.
        let chunks = outcome.chunks.iter().map(|chunk| match &chunk["choices"][0] {
            Value::Null => json!({"usage": chunk["usage"]}),
            choice => {
                let mut choice = choice.clone();
                let fields = choice.as_object_mut().unwrap();
                fields.retain(|key, value| key != "index" && !value.is_null());
                choice
            }
        });
        let seen = json!({
            "chunks": chunks.collect::<Vec<_>>(),
            "usage": outcome.usage.map(usage),
            "failure": outcome.failure.as_ref().map(failure),
        });
        insta::assert_json_snapshot!(seen);
    });
}

fn replay(fixture: &Value, body: String) -> Outcome {
    let media = fixture["content_type"].as_str().unwrap_or("text/event-stream");
    let upstream = Upstream {
        status: fixture["status"].as_u64().unwrap_or(200) as u16,
        headers: vec![Header { name: "content-type".to_owned(), value: media.to_owned() }],
        body: body.into_bytes(),
    };
    run::<Anthropic>(call_of(fixture), &upstream, 2)
}

#[test]
fn no_value_of_another_type_makes_the_translator_panic() {
    insta::glob!("../golden/request", "*.json", |path| {
        let fixture = read(path);
        for place in places(&fixture["body"], String::new()) {
            for other in [json!(null), json!(-1.5), json!("\u{fc}"), json!([0]), json!({"type": "x"}), json!(true)] {
                let mut fixture = fixture.clone();
                *fixture["body"].pointer_mut(&place).unwrap() = other;
                let _ = request::<Anthropic>(call_of(&fixture));
            }
        }
    });
}

/// JSON pointers to every value inside.
fn places(value: &Value, at: String) -> Vec<String> {
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(values) => values.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let deeper = inside.into_iter().flat_map(|(key, value)| {
        let at = format!("{at}/{key}");
        let mut all = places(value, at.clone());
        all.push(at);
        all
    });
    deeper.collect()
}
