//! Streaming is streaming: a chunk leaves when it has arrived, and nobody pays for what nobody reads.

use ai_api_e2e::{FakeUpstream, Gate, Gateway, Reply, Step, Wire};
use serde_json::json;

use crate::trio::{Trio, provider};

/// Begins with `first`, then waits for the gate.
fn held(wire: Wire, gate: &Gate) -> Reply {
    let begun = Reply::events(wire.opening()).send(wire.text("first")).step(Step::Wait(gate.clone()));
    wire.ending().into_iter().fold(begun.send(wire.text(" second")), Reply::send)
}

#[tokio::test]
async fn the_first_event_reaches_the_client_while_the_provider_holds_the_rest_back() {
    let gate = Gate::closed();
    let trio = Trio::with(json!({}), |wire| FakeUpstream::replying(held(wire, &gate))).await;
    let mut streams = Vec::new();
    for case in trio.cases() {
        let mut stream = case.client.stream(&case.name, "hi").await;
        assert_eq!(stream.next_text().await, "first");
        streams.push(stream);
    }
    gate.open();
    for mut stream in streams {
        assert_eq!(stream.next_text().await, " second");
        assert!(stream.transcript().await.done);
    }
}

#[tokio::test]
async fn a_failure_that_comes_with_text_is_told_right_after_it_though_the_provider_does_not_end() {
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let mut together = wire.opening().unwrap_or_default();
        together += &wire.text("first");
        together += &wire.error_event("the model is overloaded");
        let upstream = FakeUpstream::replying(Reply::events([together]).step(Step::Wait(Gate::closed())));
        let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
        let mut stream = gateway.client().stream("model", "hi").await;
        assert_eq!(stream.next_text().await, "first");
        let transcript = stream.transcript().await;
        let error = transcript.error.expect("an error event");
        assert!(error["message"].as_str().is_some_and(|said| said.contains("the model is overloaded")), "{error}");
        assert!(!transcript.done);
    }
}

#[tokio::test]
async fn nothing_is_sent_before_the_provider_has_answered() {
    // It could still refuse.
    let gate = Gate::closed();
    let trio = Trio::with(json!({}), |wire| {
        FakeUpstream::replying(Reply::json(429, &wire.error(429, "too late to be a stream")).head_after(&gate))
    })
    .await;
    let mut calls = Vec::new();
    for case in trio.cases() {
        let (client, name) = (case.client.clone(), case.name.clone());
        calls.push(tokio::spawn(async move { client.stream(&name, "hi").await.answer().await }));
        case.upstream.asked(1).await;
    }
    gate.open();
    for call in calls {
        assert_eq!(call.await.expect("no panic").status, 429);
    }
}

#[tokio::test]
async fn a_translated_stream_looks_like_openais_own() {
    let trio = Trio::with(json!({}), |wire| provider(wire, "hello")).await;
    for case in trio.cases() {
        let mut stream = case.client.stream(&case.name, "hi").await;
        assert_eq!(stream.status, 200);
        assert!(stream.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")));
        assert!(stream.header("x-litellm-call-id").is_some());
        assert!(stream.header("content-length").is_none());
        let transcript = stream.transcript().await;
        assert_eq!(transcript.flaws(false), [""; 0], "{transcript:#?}");
        assert_eq!(transcript.meaning().text, "hello");
        assert_eq!(transcript.meaning().finish_reason.as_deref(), Some("stop"));
        if case.wire != Wire::OpenAi {
            assert_eq!(transcript.chunks[0]["model"], case.name, "the name that the client used");
        }
    }
}

#[tokio::test]
async fn a_client_that_asks_for_usage_gets_it_at_the_end() {
    let trio = Trio::with(json!({}), |wire| provider(wire, "hello")).await;
    for case in trio.cases() {
        let more = json!({"stream_options": {"include_usage": true}});
        let transcript = case.client.stream_with(&case.name, "hi", more).await.transcript().await;
        assert_eq!(transcript.flaws(true), [""; 0], "{transcript:#?}");
        let meaning = transcript.meaning();
        let tokens = ["/prompt_tokens", "/completion_tokens", "/total_tokens"].map(|field| meaning.tokens(field));
        assert_eq!(tokens, [5, 2, 7], "{transcript:#?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_ask_for_usage_gets_none_though_the_provider_is_asked() {
    let trio = Trio::with(json!({}), |wire| provider(wire, "hello")).await;
    for case in trio.cases() {
        for more in [json!({}), json!({"stream_options": null}), json!({"stream_options": {"include_usage": false}})] {
            let transcript = case.client.stream_with(&case.name, "hi", more.clone()).await.transcript().await;
            assert_eq!(transcript.flaws(false), [""; 0], "{more}: {transcript:#?}");
            if case.wire == Wire::OpenAi {
                let sent = case.upstream.last().json();
                assert_eq!(sent["stream_options"]["include_usage"], true, "{more}: {sent}");
            }
        }
    }
}

#[tokio::test]
async fn a_call_arrives_at_the_providers_own_path_with_its_own_credential() {
    let trio = Trio::with(json!({}), |wire| provider(wire, "hello")).await;
    for case in trio.cases() {
        for streamed in [false, true] {
            case.client.chat_with(&case.name, "hi", json!({"stream": streamed})).await;
            let request = case.upstream.last();
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", case.wire.path(streamed)));
            let (name, value) = case.wire.credential(&format!("sk-upstream-{}", case.name));
            assert_eq!(request.header(name), Some(value.as_str()));
            for other in ["authorization", "x-api-key", "x-goog-api-key"].into_iter().filter(|other| *other != name) {
                assert_eq!(request.header(other), None, "{request:?}");
            }
            assert_eq!(request.header("host"), Some(case.upstream.authority().as_str()));
            assert_eq!(request.header("content-type"), Some("application/json"));
            let query = if case.wire == Wire::Gemini && streamed { "alt=sse" } else { "" };
            assert_eq!(request.query, query, "a key in a URL ends up in logs");
            if case.wire == Wire::Anthropic {
                assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_streams_are_open_at_once() {
    let gate = Gate::closed();
    let trio = Trio::with(json!({}), |wire| FakeUpstream::replying(held(wire, &gate))).await;
    for case in trio.cases() {
        let opened = (0..100).map(|_| {
            let (client, name) = (case.client.clone(), case.name.clone());
            tokio::spawn(async move {
                let mut stream = client.stream(&name, "hi").await;
                assert_eq!(stream.next_text().await, "first");
                stream
            })
        });
        let opened: Vec<_> = opened.collect();
        let mut streams = Vec::new();
        for stream in opened {
            streams.push(stream.await.expect("a stream opens while others are open"));
        }
        case.upstream.asked(100).await;
        drop(streams);
        case.upstream.left_alone(100).await;
    }
}
