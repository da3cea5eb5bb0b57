//! `ai-api plugin check --recordings` and `plugin call`: what an author is told of recordings, of causes and of the log.

use std::path::Path;

use ai_api_e2e::{Gateway, Run, TempDir, Wire, example, guest, shipped};
use serde_json::{Value, json};

async fn plugin(args: &[&str]) -> Run {
    Gateway::run(&[&["plugin"], args].concat(), &[]).await
}

fn path(file: &Path) -> &str {
    file.to_str().expect("a temporary path is UTF-8")
}

/// What `plugin check` says of one recorded exchange of the shipped Anthropic plugin.
async fn checked(body: &Value, expected: Option<Value>) -> Run {
    let folder = TempDir::new();
    let response = json!({"status": 200, "headers": {"content-type": "application/json"}, "body": body});
    let mut recording = json!({"version": 1, "responses": [response], "call": {
        "id": "a", "created": 1_700_000_000, "operation": "chat-completions", "model": "claude-sonnet-4-6",
        "requested_model": "mine", "streaming": false,
        "body": {"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "hi"}]},
    }});
    if let Some(expected) = expected {
        recording["expected"] = expected;
    }
    folder.write("chat.json", recording.to_string());
    plugin(&["check", path(&shipped("anthropic")), "--recordings", path(folder.path())]).await
}

#[tokio::test]
async fn a_recorded_success_becomes_an_answer_or_what_its_file_expects() {
    let good = serde_json::from_str(&Wire::Anthropic.answer("hello").to_string()).expect("an answer is JSON");
    let bad = json!({"type": "message", "content": 7});
    let content = |text: &str| Some(json!({"answer": {"choices": [{"message": {"content": text}}]}}));
    for (body, expected, says) in [
        (&good, None, Ok("(1: 1 answers, 0 failures)")),
        (&good, content("hello"), Ok("(1: 1 answers, 0 failures)")),
        (
            &good,
            content("bye"),
            Err("chat.json: expected → came: answer.choices[0].message.content: \"bye\" → \"hello\""),
        ),
        (&good, Some(json!({"usage": {"prompt_tokens": 6}})), Err("usage.prompt_tokens: 6 → 5")),
        (
            &good,
            Some(json!({"failure": {"message": "no"}})),
            Err("chat.json: it should be a failure (\"no\"), and isn't"),
        ),
        (&bad, None, Err("chat.json: the provider's 200 became a failure: ")),
        (&bad, Some(json!({"failure": {}})), Ok("(1: 0 answers, 1 failures)")),
        (&bad, Some(json!({"failure": {"status": 418}})), Err("failure.status: 418 → ")),
        (&bad, content("hello"), Err("chat.json: it should be an answer, and became a failure: ")),
    ] {
        let run = checked(body, expected.clone()).await;
        let (success, says) = match says {
            Ok(says) => (true, says),
            Err(says) => (false, says),
        };
        assert!(run.success == success && run.said.contains(says), "{expected:?}: no {says:?} in {}", run.said);
        assert_eq!(run.said.contains("FAIL  recordings"), !success, "{}", run.said);
        assert!(!run.said.contains("no real answer"), "{}", run.said);
    }
}

#[tokio::test]
async fn every_example_keeps_its_cases_in_the_check_too() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples/cases");
    for language in ["rust", "python", "javascript", "c"] {
        let Some(file) = example(language) else { continue };
        let run = plugin(&["check", path(&file), "--recordings", path(&cases)]).await;
        assert!(run.success && run.said.contains("(21: 6 answers, 15 failures)"), "{language}: {}", run.said);
    }
}

#[tokio::test]
async fn a_check_without_recordings_says_so_at_its_end() {
    let run = plugin(&["check", path(&shipped("anthropic"))]).await;
    assert!(run.success, "{}", run.said);
    assert!(
        run.said.trim_end().ends_with("no real answer was translated: give some with --recordings"),
        "{}",
        run.said
    );
}

#[tokio::test]
async fn one_cause_is_told_once_and_what_it_makes_pointless_is_skipped() {
    let run = plugin(&["check", path(&guest("hostile")), "--model", "trap"]).await;
    assert!(!run.success && run.said.contains("no request is translated: the plugin trapped"), "{}", run.said);
    assert!(run.said.contains("skip  junk-events     requests failed"), "{}", run.said);
    assert!(run.said.contains("16 checks, 1 failed, 13 skipped"), "{}", run.said);
    // The panic's place and words, from the plugin's log.
    assert!(run.said.contains("log error: panicked at tests/guests/hostile/src/lib.rs:"), "{}", run.said);
    assert!(run.said.contains(": a guest that panics, with words that are not for the client"), "{}", run.said);

    let run = plugin(&["check", path(&guest("hostile")), "--model", "hunt"]).await;
    let (shown, more) = run.said.split_once("FAIL  errors").expect("it fails").1.split_once("… and ").expect("more");
    assert_eq!(shown.matches("with an error like").count(), 3, "{}", run.said);
    assert!(more.split_once(" more").is_some_and(|(count, _)| count.parse::<u32>().is_ok()), "{}", run.said);
}

#[tokio::test]
async fn call_shows_the_plugins_log_and_no_request_that_would_not_be_sent() {
    let home = TempDir::new();
    let request = home.write("request.json", json!({"messages": []}).to_string());
    let answer = home.write("answer.json", json!({"status": 200, "body": {}}).to_string());
    let file = guest("hostile");
    let call = async |model: &str| {
        plugin(&["call", path(&file), path(&request), "--model", model, "--upstream", path(&answer)]).await
    };
    let run = call("path:0").await;
    assert!(!run.success && run.said.contains("BROKEN the plugin asked for the path"), "{}", run.said);
    assert!(!run.said.contains('→') && !run.said.contains('←'), "{}", run.said);
    let run = call("trap").await;
    assert!(
        !run.success && run.said.contains("log error: panicked at tests/guests/hostile/src/lib.rs:"),
        "{}",
        run.said
    );
}

#[tokio::test]
async fn check_without_a_file_says_what_it_looked_for() {
    let run = plugin(&["check"]).await;
    assert!(!run.success && run.said.contains("say which plugin: ai-api plugin check FILE.wasm"), "{}", run.said);
}
