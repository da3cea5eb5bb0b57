//! Who may call: the master key, in any header that a client library puts it in.

use ai_api_e2e::{Answer, FakeUpstream, Gateway, MASTER_KEY, Wire};
use reqwest::Method;
use serde_json::json;

async fn gateway(upstream: &FakeUpstream) -> Gateway {
    Gateway::builder().model("gpt", Wire::OpenAi.model(), &Wire::OpenAi.base(upstream)).start().await
}

async fn chat(gateway: &Gateway, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let request =
        gateway.client().bare(Method::POST, "/v1/chat/completions").header("content-type", "application/json");
    Answer::to(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(body)).await
}

#[tokio::test]
async fn the_key_is_found_in_every_header_that_clients_use() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway(&upstream).await;
    let bearer = format!("Bearer {MASTER_KEY}");
    let lower = format!("bearer {MASTER_KEY}");
    for (name, value) in [
        ("authorization", bearer.as_str()),
        ("authorization", lower.as_str()),
        ("x-api-key", MASTER_KEY),
        ("api-key", MASTER_KEY),
        ("x-litellm-api-key", MASTER_KEY),
        ("x-litellm-api-key", bearer.as_str()),
    ] {
        assert_eq!(chat(&gateway, &[(name, value)]).await.content(), "hello", "{name}: {value}");
        let sent = upstream.last();
        assert!(!sent.text().contains(MASTER_KEY), "the master key went to the provider: {sent:?}");
    }
}

#[tokio::test]
async fn the_gateways_own_header_wins_over_the_others() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway(&upstream).await;
    let right = [("x-litellm-api-key", MASTER_KEY), ("authorization", "Bearer somebody-elses")];
    assert_eq!(chat(&gateway, &right).await.status, 200);
    let bearer = format!("Bearer {MASTER_KEY}");
    let wrong = [("x-litellm-api-key", "sk-wrong"), ("authorization", bearer.as_str())];
    assert_eq!(chat(&gateway, &wrong).await.status, 401);
}

#[tokio::test]
async fn no_key_and_a_wrong_key_are_a_401_and_never_reach_a_provider() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway(&upstream).await;
    let almost = &MASTER_KEY[..MASTER_KEY.len() - 1];
    let longer = format!("Bearer {MASTER_KEY}x");
    for headers in [
        vec![],
        vec![("authorization", "Bearer sk-wrong")],
        vec![("authorization", "Bearer ")],
        vec![("authorization", "Bearer")],
        vec![("authorization", "")],
        vec![("authorization", longer.as_str())],
        vec![("x-api-key", almost)],
        vec![("x-api-key", "")],
        vec![("api-key", "ключ")],
    ] {
        let answer = chat(&gateway, &headers).await;
        assert_eq!(answer.status, 401, "{headers:?}: {}", answer.text());
        answer.error();
        assert!(!answer.text().contains(MASTER_KEY));
        assert!(!answer.text().contains("sk-wrong"), "a key is not repeated: {}", answer.text());
    }
    assert_eq!(upstream.hits(), 0);
    assert!(!gateway.log().contains("sk-wrong") && !gateway.log().contains(MASTER_KEY), "{}", gateway.log());
}

#[tokio::test]
async fn every_route_but_health_and_the_front_page_asks_for_the_key() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway(&upstream).await;
    for (method, path) in [
        (Method::POST, "/v1/chat/completions"),
        (Method::POST, "/completions"),
        (Method::POST, "/v1/embeddings"),
        (Method::POST, "/v1/images/generations"),
        (Method::POST, "/engines/gpt/chat/completions"),
        (Method::POST, "/openai/deployments/gpt/chat/completions"),
        (Method::GET, "/v1/models"),
        (Method::GET, "/models/gpt"),
        (Method::GET, "/model/info"),
    ] {
        let answer = Answer::to(gateway.client().bare(method.clone(), path)).await;
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
    }
    for path in ["/health/liveliness", "/health/liveness", "/health/readiness", "/"] {
        assert_eq!(Answer::to(gateway.client().bare(Method::GET, path)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn without_a_real_master_key_it_refuses_to_start_unless_told_otherwise() {
    for key in [json!(null), json!(""), json!("sk-1234"), json!("os.environ/NOT_SET_ANYWHERE")] {
        let weak = || Gateway::builder().set("general_settings", "master_key", key.clone());
        let run = weak().run().await;
        assert!(!run.success, "it started with {key}");
        assert!(run.said.contains("master_key"), "it must say what to do: {}", run.said);
        let allowed = weak().set("general_settings", "dangerously_permit_weak_or_unset_master_key", json!(true));
        let gateway = allowed.start().await;
        assert_eq!(Answer::to(gateway.client().bare(Method::GET, "/health/liveliness")).await.status, 200);
    }
}
