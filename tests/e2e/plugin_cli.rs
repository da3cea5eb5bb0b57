//! `ai-api plugin`: what a component is, what it makes of a request, and what a new version changes.

use std::path::Path;

use ai_api_e2e::{Gateway, Run, TempDir, Wire, guest, patched as patched_guest, shipped};
use serde_json::{Value, json};

/// `ai-api plugin ARGS`
async fn plugin(args: &[&str]) -> Run {
    Gateway::run(&[&["plugin"], args].concat(), &[]).await
}

fn path(file: &Path) -> &str {
    file.to_str().expect("a temporary path is UTF-8")
}

fn parsed(run: &Run) -> Value {
    serde_json::from_str(&run.said).unwrap_or_else(|error| panic!("{error}: {}", run.said))
}

#[tokio::test]
async fn inspect_says_what_a_shipped_plugin_is_and_what_it_gets() {
    for name in ["openai", "anthropic", "gemini", "echo"] {
        let file = shipped(name);
        let run = plugin(&["inspect", path(&file)]).await;
        assert!(run.success, "{}", run.said);
        for says in [name, "loads       yes", "ai-api:plugin@0.1.0", "/v1/chat/completions", "sha256"] {
            assert!(run.said.contains(says), "{name}: no {says:?} in {}", run.said);
        }
        assert!(!run.said.contains('\u{1b}'), "colour without a terminal: {:?}", run.said);
        let found = parsed(&plugin(&["inspect", path(&file), "--json"]).await);
        assert_eq!((&found["manifest"]["name"], &found["loads"]), (&json!(name), &json!(true)), "{found:#}");
        let imports = found["imports"].as_array().expect("a list");
        assert!(imports.iter().all(|import| import["gets"].is_string() && import["refused"].is_null()), "{found:#}");
        assert_eq!(found["bytes"], std::fs::metadata(&file).expect("it is there").len());
    }
}

#[tokio::test]
async fn inspect_says_why_a_file_does_not_load() {
    let home = TempDir::new();
    // A component that imports an instance, which is empty, and exports nothing.
    let importing = |name: &str| {
        let mut bytes = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0\x0a".to_vec();
        bytes.extend([name.len() as u8 + 5, 1, 0, name.len() as u8]);
        bytes.extend(name.as_bytes());
        bytes.extend([5, 0]);
        bytes
    };
    let socket = importing("wasi:sockets/tcp@0.2.0");
    for (bytes, says) in [
        (socket, "REFUSED: imports wasi:sockets/tcp@0.2.0, which plugins don't get: a plugin has no network"),
        (importing("url=<x\u{1b}[2J\r\nFORGED>"), "REFUSED: imports url=<x\\u{1b}[2J\\r\\nFORGED>"),
        (b"this is no component".to_vec(), "not WebAssembly"),
        (b"\0asm\x01\0\0\0".to_vec(), "it is a core module"),
        (b"\0asm\x0d\0\x01\0".to_vec(), "exports no provider interface"),
    ] {
        let file = home.write("odd.wasm", bytes);
        let run = plugin(&["inspect", path(&file)]).await;
        assert!(!run.success && run.said.contains(says), "no {says:?} in {}", run.said);
        assert!(run.said.contains("loads       NO"), "{}", run.said);
        assert!(!run.said.contains('\u{1b}') && !run.said.contains("\nFORGED"), "{:?}", run.said);
        let found = parsed(&plugin(&["inspect", path(&file), "--json"]).await);
        assert_eq!(found["loads"], false, "{found:#}");
        // What doesn't load fails the first check, by its name.
        let run = plugin(&["check", path(&file)]).await;
        assert!(!run.success && run.said.contains("FAIL  loads"), "{}", run.said);
    }
}

#[tokio::test]
async fn call_shows_the_request_and_with_a_recorded_answer_the_way_back() {
    let home = TempDir::new();
    let body = json!({"model": "mine", "messages": [{"role": "user", "content": "hi"}], "seed": 1});
    let request = home.write("request.json", body.to_string());
    let file = shipped("anthropic");
    let call = ["call", path(&file), path(&request), "--model", "claude-sonnet-4-6"];

    let there = plugin(&call).await;
    assert!(there.success, "{}", there.said);
    for says in ["→ POST v1/messages", "anthropic-version", "\"text\": \"hi\"", "warning seed (unsupported)"] {
        assert!(there.said.contains(says), "no {says:?} in {}", there.said);
    }

    let answer = json!({"status": 200, "headers": {"content-type": "application/json"},
        "body": Wire::Anthropic.answer("hello")});
    let answer = home.write("answer.json", answer.to_string());
    let back = parsed(&plugin(&[&call[..], &["--upstream", path(&answer), "--json"]].concat()).await);
    assert_eq!(back["answer"]["choices"][0]["message"]["content"], "hello", "{back:#}");
    assert_eq!(back["answer"]["model"], "mine", "{back:#}");
    assert_eq!(back["requests"][0]["body"]["model"], "claude-sonnet-4-6", "{back:#}");
    assert_eq!((&back["usage"]["prompt_tokens"], &back["warnings"][0]["path"]), (&json!(5), &json!("seed")));

    let stream = json!({"status": 200, "headers": {"content-type": "text/event-stream"},
        "body_text": Wire::Anthropic.stream(&["a", "b", "c"]).concat()});
    let stream = home.write("stream.json", stream.to_string());
    for reads in ["1", "2", "100"] {
        let more = ["--upstream", path(&stream), "--stream", "--events-per-read", reads, "--json"];
        let back = parsed(&plugin(&[&call[..], &more].concat()).await);
        assert_eq!(back["answer"]["choices"][0]["delta"]["content"], "abc", "{reads}: {back:#}");
        assert_eq!(back["answer"]["choices"][0]["finish_reason"], "stop", "{reads}: {back:#}");
        assert!(back["chunks"].as_array().expect("a list").len() > 3, "{back:#}");
    }
}

#[tokio::test]
async fn call_refuses_what_the_gateway_would_refuse() {
    let home = TempDir::new();
    let request = home.write("request.json", json!({"messages": []}).to_string());
    let file = guest("hostile");
    for (model, says) in [
        ("path:0", "asked for the path '//evil.example/v1'"),
        ("header:authorization", "set the header 'authorization', which it may not"),
        ("method:CONNECT", "unknown method"),
        ("trap", "trapped"),
        ("bad-json", "no JSON object"),
    ] {
        let run = plugin(&["call", path(&file), path(&request), "--model", model]).await;
        assert!(!run.success && run.said.contains("BROKEN") && run.said.contains(says), "{model}: {}", run.said);
    }
    let run = plugin(&["call", path(&file), path(&request), "--model", "fine", "--operation", "embeddings"]).await;
    assert!(!run.success && run.said.contains("does not serve /v1/embeddings"), "{}", run.said);
}

#[tokio::test]
async fn call_refuses_a_query_parameter_that_holds_keys_as_the_gateway_does() {
    let home = TempDir::new();
    let request = home.write("request.json", json!({"messages": []}).to_string());
    let file = guest("probe-query");
    for (name, refused) in [("api_key", true), ("X-Amz-Signature", true), ("alt", false)] {
        let model = format!("query:{name}");
        let run = plugin(&["call", path(&file), path(&request), "--model", &model]).await;
        let says = format!("set the query parameter '{name}', which it may not");
        assert_eq!((run.success, run.said.contains(&says)), (!refused, refused), "{name}: {}", run.said);
    }
}

#[tokio::test]
async fn call_refuses_a_stream_of_another_type_than_the_plugin_reads() {
    let home = TempDir::new();
    let request = home.write("request.json", json!({"messages": [], "stream": true}).to_string());
    for (name, reads, other) in [
        ("probe-aws", "application/vnd.amazon.eventstream", "text/event-stream"),
        ("probe-header", "text/event-stream", "application/vnd.amazon.eventstream"),
    ] {
        let file = guest(name);
        let call = async |media_type: &str| {
            let answer = json!({"status": 200, "headers": {"content-type": media_type}, "events": []});
            let answer = home.write("answer.json", answer.to_string());
            plugin(&["call", path(&file), path(&request), "--model", "echo", "--upstream", path(&answer)]).await
        };
        let says = format!("reads a stream of {reads} where its provider answers with '{other}'");
        let run = call(other).await;
        assert!(!run.success && run.said.contains(&says), "{name}: no {says:?} in {}", run.said);
        let run = call(reads).await;
        assert!(run.success, "{name}: {}", run.said);
        // The suite answers in the framing that the plugin reads.
        let run = plugin(&["check", path(&file), "--model", "echo"]).await;
        assert!(!run.said.contains("where its provider answers with"), "{name}: {}", run.said);
    }
}

/// A recording of a small exchange with Anthropic.
fn recording(id: &str, streaming: bool) -> Value {
    let response = if streaming {
        json!({"status": 200, "headers": {"content-type": "text/event-stream"},
            "body_text": Wire::Anthropic.stream(&["a", "b"]).concat()})
    } else {
        json!({"status": 200, "headers": {"content-type": "application/json"}, "body": Wire::Anthropic.answer("hello")})
    };
    json!({"version": 1, "responses": [response], "call": {
        "id": id, "created": 1_700_000_000, "operation": "chat-completions", "model": "claude-sonnet-4-6",
        "requested_model": "mine", "streaming": streaming,
        "body": {"model": "claude-sonnet-4-6", "stream": streaming, "messages": [{"role": "user", "content": "hi"}]},
    }})
}

/// `from` in the shipped Anthropic plugin replaced with `to`, of the same length.
fn patched(home: &TempDir, from: &str, to: &str) -> std::path::PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(shipped("anthropic")).expect("it is there");
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "{from:?} isn't in the plugin");
    for at in places {
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    home.write("patched.wasm", bytes)
}

#[tokio::test]
async fn the_replay_gate_names_what_a_new_version_changes_and_fails_by_policy() {
    let home = TempDir::new();
    let recordings = TempDir::new();
    recordings.write("1-whole.json", recording("a", false).to_string());
    recordings.write("2-stream.json", recording("b", true).to_string());
    let old = shipped("anthropic");
    let compare = async |new: &Path, policy: &[&str]| {
        let args = ["check", path(new), "--against", path(&old), "--recordings", path(recordings.path())];
        plugin(&[&args[..], policy].concat()).await
    };

    let same = compare(&old, &[]).await;
    assert!(same.success && same.said.contains("2 recordings, 0 with differences"), "{}", same.said);
    // 5 tokens in, 2 out, twice, at 3 and 15 dollars a million.
    assert!(same.said.contains("cost: $0.00009 → $0.00009"), "{}", same.said);

    let request = patched(&home, "2023-06-01", "2024-06-01");
    let run = compare(&request, &[]).await;
    let line = "1-whole.json  requests[0].headers.anthropic-version: \"2023-06-01\" → \"2024-06-01\"";
    assert!(!run.success && run.said.contains(line), "no {line:?} in {}", run.said);
    assert!(
        run.said.contains("2 recordings, 2 with differences (request 2, answer 0, usage 0, cost 0)"),
        "{}",
        run.said
    );
    for (policy, success) in [("request", false), ("answer", true), ("usage", true), ("cost", true), ("none", true)] {
        assert_eq!(compare(&request, &["--fail-on", policy]).await.success, success, "{policy}");
    }

    let answer = patched(&home, "chat.completion.chunk", "chat.completion.CHUNK");
    let run = compare(&answer, &[]).await;
    for at in ["answer.object", "chunks[0].object"] {
        let line = format!("2-stream.json  {at}: \"chat.completion.chunk\" → \"chat.completion.CHUNK\"");
        assert!(!run.success && run.said.contains(&line), "no {line:?} in {}", run.said);
    }
    assert!(!run.said.contains("1-whole.json"), "{}", run.said);
    assert!(compare(&answer, &["--fail-on", "request"]).await.success);

    let json = parsed(&compare(&answer, &["--json"]).await);
    assert_eq!(json["differing"]["2-stream.json"][0]["path"], "answer.object", "{json:#}");
}

#[tokio::test]
async fn the_replay_gate_shows_what_another_count_of_tokens_costs() {
    let (home, recordings) = (TempDir::new(), TempDir::new());
    let mut recording = recording("a", false);
    recording["responses"][0]["body"] = json!({"text": "hello"});
    recordings.write("1-whole.json", recording.to_string());
    // Named so, since prices are a provider's.
    let version = |file: &str, tokens: &str| {
        let words = [("careless-guest", "anthropic....."), ("TOKENS-0002", tokens)];
        home.write(file, patched_guest("careless", &words))
    };
    let (old, new) = (version("old.wasm", "TOKENS-0002"), version("new.wasm", "TOKENS-0009"));
    let compare = async |policy: &str| {
        let args = ["check", path(&new), "--against", path(&old), "--recordings", path(recordings.path())];
        plugin(&[&args[..], &["--fail-on", policy]].concat()).await
    };

    let run = compare("any").await;
    for says in [
        "1-whole.json  usage.completion_tokens: 2 → 9",
        // 5 tokens in at 3 dollars a million, 2 or 9 out at 15.
        "1-whole.json  cost: \"$0.000045\" → \"$0.00015\"",
        "1 recordings, 1 with differences (request 0, answer 0, usage 1, cost 1)",
        "cost: $0.000045 → $0.00015",
    ] {
        assert!(!run.success && run.said.contains(says), "no {says:?} in {}", run.said);
    }
    for (policy, success) in [("request", true), ("answer", true), ("usage", false), ("cost", false), ("none", true)] {
        assert_eq!(compare(policy).await.success, success, "{policy}");
    }
}

#[tokio::test]
async fn the_replay_gate_refuses_what_is_no_recording_by_its_name() {
    let old = shipped("anthropic");
    for (content, says) in [
        (None, "there is no recording"),
        (Some("{}"), "odd.json: it is no recording"),
        (Some("{\"version\": 2}"), "odd.json: it is a recording of version 2"),
    ] {
        let folder = TempDir::new();
        if let Some(content) = content {
            folder.write("odd.json", content);
        }
        let run = plugin(&["check", path(&old), "--against", path(&old), "--recordings", path(folder.path())]).await;
        assert!(!run.success && run.said.contains(says), "no {says:?} in {}", run.said);
    }
}
