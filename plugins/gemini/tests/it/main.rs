//! Whole translations: our fixtures against their snapshots, recorded answers against what they mean, and LiteLLM.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests may panic, their helpers too")]

mod agent;
mod golden;
mod litellm;
mod recordings;
mod shapes;

use std::path::PathBuf;

use ai_api_plugin_gemini::Gemini;
use ai_api_plugin_sdk::testing::{self, Outcome, Upstream};
use ai_api_plugin_sdk::{Call, Failure, Header};
use serde_json::{Value, json};

/// Data that lies beside the checkout. Without it a test prints that it skips; in CI it fails.
fn shared(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is not there", path.display());
    println!("skipped: {} is not there", path.display());
    None
}

fn read_json(path: &std::path::Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn run(call: Call, upstream: &Upstream, events_per_read: usize) -> Outcome {
    testing::run::<Gemini>(call, upstream, events_per_read)
}

fn upstream(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Upstream {
    let headers = vec![Header { name: "content-type".to_owned(), value: content_type.to_owned() }];
    Upstream { status, headers, body: body.into() }
}

/// Events as Google frames them.
fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

fn failure_json(failure: &Failure) -> Value {
    json!({
        "kind": format!("{:?}", failure.kind),
        "status": failure.status,
        "message": failure.message,
        "param": failure.param,
        "code": failure.code,
        "retry_after_ms": failure.retry_after_ms,
    })
}

/// The answer that the deltas of a stream add up to, in the form of a whole one, and what any stream must keep to.
fn assemble(chunks: &[Value]) -> Value {
    let mut choices: std::collections::BTreeMap<u64, Value> = std::collections::BTreeMap::new();
    let mut usage = Value::Null;
    for chunk in chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["id"], chunks[0]["id"]);
        if !chunk["usage"].is_null() {
            assert_eq!(chunk["choices"], json!([]), "usage has a chunk of its own");
            usage = chunk["usage"].clone();
        }
        for choice in chunk["choices"].as_array().unwrap() {
            assert!(usage.is_null(), "usage comes last");
            let index = choice["index"].as_u64().unwrap();
            let first = !choices.contains_key(&index);
            let whole = choices.entry(index).or_insert_with(|| {
                json!({"index": index, "finish_reason": null, "message": {
                    "role": "assistant", "content": null, "tool_calls": [],
                }})
            });
            assert!(whole["finish_reason"].is_null(), "nothing comes after the finish reason");
            whole["finish_reason"] = choice["finish_reason"].clone();
            for key in ["provider_specific_fields", "logprobs"] {
                if !choice[key].is_null() {
                    whole[key] = choice[key].clone();
                }
            }
            let delta = &choice["delta"];
            assert_eq!(!delta["role"].is_null(), first, "the role comes once, first");
            let message = &mut whole["message"];
            for key in ["content", "reasoning_content"] {
                if let Some(more) = delta[key].as_str().filter(|more| !more.is_empty()) {
                    message[key] = json!(format!("{}{more}", message[key].as_str().unwrap_or_default()));
                }
            }
            for key in ["images", "annotations", "thinking_blocks", "provider_specific_fields"] {
                if !delta[key].is_null() {
                    assert!(message[key].is_null(), "the OpenAI SDKs can't take {key} twice");
                    message[key] = delta[key].clone();
                }
            }
            if let Some(more) = delta["audio"].as_object() {
                let audio = message.as_object_mut().unwrap().entry("audio").or_insert(json!({}));
                for (key, value) in more {
                    let more = value.as_str().filter(|_| key == "data").unwrap_or_default();
                    match audio[key].as_str() {
                        Some(data) if key == "data" => audio[key] = json!(format!("{data}{more}")),
                        found => {
                            assert!(found.is_none(), "what is said of sound adds up: {key}");
                            audio[key] = value.clone();
                        }
                    }
                }
            }
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let calls = message["tool_calls"].as_array_mut().unwrap();
                assert_eq!(call["index"], calls.len(), "calls are counted from 0");
                calls.push(call.clone());
            }
        }
    }
    json!({"choices": choices.into_values().collect::<Vec<_>>(), "usage": usage})
}
