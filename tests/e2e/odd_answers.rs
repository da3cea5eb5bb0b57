//! Answers that are nearly right, and what the client is told of them.

use ai_api_e2e::{Answer, FakeUpstream, Gateway, Reply, Step, Wire, check_error};
use reqwest::Method;
use serde_json::{Value, json};

use crate::trio::{Trio, caught};

#[tokio::test]
async fn a_status_that_is_no_answer_is_a_502() {
    for status in [101, 204, 205, 302, 304, 600, 999] {
        let trio = Trio::replying(|_| Reply::status(status)).await;
        for case in trio.cases() {
            for more in [json!({}), json!({"stream": true})] {
                let answer = case.client.chat_with(&case.name, "hi", more.clone()).await;
                assert_eq!(answer.status, 502, "{status} {:?} {more}: {}", case.wire, answer.text());
                answer.error();
            }
        }
    }
}

fn choice(index: usize, text: &str, finish_reason: Option<&str>) -> String {
    let delta = if text.is_empty() { json!({}) } else { json!({"role": "assistant", "content": text}) };
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]});
    format!("data: {chunk}\n\n")
}

#[tokio::test]
async fn a_stream_is_whole_without_done_only_if_all_its_choices_are() {
    let wire = Wire::OpenAi;
    let begun = [choice(0, "a", None), choice(1, "b", None), choice(0, "", Some("stop"))];
    let half = Reply::events(begun.clone());
    let whole = Reply::events(begun).send(choice(1, "", Some("length")));
    for (reply, is_whole) in [(half, false), (whole, true)] {
        let upstream = FakeUpstream::replying(reply);
        let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
        let transcript = gateway.client().stream_with("model", "hi", json!({"n": 2})).await.transcript().await;
        assert_eq!((transcript.done, transcript.error.is_none()), (is_whole, is_whole), "{transcript:#?}");
        let texts: Vec<String> = transcript.meaning().choices.into_iter().map(|(text, _)| text).collect();
        assert_eq!(texts, ["a", "b"]);
    }
}

#[tokio::test]
async fn an_error_inside_a_stream_has_openais_shape_whatever_the_providers_was() {
    let wire = Wire::OpenAi;
    let mut flaws = Vec::new();
    for error in [
        json!({"message": "mid", "code": 500}),
        json!({"message": "mid", "code": 429.5, "type": 7}),
        json!({"message": "mid", "code": "overloaded", "type": null}),
        json!({"message": "mid", "metadata": {"raw": "x"}}),
        json!({"message": {"text": "mid"}}),
        json!({"message": "mid", "param": {"a": 1}, "code": {"a": 1}}),
        json!({"message": "mid", "param": 7, "code": true}),
        json!("mid"),
        json!(["mid"]),
    ] {
        let event = format!("data: {}\n\n", json!({"error": error}));
        let begun = Reply::events(wire.opening()).send(wire.text("said")).send(event);
        let upstream = FakeUpstream::replying(wire.ending().into_iter().fold(begun, Reply::send));
        let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
        let transcript = gateway.client().stream("model", "hi").await.transcript().await;
        assert!(!transcript.done, "{error}: {transcript:#?}");
        assert_eq!(transcript.meaning().text, "said", "{error}");
        let told = transcript.error.unwrap_or_else(|| panic!("{error}: no error event"));
        let told_of = told.clone();
        let shaped = caught(async move { check_error(&told_of) }).await;
        if let Err(flaw) = shaped {
            flaws.push(format!("{error}: {flaw}"));
        }
        if error["message"] == "mid" {
            assert!(told["message"].as_str().is_some_and(|message| message.contains("mid")), "{error}: {told}");
        }
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

#[tokio::test]
async fn one_clock_runs_for_a_whole_answer() {
    let trio = Trio::replying(|wire| {
        let body = wire.answer("hello").to_string();
        Reply::status(200).header("content-type", "application/json").send(&body.as_bytes()[..20]).step(Step::Stall)
    })
    .await;
    for case in trio.cases() {
        let body: Value = json!({"model": case.name, "messages": [{"role": "user", "content": "hi"}]});
        let request = case.client.request(Method::POST, "/v1/chat/completions").header("x-litellm-timeout", "1");
        let answer = Answer::to(request.header("content-type", "application/json").body(body.to_string())).await;
        assert_eq!(answer.status, 504, "{:?}: {}", case.wire, answer.text());
        answer.error();
        case.upstream.left_alone(1).await;
    }
}

#[tokio::test]
async fn an_answer_of_10_mb_arrives_whole() {
    // A leak would not fit, a quadratic decoder would not end.
    let text: String = (0..10_000_000 / 8).map(|index| format!("{index:07} ")).collect();
    let trio = Trio::replying(|wire| wire.reply(&text)).await;
    for case in trio.cases() {
        let answer = case.client.chat(&case.name, "hi").await;
        assert_eq!(answer.status, 200, "{}", &answer.text()[..answer.text().len().min(2000)]);
        assert!(answer.content() == text, "changed on the way: {} bytes", answer.body.len());
    }
}
