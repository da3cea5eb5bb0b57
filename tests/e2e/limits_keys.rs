//! Limits of keys bind, and their answers tell it as OpenAI and LiteLLM do.

use ai_api_e2e::{Client, FakeUpstream, Gate, Gateway, Reply, Step, Wire, eventually_async};
use serde_json::{Value, json};

const WIRE: Wire = Wire::OpenAi;

async fn gateway(upstream: &FakeUpstream) -> Gateway {
    Gateway::builder()
        .model("gpt", WIRE.model(), &WIRE.base(upstream))
        .model("other", WIRE.model(), &WIRE.base(upstream))
        .set("router_settings", "fallbacks", json!([{"gpt": ["other"]}]))
        .start()
        .await
}

/// A client with a new key.
async fn key(gateway: &Gateway, fields: Value) -> Client {
    let made = gateway.client().post("/key/generate", &fields).await.ok();
    gateway.client().with_key(made["key"].as_str().expect("a key"))
}

/// A stream that begins, and waits.
fn waiting(gate: &Gate) -> Reply {
    let stream = WIRE.stream(&["hi"]);
    let (begin, end) = stream.split_at(2);
    Reply::events(begin).step(Step::Wait(gate.clone())).then(Reply::events(end))
}

#[tokio::test]
async fn requests_of_a_minute_are_limited_and_told() {
    let upstream = FakeUpstream::replying(WIRE.reply("hi"));
    let gateway = gateway(&upstream).await;
    let client = key(&gateway, json!({"rpm_limit": 2, "tpm_limit": 10_000})).await;

    let first = client.chat("gpt", "hi").await;
    first.ok();
    for (name, value) in [
        ("x-ratelimit-limit-requests", "2"),
        ("x-ratelimit-remaining-requests", "1"),
        ("x-ratelimit-limit-tokens", "10000"),
        ("x-litellm-key-rpm-limit", "2"),
        ("x-litellm-key-tpm-limit", "10000"),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    client.chat("gpt", "hi").await.ok();
    let refused = client.chat("gpt", "hi").await;
    let error = refused.error();
    assert_eq!((refused.status, &error["code"]), (429, &json!("rate_limit_exceeded")));
    let message = error["message"].as_str().expect("a text");
    assert!(message.starts_with("Rate limit exceeded for api_key: sk-..."), "{message}");
    assert!(message.contains("Limit type: requests. Current limit: 2, Remaining: 0. Limit resets at: "), "{message}");
    let wait: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((50..=61).contains(&wait), "{wait}");
    assert_eq!(refused.header("rate_limit_type"), Some("requests"));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    assert!(refused.header("reset_at").is_some_and(|at| at.ends_with(" UTC")));
    assert_eq!(upstream.hits(), 2);
    // Nobody else is bound by it.
    gateway.client().chat("gpt", "hi").await.ok();
}

#[tokio::test]
async fn a_request_beyond_all_tokens_of_a_minute_is_told_that_waiting_does_not_help() {
    let upstream = FakeUpstream::replying(WIRE.reply("hi"));
    let gateway = gateway(&upstream).await;
    let client = key(&gateway, json!({"tpm_limit": 100})).await;

    let refused = client.chat_with("gpt", "hi", json!({"max_tokens": 5000})).await;
    assert!(
        refused.message().starts_with("Request too large for gpt on tokens per min (TPM)"),
        "{}",
        refused.message()
    );
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
    assert_eq!((refused.header("x-should-retry"), upstream.hits()), (Some("false"), 0));
    // Of one that doesn't say how much it wants nobody knows that.
    client.chat("gpt", "hi").await.ok();
}

#[tokio::test]
async fn a_stream_that_its_client_leaves_gives_its_place_back() {
    let gate = Gate::closed();
    let upstream = FakeUpstream::replying(waiting(&gate));
    let gateway = gateway(&upstream).await;
    let client = key(&gateway, json!({"max_parallel_requests": 2})).await;

    let mut first = client.stream("gpt", "hi").await;
    let mut second = client.stream("gpt", "hi").await;
    assert_eq!((first.next_text().await, second.next_text().await), ("hi".to_owned(), "hi".to_owned()));
    let refused = client.stream("gpt", "hi").await.answer().await;
    assert_eq!((refused.status, refused.header("rate_limit_type")), (429, Some("max_parallel_requests")));
    drop(first);
    upstream.left_alone(1).await;
    let third = eventually_async("a place to be free", async || {
        let stream = client.stream("gpt", "hi").await;
        (stream.status == 200).then_some(stream)
    });
    let mut third = third.await;
    assert_eq!(client.stream("gpt", "hi").await.status, 429, "one place, not two");
    gate.open();
    second.transcript().await;
    third.transcript().await;
}

#[tokio::test]
async fn a_key_shares_its_teams_limit() {
    let upstream = FakeUpstream::replying(WIRE.reply("hi"));
    let gateway = gateway(&upstream).await;
    let team = gateway.client().post("/team/new", &json!({"team_alias": "core", "rpm_limit": 1})).await.ok();
    let (one, other) = (
        key(&gateway, json!({"team_id": team["team_id"]})).await,
        key(&gateway, json!({"team_id": team["team_id"]})).await,
    );
    one.chat("gpt", "hi").await.ok();
    let refused = other.chat("gpt", "hi").await;
    assert!(refused.message().starts_with("Rate limit exceeded for team: "), "{}", refused.message());
}

#[tokio::test]
async fn a_call_whose_models_limit_is_gone_goes_to_the_models_fallback() {
    let upstream = FakeUpstream::replying(WIRE.reply("hi"));
    let gateway = gateway(&upstream).await;
    let client = key(&gateway, json!({"model_rpm_limit": {"gpt": 1, "other": 1}})).await;

    let (first, second) = (client.chat("gpt", "hi").await, client.chat("gpt", "hi").await);
    first.ok();
    second.ok();
    assert_eq!(second.header("x-litellm-model-group"), Some("other"));
    let refused = client.chat("gpt", "hi").await;
    assert_eq!(refused.status, 429);
    assert!(refused.message().starts_with("Rate limit exceeded for model gpt of api_key: "), "{}", refused.message());
}

#[tokio::test]
async fn a_models_limits_bind_by_whatever_name_it_is_called() {
    let upstream = FakeUpstream::replying(WIRE.reply("hi"));
    let gateway = Gateway::builder()
        .model("gpt", WIRE.model(), &WIRE.base(&upstream))
        .model("openai/*", "openai/*", &WIRE.base(&upstream))
        .start()
        .await;
    let id = gateway.client().chat("gpt", "hi").await.header("x-litellm-model-id").expect("an id").to_owned();
    for (limited, names) in [
        ("gpt", ["gpt", id.as_str()]),
        ("openai/gpt-4o", ["openai/gpt-4o", "gpt-4o"]),
        ("gpt-4o", ["gpt-4o", "openai/gpt-4o"]),
    ] {
        for (first, then) in [(names[0], names[1]), (names[1], names[0])] {
            let client = key(&gateway, json!({"model_rpm_limit": {limited: 1}})).await;
            client.chat(first, "hi").await.ok();
            for name in [then, first] {
                let refused = client.chat(name, "hi").await;
                assert_eq!(refused.status, 429, "{limited}: {first}, then {name}: {}", refused.text());
                let expected = format!("Rate limit exceeded for model {limited} of api_key: ");
                assert!(refused.message().starts_with(&expected), "{}", refused.message());
            }
            client.chat("openai/o3", "hi").await.ok();
        }
    }
}
