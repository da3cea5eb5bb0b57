//! `ai-api plugin check`: our own plugins keep what every plugin is held to, and guests that don't are told what.

use std::path::Path;

use ai_api_e2e::{Gateway, Recording, Run, TempDir, guest, patched, recordings, shipped};
use serde_json::{Value, json};

async fn check(file: &Path, more: &[&str]) -> Run {
    let file = file.to_str().expect("a path is UTF-8");
    Gateway::run(&[&["plugin", "check", file], more].concat(), &[]).await
}

/// What each check came to, by its name.
async fn results(file: &Path, more: &[&str]) -> impl Fn(&str) -> String + use<> {
    let run = check(file, &[&["--json"], more].concat()).await;
    let json: Value = serde_json::from_str(&run.said).unwrap_or_else(|error| panic!("{error}: {}", run.said));
    move |name: &str| {
        let checks = json["checks"].as_array().expect("a list");
        let found = checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name}: {json:#}"));
        format!("{} {}", found["result"].as_str().unwrap_or_default(), found["said"])
    }
}

#[tokio::test]
async fn our_own_plugins_conform() {
    for name in ["openai", "anthropic", "gemini", "echo"] {
        let run = check(&shipped(name), &[]).await;
        assert!(run.success && run.said.contains(" 0 failed"), "{name}: {}", run.said);
        assert!(run.said.contains("ok    requests"), "{name}: {}", run.said);
    }
}

/// Recorded traffic in the gateway's own format: a plain request, and what the provider answered.
fn converted(recording: &Recording) -> Value {
    let embeds = recording.operation == "batchEmbedContents";
    let mut body = if embeds {
        json!({"input": vec!["x"; recording.expected()["vectors"].as_u64().unwrap_or(1) as usize]})
    } else {
        json!({"messages": [{"role": "user", "content": "Hello"}], "stream": recording.stream})
    };
    body["model"] = json!(recording.model);
    let tools = recording.tools();
    if !tools.is_empty() {
        body["tools"] = json!(tools);
    }
    let mut response = json!({"status": recording.file["response"]["status"]});
    let is_stream = recording.answers_with_stream();
    let media_type = if is_stream { "text/event-stream" } else { "application/json" };
    response["headers"] = json!({"content-type": media_type});
    response["body_text"] = json!(String::from_utf8(recording.body()).expect("recorded bodies are text"));
    json!({"version": 1, "responses": [response], "call": {
        "id": "recorded", "created": 1_700_000_000, "operation": if embeds { "embeddings" } else { "chat-completions" },
        "model": recording.model, "requested_model": "mine", "streaming": recording.stream, "body": body,
    }})
}

#[tokio::test]
async fn our_translators_conform_with_what_their_providers_really_answered() {
    let Some(all) = recordings() else { return };
    for (provider, operations) in [
        ("anthropic", &["messages"][..]),
        ("gemini", &["generateContent", "streamGenerateContent", "batchEmbedContents"]),
    ] {
        let folder = TempDir::new();
        let mine = all.iter().filter(|it| it.provider == provider && operations.contains(&it.operation.as_str()));
        for recording in mine {
            folder.write(&format!("{}.json", recording.id), converted(recording).to_string());
        }
        let recordings = folder.path().to_str().expect("a path is UTF-8");
        let run = check(&shipped(provider), &["--recordings", recordings]).await;
        assert!(run.success, "{provider}: {}", run.said);
        for name in ["ok    recordings", "ok    cuts", "ok    cut-off", "ok    determinism"] {
            assert!(run.said.contains(name), "{provider}: no {name:?} in {}", run.said);
        }
        let against = check(
            &shipped(provider),
            &["--recordings", recordings, "--against", shipped(provider).to_str().expect("UTF-8")],
        )
        .await;
        assert!(against.success && against.said.contains(" 0 with differences"), "{provider}: {}", against.said);
    }
}

#[tokio::test]
async fn a_guest_that_misbehaves_fails_the_check_that_names_it() {
    let hostile = guest("hostile");
    for (behaviour, name, says) in [
        ("trap", "requests", "trapped"),
        ("recurse", "requests", "trapped"),
        ("path:0", "requests", "evil.example"),
        ("header:host", "requests", "'host'"),
        ("header-value", "requests", "'x-note'"),
        ("method:TRACE", "requests", "unknown method"),
        ("bad-json", "requests", "no JSON object"),
        ("bad-utf8", "requests", "no UTF-8"),
        ("blank-lines", "requests", "not on one line"),
        ("lying-status:200", "requests", "the status 200"),
        ("whole-answer", "requests", "a whole answer where a stream was asked for"),
        ("fine", "requests", "the-clients-name"),
        ("fine", "losses", "'seed'"),
        ("trap-head", "errors", "trapped"),
        ("trap-whole", "junk-answers", "trapped"),
        ("hunt", "errors", "it became an answer"),
        ("trap-events", "junk-events", "trapped"),
        ("bad-json-events", "junk-events", "no JSON object"),
        ("trap-end", "broken-streams", "trapped"),
        ("hunt", "broken-streams", "became a complete answer"),
    ] {
        let result = results(&hostile, &["--model", behaviour]).await(name);
        assert!(result.starts_with("fail") && result.contains(says), "{behaviour}: {name}: {result}");
    }
    let run = check(&hostile, &["--model", "trap"]).await;
    assert!(!run.success && run.said.contains("FAIL  requests"), "{}", run.said);
}

#[tokio::test]
async fn a_guest_whose_stream_depends_on_how_the_network_cuts_it_is_told() {
    let folder = TempDir::new();
    let stream = json!({"status": 200, "headers": {"content-type": "text/event-stream"},
        "body_text": "data: {\"one\": 1}\n\ndata: {\"two\": 2}\n\n"});
    let recording = json!({"version": 1, "responses": [stream], "call": {
        "id": "a", "created": 1, "operation": "chat-completions", "model": "hunt", "requested_model": "hostile",
        "streaming": true, "body": {"model": "hunt", "stream": true, "messages": []},
    }});
    folder.write("two-events.json", recording.to_string());
    let more = ["--recordings", folder.path().to_str().expect("UTF-8"), "--model", "hunt"];
    let results = results(&guest("hostile"), &more).await;
    // It writes down what it has seen, again with each batch.
    let cuts = results("cuts");
    assert!(cuts.starts_with("fail") && cuts.contains("two-events.json, all at once"), "{cuts}");
    let cut_off = results("cut-off");
    assert!(cut_off.starts_with("fail") && cut_off.contains("broken off after 0 of 2 events"), "{cut_off}");
}

/// A whole answer and a stream of the careless guest's provider.
fn careless_recordings() -> TempDir {
    let folder = TempDir::new();
    for (name, streaming, media_type, body) in [
        ("whole.json", false, "application/json", r#"{"text":"hello"}"#),
        (
            "stream.json",
            true,
            "text/event-stream",
            "data: {\"text\":\"a\"}\n\ndata: {\"text\":\"b\"}\n\ndata: {\"done\":true}\n\n",
        ),
    ] {
        let response = json!({"status": 200, "headers": {"content-type": media_type}, "body_text": body});
        let recording = json!({"version": 1, "responses": [response], "call": {
            "id": "a", "created": 1, "operation": "chat-completions", "model": "own-1", "requested_model": "mine",
            "streaming": streaming, "body": {"model": "own-1", "stream": streaming, "messages": []},
        }});
        folder.write(name, recording.to_string());
    }
    folder
}

#[tokio::test]
async fn a_guest_that_is_careless_in_one_thing_fails_the_check_of_that_thing_alone() {
    let (home, recordings) = (TempDir::new(), careless_recordings());
    let recordings = recordings.path().to_str().expect("UTF-8");
    for (word, expected) in [
        ("NEVER", None),
        ("TWICE", Some(("manifest", "/v1/chat/completions is listed twice"))),
        ("CLIMBS", Some(("manifest", "asked for the path '../admin'"))),
        ("ALL-PREFIX", Some(("manifest", "an empty prefix stands for every model"))),
        ("NO-NATIVE", Some(("manifest", "lists models to translate, but without `native` all are"))),
        ("MODEL-NAMES", Some(("model-names", "with the model '../../admin'"))),
        ("LARGE-PROMPTS", Some(("large-prompts", "with 4 MB: the plugin wanted more than"))),
        ("RETRY-AFTER", Some(("retry-after", "(stream): 7 s became none"))),
        ("REUSE", Some(("reuse", "x-calls-before"))),
    ] {
        let bytes = patched("careless", &[("CARELESS-NEVER........", &format!("{:.<22}", format!("CARELESS-{word}")))]);
        let file = home.write("careless.wasm", bytes);
        let run = check(&file, &["--recordings", recordings, "--json"]).await;
        let json: Value = serde_json::from_str(&run.said).unwrap_or_else(|error| panic!("{error}: {}", run.said));
        let checks = json["checks"].as_array().expect("a list");
        let failed: Vec<&Value> = checks.iter().filter(|check| check["result"] == "fail").collect();
        assert_eq!(run.success, failed.is_empty(), "{word}");
        match (expected, &failed[..]) {
            (None, []) => {}
            (Some((name, says)), [check]) if check["check"] == name => {
                assert!(check["said"].to_string().contains(says), "{word}: no {says:?} in {check:#}");
            }
            _ => panic!("{word}: {failed:#?}"),
        }
    }
}

#[tokio::test]
async fn a_guest_whose_answer_depends_on_chance_or_on_the_clock_is_told() {
    for (asks_for, holds) in [("environment", true), ("random", false), ("time", false)] {
        let found = results(&guest("wasi"), &["--model", asks_for]).await("determinism");
        assert_eq!(found.starts_with("ok"), holds, "{asks_for}: {found}");
        assert!(holds || found.contains("answer.choices[0].message.content"), "{asks_for}: {found}");
    }
}

#[tokio::test]
async fn a_guest_that_describes_itself_in_another_way_each_time_does_not_load() {
    let home = TempDir::new();
    let file = home.write("wasi.wasm", patched("wasi", &[("DESCRIBES-THE-SAME", "DESCRIBES-ANOTHER!")]));
    let loads = results(&file, &[]).await("loads");
    assert!(loads.starts_with("fail") && loads.contains("it gave two answers"), "{loads}");
}
