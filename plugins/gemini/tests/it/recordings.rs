//! Recorded answers of the Gemini API and of Vertex, which speaks the same, against what they mean.

use ai_api_plugin_sdk::testing::{self, Outcome, Upstream};
use ai_api_plugin_sdk::{Call, Header, Operation};
use serde_json::{Value, json};

use crate::{assemble, read_json, run, shared, sse};

#[test]
fn recorded_answers_mean_what_they_should() {
    let Some(folder) = shared("recordings") else { return };
    let mut replayed = 0;
    for provider in ["gemini", "vertex"] {
        let mut files: Vec<_> =
            std::fs::read_dir(folder.join(provider)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            replayed += usize::from(replay(&read_json(&file)));
        }
    }
    assert!(replayed > 40, "{replayed} recordings");
}

/// Replays a recording, if it is of an operation that the plugin has.
fn replay(recording: &Value) -> bool {
    let name = recording["id"].as_str().unwrap();
    let operation = match recording["operation"].as_str().unwrap() {
        "generateContent" | "streamGenerateContent" => Operation::ChatCompletions,
        "batchEmbedContents" => Operation::Embeddings,
        _ => return false,
    };
    let streaming = recording["operation"] == "streamGenerateContent";
    let body = json!({
        "messages": [{"role": "user", "content": "hi"}],
        "input": ["a"],
        "stream": streaming,
        "stream_options": {"include_usage": true},
    });
    let model = recording["model"].as_str().unwrap();
    let call = || -> Call { testing::call(operation, model, &body) };
    let answered = answered(recording);
    let outcome = run(call(), &answered, 1);
    for events_per_read in [3, 1000] {
        let again = run(call(), &answered, events_per_read);
        assert_eq!(again.chunks, outcome.chunks, "{name}");
        assert_eq!(format!("{:?}", again.usage), format!("{:?}", outcome.usage), "{name}");
    }
    check(name, recording, &outcome, streaming);
    true
}

fn answered(recording: &Value) -> Upstream {
    let response = &recording["response"];
    let text = match (response["body_text"].as_str(), response["body_json"].as_array()) {
        (Some(text), _) => text.to_owned(),
        // Google's other framing, when nobody asks for events: one list.
        (None, Some(list)) if response["status"] == 200 => sse(list),
        (None, _) => response["body_json"].to_string(),
    };
    let framed = text.starts_with("data:");
    let headers = response["headers"].as_object().unwrap().iter().map(|(name, value)| Header {
        name: name.clone(),
        value: match name.as_str() {
            "content-type" if framed => "text/event-stream".to_owned(),
            _ => value.as_str().unwrap().to_owned(),
        },
    });
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    Upstream { status, headers: headers.collect(), body: text.into_bytes() }
}

fn check(name: &str, recording: &Value, outcome: &Outcome, streaming: bool) {
    let expected = &recording["expected"];
    let equal = |field: &str, found: Value| {
        let wanted = &expected[field];
        let also = expected["also"][field].as_array().is_some_and(|others| others.contains(&found));
        assert!(wanted.is_null() || *wanted == found || also, "{name}: {field} is {found}, not {wanted}");
    };
    match expected["kind"].as_str().unwrap() {
        "error" => {
            let failure = outcome.failure.as_ref().unwrap_or_else(|| panic!("{name} did not fail"));
            equal("status", json!(failure.status));
            let message = expected["message"].as_str().unwrap();
            assert!(failure.message.contains(message), "{name}: {}", failure.message);
            if name.contains("dbc66476") {
                assert_eq!(failure.retry_after_ms, Some(48_000));
            }
        }
        "embeddings" => {
            let data = outcome.answer.as_ref().unwrap()["data"].as_array().unwrap();
            equal("vectors", json!(data.len()));
            equal("dimensions", json!(data[0]["embedding"].as_array().unwrap().len()));
            assert_eq!(outcome.usage.unwrap().prompt_tokens, 261, "{name}");
        }
        "chat" => {
            assert!(outcome.failure.is_none(), "{name}: {:?}", outcome.failure);
            let answer = if streaming { assemble(&outcome.chunks) } else { outcome.answer.clone().unwrap() };
            let choice = &answer["choices"][0];
            let message = &choice["message"];
            equal("text", json!(message["content"].as_str().unwrap_or_default()));
            assert_eq!(message["reasoning_content"], expected["reasoning"], "{name}");
            equal("finish_reason", choice["finish_reason"].clone());
            equal("native_finish_reason", choice["provider_specific_fields"]["native_finish_reason"].clone());
            check_calls(name, &expected["tool_calls"], &message["tool_calls"]);
            let usage = outcome.usage.unwrap();
            equal("prompt_tokens", json!(usage.prompt_tokens));
            equal("completion_tokens", json!(usage.completion_tokens));
            equal("cached_tokens", json!(usage.cache_read_tokens));
            equal("reasoning_tokens", json!(usage.reasoning_tokens));
            for field in ["prompt_tokens", "completion_tokens", "total_tokens"] {
                equal(field, answer["usage"][field].clone());
            }
            equal("tool_use_prompt_tokens", answer["usage"]["prompt_tokens_details"]["tool_use_prompt_tokens"].clone());
            equal("images", json!(message["images"].as_array().map_or(0, Vec::len)));
            let audio = recording["features"].as_array().unwrap().contains(&json!("audio_output"));
            assert_eq!(message["audio"].is_object(), audio, "{name}");
        }
        other => panic!("{name}: {other}"),
    }
}

fn check_calls(name: &str, expected: &Value, found: &Value) {
    let expected = expected.as_array().unwrap();
    let found = found.as_array().cloned().unwrap_or_default();
    assert_eq!(found.len(), expected.len(), "{name}");
    let mut ids = std::collections::BTreeSet::new();
    for (call, expected) in found.iter().zip(expected) {
        assert_eq!(call["function"]["name"], expected["name"], "{name}");
        let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(arguments, expected["arguments"], "{name}");
        let id = call["id"].as_str().unwrap();
        assert!(id.len() <= 40 && ids.insert(id), "{name}: {id}");
        if let Some(own) = expected["id"].as_str() {
            assert_eq!(id, own, "{name}");
        }
    }
}
