//! Real answers of Anthropic's, fed into the translator: what comes out means what went in.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail with a panic, helpers too")]

mod client;
mod data;

use ai_api_plugin_anthropic::Anthropic;
use ai_api_plugin_sdk::testing::{Outcome, Upstream, call, run};
use ai_api_plugin_sdk::{Failure, Header, Operation};
use serde_json::{Value, json};

/// A recording, its request cut down to what an OpenAI client would say to get it.
struct Recording {
    id: String,
    body: Value,
    upstream: Upstream,
    expected: Value,
}

fn recordings() -> Vec<Recording> {
    data::json_files("recordings/anthropic")
        .into_iter()
        .filter(|file| file["operation"] == "messages" && !file["expected"].is_null())
        .map(|file| Recording {
            id: file["id"].as_str().unwrap().to_owned(),
            body: json!({
                "model": file["model"],
                "messages": [{"role": "user", "content": "hi"}],
                "stream": file["stream"],
                "stream_options": {"include_usage": true},
            }),
            upstream: upstream(&file["response"]),
            expected: file["expected"].clone(),
        })
        .collect()
}

fn upstream(response: &Value) -> Upstream {
    let headers = response["headers"].as_object().into_iter().flatten();
    let body = match &response["body_text"] {
        Value::String(text) => text.clone(),
        _ => response["body_json"].to_string(),
    };
    Upstream {
        status: response["status"].as_u64().unwrap() as u16,
        headers: headers
            .map(|(name, value)| Header { name: name.to_lowercase(), value: value.as_str().unwrap().to_owned() })
            .collect(),
        body: body.into_bytes(),
    }
}

fn replay(recording: &Recording, events_per_read: usize) -> Outcome {
    let model = recording.body["model"].as_str().unwrap();
    run::<Anthropic>(call(Operation::ChatCompletions, model, &recording.body), &recording.upstream, events_per_read)
}

#[test]
fn every_recorded_answer_means_the_same_to_an_openai_client() {
    for recording in recordings() {
        let id = &recording.id;
        let outcome = replay(&recording, 1);
        let expected = &recording.expected;
        match expected["kind"].as_str().unwrap() {
            "error" => check_failure(id, &outcome.failure.expect(id), expected),
            "chat" => check_chat(id, &outcome, expected),
            other => panic!("{id}: a {other}"),
        }
    }
}

fn check_failure(id: &str, failure: &Failure, expected: &Value) {
    assert_eq!(Some(u64::from(failure.status)), expected["status"].as_u64(), "{id}");
    assert!(failure.message.contains(expected["message"].as_str().unwrap()), "{id}: {}", failure.message);
}

fn check_chat(id: &str, outcome: &Outcome, expected: &Value) {
    assert_eq!(outcome.failure.as_ref().map(|failure| &failure.message), None, "{id}");
    let found = match &outcome.answer {
        Some(answer) => data::meaning_of_answer(answer),
        None => data::meaning_of_chunks(id, &outcome.chunks),
    };
    let usage = outcome.usage.unwrap();
    assert_eq!(found["prompt_tokens"], usage.prompt_tokens, "{id}");
    assert_eq!(found["completion_tokens"], usage.completion_tokens, "{id}");
    assert_eq!(found["cached_tokens"], usage.cache_read_tokens, "{id}");
    for field in [
        "text",
        "reasoning",
        "tool_calls",
        "finish_reason",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "cache_creation_tokens",
        "citations",
    ] {
        let Some(wanted) = expected.get(field) else { continue };
        if wanted.is_null() && field != "reasoning" {
            continue;
        }
        let mut right = vec![without_marks(wanted)];
        right.extend(expected["also"][field].as_array().into_iter().flatten().map(without_marks));
        assert!(right.contains(&found[field]), "{id}: {field} is {}, expected one of {right:?}", found[field]);
    }
}

/// Calls without `server`, which only says whose tool it is.
fn without_marks(value: &Value) -> Value {
    let mut value = value.clone();
    for call in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        call.remove("server");
    }
    value
}

#[test]
fn a_stream_means_the_same_however_it_is_cut() {
    for recording in recordings() {
        let one = replay(&recording, 1);
        for events_per_read in [3, 1000] {
            let other = replay(&recording, events_per_read);
            assert_eq!(one.chunks, other.chunks, "{}", recording.id);
            assert_eq!(one.usage.map(|usage| usage.prompt_tokens), other.usage.map(|usage| usage.prompt_tokens));
        }
    }
}

#[test]
fn openais_clients_can_put_every_stream_together() {
    for recording in recordings() {
        let message = client::message(&replay(&recording, 1).chunks);
        let thought = message["reasoning_content"].as_str().is_some();
        let signed = |block: &Value| block["signature"].is_string() || block["data"].is_string();
        let blocks = message["thinking_blocks"].as_array();
        assert_eq!(blocks.is_some_and(|blocks| blocks.iter().all(signed)), thought, "{}", recording.id);
    }
}

#[test]
fn a_stream_that_is_cut_off_is_never_a_finished_answer() {
    for recording in recordings().iter_mut().filter(|recording| recording.body["stream"] == true) {
        if recording.upstream.status != 200 {
            continue;
        }
        let text = String::from_utf8(recording.upstream.body.clone()).unwrap();
        for (end, _) in text.match_indices("\n\n").take(40) {
            let body = text.as_bytes()[..end + 2].to_vec();
            if String::from_utf8_lossy(&body).contains("message_stop") {
                continue;
            }
            recording.upstream.body = body;
            assert!(replay(recording, 7).failure.is_some(), "{} at {end}", recording.id);
        }
    }
}

#[test]
fn no_damaged_answer_makes_the_translator_panic() {
    for recording in recordings().iter_mut() {
        let good = recording.upstream.body.clone();
        let step = (good.len() / 60).max(1);
        for place in (0..good.len()).step_by(step) {
            for byte in [b'{', b'"', b'0', b'[', 0xff, b'\n'] {
                let mut bad = good.clone();
                bad[place] = byte;
                recording.upstream.body = bad;
                let _ = replay(recording, 5);
            }
        }
    }
}
