//! What a call used is in its log line, whatever becomes of the call; and odd numbers spoil no answer.

use ai_api_e2e::{FakeUpstream, Gateway, Reply, Step, Wire};
use serde_json::{Value, json};

use crate::trio::provider;

async fn gateway(wire: Wire, upstream: &FakeUpstream) -> Gateway {
    let builder = Gateway::builder().model("model", wire.model(), &wire.base(upstream));
    builder.env("JSON_LOGS", "true").start().await
}

/// Usage as no provider should tell it, and what the log is to make of the prompt's part.
fn usages() -> Vec<(&'static str, Value)> {
    vec![
        (r#"{"prompt_tokens":5,"input_tokens":6,"completion_tokens":2,"output_tokens":3,"total_tokens":7}"#, json!(5)),
        (r#"{"input_tokens":6,"prompt_tokens":5,"completion_tokens":2}"#, json!(5)),
        (r#"{"input_tokens":6,"output_tokens":2}"#, json!(6)),
        (r#"{"prompt_tokens":5.0,"completion_tokens":2.5}"#, json!(5)),
        (r#"{"prompt_tokens":-5,"completion_tokens":2}"#, json!(0)),
        (r#"{"prompt_tokens":"5","completion_tokens":"2"}"#, Value::Null),
        (r#"{"prompt_tokens":5,"completion_tokens":null,"prompt_tokens_details":"none"}"#, json!(5)),
        (r#"{"prompt_tokens":{"text":5},"completion_tokens":[2]}"#, Value::Null),
        (r#"{"prompt_tokens":99999999999999999999999,"completion_tokens":1e999}"#, Value::Null),
        ("{}", Value::Null),
        ("[5, 2]", Value::Null),
        ("\"5 in, 2 out\"", Value::Null),
        ("7", Value::Null),
        ("true", Value::Null),
        ("null", Value::Null),
    ]
}

#[tokio::test]
async fn odd_usage_changes_no_answer() {
    let wire = Wire::OpenAi;
    for (usage, expected) in usages() {
        let plain = wire.answer("hello").to_string();
        let known = r#"{"completion_tokens":2,"prompt_tokens":5,"total_tokens":7}"#;
        let known =
            if plain.contains(known) { known } else { r#"{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}"# };
        let answer = plain.replace(known, usage);
        assert!(usage.contains("total_tokens") || answer != plain, "{plain}");
        let stream = wire.stream(&["hello"]).concat().replace(known, usage);
        let (whole, events) = (answer.clone(), stream.clone());
        let upstream = FakeUpstream::answering(move |request| {
            if request.json()["stream"] == true {
                Reply::events([&events])
            } else {
                Reply::status(200).header("content-type", "application/json").send(whole.clone())
            }
        });
        // Nobody knows its price, so the stream goes out as it came.
        let builder = Gateway::builder().model("model", "openai/without-a-price", &wire.base(&upstream));
        let gateway = builder.env("JSON_LOGS", "true").start().await;
        for more in [json!({}), json!({"stream": true, "stream_options": {"include_usage": true}})] {
            let got = gateway.client().chat_with("model", "hi", more.clone()).await;
            let wanted = if more["stream"] == true { &stream } else { &answer };
            assert_eq!((got.status, &got.text()), (200, wanted), "{usage} {more}");
            let entry = gateway.entry(got.header("x-litellm-call-id").expect("an id")).await;
            assert_eq!(entry["outcome"], "complete", "{usage} {more}: {entry}");
            // What is far too large may be cut or left out, but not be the reason for anything else.
            if !usage.contains("999") {
                assert_eq!(entry["prompt_tokens"], expected, "{usage} {more}: {entry}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_cannot_drop_what_the_gateway_needs() {
    let upstream = provider(Wire::OpenAi, "hello");
    let gateway = gateway(Wire::OpenAi, &upstream).await;
    for drops in [
        json!(["stream_options.include_usage"]),
        json!(["stream_options"]),
        json!(["model"]),
        json!(["model", "stream_options", "stream_options.include_usage"]),
    ] {
        for more in [json!({}), json!({"stream_options": {"include_usage": true}})] {
            let mut body = more.clone();
            body["additional_drop_params"] = drops.clone();
            let mut stream = gateway.client().stream_with("model", "hi", body).await;
            let transcript = stream.transcript().await;
            assert!(transcript.done && transcript.error.is_none(), "{drops}: {transcript:#?}");
            let sent = upstream.last().json();
            assert_eq!(sent["model"], "gpt-4o-mini", "{drops} {more}: {sent}");
            assert_eq!(sent["stream_options"]["include_usage"], true, "{drops} {more}: {sent}");
            assert_eq!(sent.get("additional_drop_params"), None, "{drops} {more}: {sent}");
            let entry = gateway.entry(stream.header("x-litellm-call-id").expect("an id")).await;
            let told = (entry["prompt_tokens"].as_u64(), entry["completion_tokens"].as_u64());
            assert_eq!(told, (Some(5), Some(2)), "{drops} {more}: {entry}");
        }
    }
}

/// A text with bytes in it that are none.
fn no_utf8(wire: Wire) -> Vec<u8> {
    let event = wire.text("HERE");
    let at = event.find("HERE").expect("the text is in its event");
    [&event.as_bytes()[..at], b"\xff\xfe", &event.as_bytes()[at + 4..]].concat()
}

/// What a stream says before it goes wrong: a text, and the usage of the prompt.
fn said(wire: Wire) -> String {
    let usage = if wire == Wire::OpenAi { wire.ending().remove(1) } else { String::new() };
    [wire.opening().unwrap_or_default(), wire.text("said"), usage].concat()
}

#[tokio::test]
async fn what_came_before_a_failure_in_the_same_read_is_delivered_and_counted() {
    for wire in Wire::ALL {
        let name = if wire == Wire::Anthropic { "event: content_block_delta\n" } else { "" };
        for (what, bad) in [
            ("no JSON", format!("{name}data: {{\"type\": \"content_blo\n\n").into_bytes()),
            ("no UTF-8", no_utf8(wire)),
            ("the provider's error", wire.error_event("it fell over").into_bytes()),
        ] {
            let after = wire.text(" never");
            let upstream =
                FakeUpstream::replying(Reply::events([[said(wire).as_bytes(), &bad, after.as_bytes()].concat()]));
            assert_fails_and_counts(wire, what, &upstream).await;
        }
    }
}

#[tokio::test]
async fn the_usage_of_a_stream_that_breaks_is_counted() {
    for wire in Wire::ALL {
        for (what, reply) in [
            ("cut", Reply::events([said(wire)]).step(Step::Break)),
            ("cut in an event", Reply::events([said(wire)]).send("data: {\"ha").step(Step::Break)),
            ("ended early", Reply::events([said(wire)])),
        ] {
            assert_fails_and_counts(wire, what, &FakeUpstream::replying(reply)).await;
        }
    }
}

async fn assert_fails_and_counts(wire: Wire, what: &str, upstream: &FakeUpstream) {
    let gateway = gateway(wire, upstream).await;
    let mut stream = gateway.client().stream("model", "hi").await;
    let transcript = stream.transcript().await;
    assert_eq!(transcript.meaning().text, "said", "{wire:?}, {what}: {transcript:#?}");
    assert!(transcript.error.is_some() && !transcript.done, "{wire:?}, {what}: {transcript:#?}");
    let entry = gateway.entry(stream.header("x-litellm-call-id").expect("an id")).await;
    assert_eq!(entry["outcome"], "failed", "{wire:?}, {what}: {entry}");
    assert_eq!(entry["prompt_tokens"], 5, "{wire:?}, {what}: {entry}");
}

#[tokio::test]
async fn what_a_deployment_used_that_goes_on_with_a_stream_is_counted_though_all_of_it_came_at_once() {
    for wire in Wire::ALL {
        let broken = FakeUpstream::replying(Reply::events([said(wire)]).step(Step::Break));
        let rest = FakeUpstream::replying(Reply::events([wire.stream(&["the rest"]).concat()]));
        let gateway = Gateway::builder()
            .model_with("model", wire.model(), &wire.base(&broken), json!({"order": 1}))
            .model_with("model", wire.model(), &wire.base(&rest), json!({"order": 2}))
            .set("router_settings", "enable_mid_stream_fallback_continuation", json!(true))
            .set("router_settings", "num_retries", json!(1))
            .env("JSON_LOGS", "true")
            .start()
            .await;
        let mut stream = gateway.client().stream("model", "hi").await;
        let transcript = stream.transcript().await;
        assert_eq!(transcript.meaning().text, "saidthe rest", "{wire:?}: {transcript:#?}");
        let entry = gateway.entry(stream.header("x-litellm-call-id").expect("an id")).await;
        let told = ["prompt_tokens", "completion_tokens", "failed_prompt_tokens"].map(|key| entry[key].as_u64());
        assert_eq!(told, [Some(5), Some(2), Some(5)], "{wire:?}: {entry}");
    }
}
