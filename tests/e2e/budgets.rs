//! Budgets let calls in while there is money, and no call beyond it.

use std::sync::Arc;

use ai_api_e2e::{Client, FakeUpstream, Gate, Gateway, Reply, Wire, eventually_async};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const WIRE: Wire = Wire::OpenAi;

/// An answer has two tokens: one cent.
const PRICE: &str = r#"{"input_cost_per_token": 0, "output_cost_per_token": 0.005}"#;

fn price() -> Value {
    serde_json::from_str(PRICE).expect("it is JSON")
}

fn with(more: Value) -> Value {
    let mut params = price();
    for (key, value) in more.as_object().expect("params") {
        params[key.as_str()] = value.clone();
    }
    params
}

async fn key(gateway: &Gateway, fields: Value) -> Client {
    let made = gateway.client().post("/key/generate", &fields).await.ok();
    gateway.client().with_key(made["key"].as_str().expect("a key"))
}

/// A call that costs one cent, and says so.
async fn ask(client: &Client, model: &str) -> ai_api_e2e::Answer {
    client.chat_with(model, "hi", json!({"max_tokens": 2})).await
}

#[tokio::test]
async fn ten_thousand_calls_at_a_time_get_the_hundred_that_there_is_money_for() {
    let gate = Gate::closed();
    let upstream = FakeUpstream::replying(WIRE.reply("hi").head_after(&gate));
    let gateway = Gateway::builder().model_with("gpt", WIRE.model(), &WIRE.base(&upstream), price()).start().await;
    let client = key(&gateway, json!({"max_budget": 1})).await;
    // A hundred of them wait for their answer while the others are refused.
    let at_a_time = Arc::new(Semaphore::new(400));
    let calls: Vec<_> = (0..10_000)
        .map(|_| {
            let (client, at_a_time) = (client.clone(), at_a_time.clone());
            tokio::spawn(async move {
                let _turn = at_a_time.acquire_owned().await.expect("it stays open");
                // The last ones wait for longer than other tests allow.
                let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2});
                let request = client.request(Method::POST, "/v1/chat/completions").body(body.to_string());
                let sent = request.header("content-type", "application/json").send().await;
                sent.expect("the gateway answers").status().as_u16()
            })
        })
        .collect();
    upstream.asked(100).await;
    // All turns but those of the hundred are free when nobody else is under way.
    let _all = at_a_time.acquire_many(300).await.expect("it stays open");
    gate.open();
    drop(_all);
    let mut statuses = [0, 0];
    for call in calls {
        match call.await.expect("no panic") {
            200 => statuses[0] += 1,
            422 => statuses[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((statuses, upstream.hits()), ([100, 9_900], 100));
    let info = client.get("/key/info").await.ok();
    assert_eq!(info["info"]["spend"], json!(1.0), "{info}");
}

#[tokio::test]
async fn a_budget_is_told_and_new_when_its_period_ends() {
    let upstream = FakeUpstream::replying(WIRE.reply("hi"));
    let gateway = Gateway::builder().model_with("gpt", WIRE.model(), &WIRE.base(&upstream), price()).start().await;
    let client = key(&gateway, json!({"max_budget": 0.01, "budget_duration": "5s"})).await;

    let first = ask(&client, "gpt").await;
    first.ok();
    assert_eq!(first.header("x-litellm-key-max-budget"), Some("0.01"));
    let refused = ask(&client, "gpt").await;
    assert_eq!((refused.status, &refused.error()["code"]), (422, &json!("budget_exceeded")));
    let message = refused.message();
    assert!(message.starts_with("Budget has been exceeded! Key=sk-..."), "{message}");
    assert!(message.ends_with("Current cost: 0.01, Max budget: 0.01"), "{message}");
    let wait: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=5).contains(&wait), "{wait}");
    eventually_async("the next period to begin", async || (ask(&client, "gpt").await.status == 200).then_some(()))
        .await;
    assert_eq!(ask(&client, "gpt").await.status, 422, "of the new period's money too there is one cent");
}

#[tokio::test]
async fn with_no_money_left_a_free_model_can_be_called() {
    let upstream = FakeUpstream::replying(WIRE.reply("hi"));
    let free = json!({"input_cost_per_token": 0, "output_cost_per_token": 0});
    let gateway = Gateway::builder()
        .model_with("gpt", WIRE.model(), &WIRE.base(&upstream), price())
        .model_with("local", WIRE.model(), &WIRE.base(&upstream), free)
        .start()
        .await;
    let client = key(&gateway, json!({"max_budget": 0})).await;
    assert_eq!(ask(&client, "gpt").await.status, 422);
    ask(&client, "local").await.ok();
}

#[tokio::test]
async fn what_is_free_is_said_by_the_price_and_not_by_what_a_client_allows() {
    let mut picture = json!({"created": 1, "data": [{"b64_json": "aGk="}]});
    picture["usage"] = json!({"input_tokens": 10, "output_tokens": 4000, "total_tokens": 4010});
    let upstream = FakeUpstream::answering(move |request| match request.path.contains("images") {
        true => Reply::json(200, &picture),
        false => WIRE.reply("hi"),
    });
    let gateway = Gateway::builder()
        .model_with("gpt", WIRE.model(), &WIRE.base(&upstream), price())
        .model("pictures", "openai/chatgpt-image-latest", &WIRE.base(&upstream))
        .start()
        .await;
    let client = key(&gateway, json!({"max_budget": 0.00001})).await;
    let body = json!({"model": "pictures", "prompt": "a cat"});
    let first = client.post("/v1/images/generations", &body).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(first.header("x-litellm-response-cost").is_some_and(|cost| cost != "0"), "its tokens have a price");
    assert_eq!(client.post("/v1/images/generations", &body).await.status, 422, "the money is spent");

    let client = key(&gateway, json!({"max_budget": 0})).await;
    for more in
        [json!({"max_tokens": 0}), json!({"max_tokens": 0.4}), json!({"max_completion_tokens": 0, "max_tokens": 4000})]
    {
        assert_eq!(client.chat_with("gpt", "hi", more.clone()).await.status, 422, "{more}");
    }
}

#[tokio::test]
async fn the_gateways_budget_binds_the_master_key_with_the_operators_status() {
    let upstream = FakeUpstream::replying(WIRE.reply("hi"));
    let gateway = Gateway::builder()
        .model_with("gpt", WIRE.model(), &WIRE.base(&upstream), price())
        .set("litellm_settings", "max_budget", json!(0.02))
        .set("litellm_settings", "budget_exceeded_status_code", json!(429))
        .start()
        .await;
    let client = gateway.client();
    ask(&client, "gpt").await.ok();
    ask(&client, "gpt").await.ok();
    let refused = ask(&client, "gpt").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.message(), "Budget has been exceeded! Current cost: 0.02, Max budget: 0.02");
}

#[tokio::test]
async fn a_deployment_whose_money_is_spent_gets_no_calls() {
    let (cheap, dear) = (FakeUpstream::replying(WIRE.reply("cheap")), FakeUpstream::replying(WIRE.reply("dear")));
    let gateway = Gateway::builder()
        .model_with(
            "gpt",
            WIRE.model(),
            &WIRE.base(&cheap),
            with(json!({"order": 1, "max_budget": 0.02, "budget_duration": "30d"})),
        )
        .model_with("gpt", WIRE.model(), &WIRE.base(&dear), with(json!({"order": 2, "max_budget": 0.01})))
        .start()
        .await;
    let client = gateway.client();
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(ask(&client, "gpt").await.content());
    }
    assert_eq!(said, ["cheap", "cheap", "dear"]);
    let refused = ask(&client, "gpt").await;
    assert_eq!((refused.status, &refused.error()["code"]), (429, &json!("deployment_budget_exceeded")));
    assert!(refused.header("retry-after").is_some(), "the first one has money again in a while");
    assert!(refused.message().contains("the budget of its deployments is spent"), "{}", refused.message());
}
