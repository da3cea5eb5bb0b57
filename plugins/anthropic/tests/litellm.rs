//! What LiteLLM makes of a call, and what we make of it: the same, but for the differences that are listed, each
//! with its reason, in `golden/differences.tsv`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail with a panic, helpers too")]

mod data;

use std::collections::BTreeMap;

use ai_api_plugin_anthropic::Anthropic;
use ai_api_plugin_sdk::testing::{Outcome, Upstream, call, run};
use ai_api_plugin_sdk::{Failure, FailureKind, Header, Loss, Operation};
use serde_json::{Value, json};

#[test]
fn a_call_means_the_same_as_with_litellm_but_for_the_listed_differences() {
    let listed = listed_differences();
    let mut found: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut cases = 0;
    for case in data::json_files("golden/litellm").iter().flat_map(|file| file.as_array().unwrap()) {
        let name = case["name"].as_str().unwrap();
        if !name.starts_with("anthropic") && !name.starts_with("astream") {
            continue;
        }
        cases += 1;
        for (what, text) in differences(name, case) {
            found.insert((name.to_owned(), what.to_owned()), text);
        }
    }
    if cases == 0 {
        return;
    }
    let unlisted = found.iter().filter(|(key, _)| !listed.contains(key));
    let unlisted: Vec<String> = unlisted.map(|((name, what), text)| format!("{name}\t{what}\n{text}\n")).collect();
    assert!(unlisted.is_empty(), "these differ and aren't listed:\n{}", unlisted.join("\n"));
    for key in &listed {
        assert!(found.contains_key(key), "{} is listed for its {} but no longer differs", key.0, key.1);
    }
}

/// Case and what differs, from the lines `case TAB what TAB reason`.
fn listed_differences() -> Vec<(String, String)> {
    let table = include_str!("../golden/differences.tsv");
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split('\t').collect::<Vec<_>>().as_slice() {
            [name, what, reason] if !reason.is_empty() => ((*name).to_owned(), (*what).to_owned()),
            _ => panic!("not three columns: {line}"),
        })
        .collect()
}

fn differences(name: &str, case: &Value) -> Vec<(&'static str, String)> {
    let mut body = case["kwargs"].clone();
    let fields = body.as_object_mut().unwrap();
    fields.remove("drop_params");
    let model = fields["model"].as_str().unwrap().trim_start_matches("anthropic/").to_owned();
    let mut call = call(Operation::ChatCompletions, &model, &body);
    // What LiteLLM takes for the models that these cases name.
    call.params.push(("max_output_tokens".to_owned(), "128000".to_owned()));
    let outcome = run::<Anthropic>(call, &upstream(name, case), 2);

    let mut differences = Vec::new();
    let mut compare = |what: &'static str, ours: Value, theirs: Value| {
        if ours != theirs {
            differences.push((what, format!("ours:   {ours}\ntheirs: {theirs}")));
        }
    };
    if let Some(sent) = case["upstream"].as_array().unwrap().first() {
        let request = outcome.request.as_ref().expect(name);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        compare("request", body, sent["body"].clone());
        assert_eq!(sent["path"], format!("/{}", request.path));
        for key in ["anthropic-version", "anthropic-beta", "content-type"] {
            let ours = request.headers.iter().find(|header| header.name == key).map(|header| header.value.as_str());
            compare("headers", json!(ours), sent["headers"][key].clone());
        }
    }
    if case.get("error").is_some() {
        compare("error", error(&outcome, &case["error"], name), case["error"]["status"].clone());
    } else if let Some(answer) = case.get("response") {
        compare("answer", meaning(data::meaning_of_answer(outcome.answer.as_ref().expect(name))), {
            meaning(data::meaning_of_answer(answer))
        });
    } else {
        let theirs = data::meaning_of_chunks(name, case["chunks"].as_array().unwrap());
        compare("answer", meaning(data::meaning_of_chunks(name, &outcome.chunks)), meaning(theirs));
    }
    differences
}

/// LiteLLM guesses how many tokens were spent on reasoning, and has white space in JSON.
fn meaning(mut found: Value) -> Value {
    found.as_object_mut().unwrap().remove("reasoning_tokens");
    if let Ok(json @ Value::Object(_)) = serde_json::from_str(found["text"].as_str().unwrap()) {
        found["text"] = json;
    }
    found
}

/// The status that the client would get, in place of LiteLLM's.
fn error(outcome: &Outcome, theirs: &Value, name: &str) -> Value {
    let message = theirs["message"].as_str().unwrap();
    if theirs["type"] == "UnsupportedParamsError" {
        // The gateway makes a 400 of these.
        let unsupported = outcome.warnings.iter().filter(|warning| warning.loss == Loss::Unsupported);
        let unsupported: Vec<&str> = unsupported.map(|warning| warning.path.as_str()).collect();
        let list = message.split(['[', ']']).nth(1).filter(|_| message.contains("parameters: ["));
        let named = list.map(|list| list.replace('\'', "")).unwrap_or_else(|| "temperature".to_owned());
        let all = named.split(", ").all(|name| unsupported.contains(&name));
        return if all { json!(400) } else { json!(unsupported) };
    }
    let failure = outcome.failure.as_ref().expect(name);
    // In a stream the status has long been sent.
    if name.starts_with("astream") { theirs["status"].clone() } else { json!(status(failure)) }
}

fn status(failure: &Failure) -> u16 {
    match (failure.status, failure.kind) {
        (0, FailureKind::InvalidRequest) => 400,
        (0, FailureKind::QuotaExceeded) => 429,
        (0, kind) => panic!("no status for {kind:?}"),
        (status, _) => status,
    }
}

/// What the fake upstream answered when the cases were made. The files don't say; this is what gives their answers.
fn upstream(name: &str, case: &Value) -> Upstream {
    let message = |content: Value, stop_reason: &str, usage: Value| {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": stop_reason, "stop_sequence": null, "usage": usage})
    };
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let short = json!({"input_tokens": 10, "output_tokens": 3});
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["anthropic_err", status, kind, beginning] => {
            let said = case["error"]["message"].as_str().unwrap();
            let start = said.find(&format!("\"{beginning}")).unwrap() + 1;
            let words: String = said[start..].chars().take_while(|c| *c != '"').collect();
            let body = json!({"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_1"});
            answer(status.parse().unwrap(), "application/json", body.to_string())
        }
        ["anthropic_stop", reason] => whole(message(text("x"), reason, short)),
        ["anthropic_resp", "json_tool"] => {
            let block = json!({"type": "tool_use", "id": "toolu_1", "name": "json_tool_call", "input": {"a": 1}});
            whole(message(json!([block]), "tool_use", short))
        }
        ["anthropic_resp", "thinking"] => {
            let content = json!([{"type": "thinking", "thinking": "hmm", "signature": "s=="},
                {"type": "redacted_thinking", "data": "zzz"}, {"type": "text", "text": "42"}]);
            let usage = json!({"input_tokens": 5, "output_tokens": 20, "cache_creation_input_tokens": 100,
                "cache_read_input_tokens": 7, "service_tier": "standard",
                "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0}});
            whole(message(content, "end_turn", usage))
        }
        ["astream", kind] => answer(200, "text/event-stream", stream(kind)),
        _ => whole(message(text("Hi"), "end_turn", short)),
    }
}

fn whole(message: Value) -> Upstream {
    answer(200, "application/json", message.to_string())
}

fn answer(status: u16, media: &str, body: String) -> Upstream {
    let headers = vec![Header { name: "content-type".to_owned(), value: media.to_owned() }];
    Upstream { status, headers, body: body.into_bytes() }
}

fn stream(kind: &str) -> String {
    let start =
        |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let text = |index: u64, text: &str| delta(index, json!({"type": "text_delta", "text": text}));
    let input = |json: &str| delta(1, json!({"type": "input_json_delta", "partial_json": json}));
    let think = |text: &str| delta(0, json!({"type": "thinking_delta", "thinking": text}));
    let begin = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "content": [], "usage": {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 2}}});
    let end = |reason: &str| {
        [
            json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ]
    };
    let empty_text = json!({"type": "text", "text": ""});
    let tool = |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let mut events = vec![begin, json!({"type": "ping"})];
    match kind {
        "text_usage" => {
            events.extend([start(0, empty_text), text(0, "Hel"), text(0, "lo"), stop(0)]);
            events.extend(end("end_turn"));
        }
        "think" => {
            events.extend([start(0, json!({"type": "thinking", "thinking": ""})), think("hm"), think("m")]);
            events.extend([delta(0, json!({"type": "signature_delta", "signature": "sig"})), stop(0)]);
            events.extend([start(1, json!({"type": "redacted_thinking", "data": "zz"})), stop(1)]);
            events.extend([start(2, empty_text), text(2, "42"), stop(2)]);
            events.extend(end("end_turn"));
        }
        "tool" => {
            events.extend([start(0, empty_text), text(0, "ok"), stop(0), start(1, tool("toolu_1", "get_weather"))]);
            events.extend([input(""), input("{\"ci"), input("ty\":\"P\"}"), stop(1)]);
            events.extend([start(2, tool("toolu_2", "ping")), stop(2)]);
            events.extend(end("tool_use"));
        }
        "err_mid" => {
            events.extend([start(0, empty_text), text(0, "par")]);
            events.push(json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}));
        }
        "truncated" => events.extend([start(0, empty_text), text(0, "par")]),
        other => panic!("a new case: {other}"),
    }
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).collect()
}
