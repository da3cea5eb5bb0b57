//! Calls are told to an address of the operator's, as LiteLLM's `generic_api` tells them.

use ai_api_e2e::{
    Answer, Builder, FakeUpstream, Gateway, MASTER_KEY, Received, Reply, Wire, eventually, eventually_async,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::trio::provider;

fn gateway(upstream: &FakeUpstream, receiver: &FakeUpstream) -> Builder {
    let wire = Wire::OpenAi;
    Gateway::builder()
        .model("smart", wire.model(), &wire.base(upstream))
        .env("GENERIC_LOGGER_ENDPOINT", &format!("{}/calls", receiver.origin()))
        .env("GENERIC_LOGGER_HEADERS", "Authorization=Bearer logger,X-Team=a")
}

fn receiver() -> FakeUpstream {
    FakeUpstream::replying(Reply::json(200, &json!({})))
}

/// All calls that were told, once there are so many.
async fn told(receiver: &FakeUpstream, count: usize) -> Vec<Value> {
    eventually("calls to be told", || {
        let calls: Vec<Value> = receiver.requests().iter().flat_map(calls).collect();
        (calls.len() >= count).then_some(calls)
    })
    .await
}

fn calls(request: &Received) -> Vec<Value> {
    request.json().as_array().expect("an array").clone()
}

#[tokio::test]
async fn a_call_is_told_with_litellms_fields_and_without_a_key() {
    let (upstream, receiver) = (provider(Wire::OpenAi, "hello"), receiver());
    let gateway =
        gateway(&upstream, &receiver).set("litellm_settings", "callbacks", json!(["generic_api"])).start().await;
    let body = json!({
        "model": "smart", "messages": [{"role": "user", "content": "a question"}], "user": "eve",
        "metadata": {"tags": ["t1"], "session_id": "s1"},
    });
    let request = gateway.client().request(Method::POST, "/v1/chat/completions").header("x-litellm-tags", "t0");
    let answer = Answer::to(request.header("content-type", "application/json").body(body.to_string())).await;
    answer.ok();
    gateway.client().chat("unknown-model", "hi").await.error();

    let told = told(&receiver, 2).await;
    let (call, failed) = (&told[0], &told[1]);
    for (pointer, value) in [
        ("/id", json!(answer.header("x-litellm-call-id").expect("an id"))),
        ("/call_type", json!("acompletion")),
        ("/status", json!("success")),
        ("/model_group", json!("smart")),
        ("/custom_llm_provider", json!("openai")),
        ("/end_user", json!("eve")),
        ("/session_id", json!("s1")),
        ("/request_tags", json!(["t0", "t1"])),
        ("/prompt_tokens", json!(5)),
        ("/completion_tokens", json!(2)),
        ("/messages/0/content", json!("a question")),
        ("/response/choices/0/message/content", json!("hello")),
        ("/requester_ip_address", json!("127.0.0.1")),
    ] {
        assert_eq!(call.pointer(pointer), Some(&value), "{pointer} of {call:#}");
    }
    assert!(call["endTime"].as_f64() >= call["startTime"].as_f64(), "{call:#}");
    assert_eq!((&failed["status"], &failed["error_information"]["error_code"]), (&json!("failure"), &json!("404")));
    let first = &receiver.requests()[0];
    assert_eq!((first.header("authorization"), first.header("x-team")), (Some("Bearer logger"), Some("a")));
    let everything: String = receiver.requests().iter().map(Received::text).collect();
    assert!(!everything.contains(MASTER_KEY) && !everything.contains("sk-upstream"), "{everything}");
    assert!(!gateway.log().contains("Bearer logger"));
}

#[tokio::test]
async fn a_stream_is_told_as_the_answer_that_it_came_to() {
    let upstream = FakeUpstream::replying(Reply::events([Wire::OpenAi.stream(&["hel", "lo"]).concat()]));
    let receiver = receiver();
    let gateway =
        gateway(&upstream, &receiver).set("litellm_settings", "callbacks", json!(["generic_api"])).start().await;
    assert_eq!(gateway.client().chat_with("smart", "hi", json!({"stream": true})).await.status, 200);
    let told = told(&receiver, 1).await;
    assert_eq!(told[0]["response"]["choices"][0]["message"]["content"], "hello", "{:#}", told[0]);
    assert_eq!(told[0]["stream"], true);
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_and_no_call_waits_for_it() {
    let upstream = provider(Wire::OpenAi, "hello");
    let receiver =
        FakeUpstream::replying_in_turn(vec![Reply::status(500), Reply::status(503), Reply::json(200, &json!({}))]);
    let settings = json!({"audit": {
        "callback_type": "generic_api", "endpoint": format!("{}/audit", receiver.origin()), "retry_delay": 0,
    }});
    let builder = gateway(&upstream, &receiver).set("litellm_settings", "callbacks", json!(["audit"]));
    let mut gateway = with_top(builder, settings).start().await;
    gateway.client().chat("smart", "hi").await.ok();
    receiver.answered(3).await;
    let line = "ai_api_callback_calls_total{callback_name=\"audit\",outcome=\"sent\"} 1";
    let client = gateway.client();
    eventually_async("it to be counted", async || client.get("/metrics").await.text().contains(line).then_some(()))
        .await;
    let ids: Vec<Value> = receiver.requests().iter().flat_map(calls).map(|call| call["id"].clone()).collect();
    assert!(ids.len() == 3 && ids[0] == ids[2], "{ids:?}");
    gateway.terminate();
    assert!(gateway.ended().await.success());
}

fn with_top(builder: Builder, settings: Value) -> Builder {
    settings
        .as_object()
        .expect("a map")
        .iter()
        .fold(builder, |builder, (name, settings)| builder.set("callback_settings", name, settings.clone()))
}

#[tokio::test]
async fn what_isnt_to_be_told_isnt() {
    let (upstream, receiver) = (provider(Wire::OpenAi, "an answer"), receiver());
    let builder = gateway(&upstream, &receiver).set("litellm_settings", "callbacks", json!(["webhook"]));
    let gateway = builder.start().await;
    let client = gateway.client();
    client.chat_with("smart", "kept silent", json!({"no-log": true})).await.ok();
    client.chat_with("smart", "one question", json!({"turn_off_message_logging": true})).await.ok();
    let body = json!({"model": "smart", "messages": [{"role": "user", "content": "two questions"}]}).to_string();
    let request = client.request(Method::POST, "/v1/chat/completions").header("content-type", "application/json");
    Answer::to(request.header("x-litellm-enable-message-redaction", "true").body(body)).await.ok();
    let told = told(&receiver, 2).await;
    let text = json!(told).to_string();
    assert_eq!(told.len(), 2);
    for secret in ["question", "an answer", "kept silent"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn only_failures_where_only_failures_are_wanted_and_nothing_of_what_was_said() {
    let (upstream, receiver) = (provider(Wire::OpenAi, "an answer"), receiver());
    let builder = gateway(&upstream, &receiver)
        .set("litellm_settings", "failure_callback", json!(["generic_api"]))
        .set("litellm_settings", "turn_off_message_logging", json!(true));
    let mut gateway = builder.start().await;
    gateway.client().chat("smart", "hi").await.ok();
    gateway.client().chat("unknown-model", "a question").await.error();
    // The end of the process sends what waits.
    gateway.terminate();
    assert!(gateway.ended().await.success());
    let told = told(&receiver, 1).await;
    assert_eq!((told.len(), &told[0]["status"], &told[0]["messages"]), (1, &json!("failure"), &Value::Null));
}

#[tokio::test]
async fn a_callback_without_an_address_or_without_a_meaning_is_told_before_the_first_call() {
    let run = Gateway::builder().set("litellm_settings", "callbacks", json!(["generic_api"])).run().await;
    assert!(!run.success && run.said.contains("GENERIC_LOGGER_ENDPOINT"), "{}", run.said);
    let run = Gateway::builder().set("litellm_settings", "success_callback", json!(["langfuse"])).run().await;
    assert!(!run.success && run.said.contains("LANGFUSE_SECRET_KEY"), "{}", run.said);
}
