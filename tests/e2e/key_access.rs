//! What a key may call, and where.

use ai_api_e2e::{Builder, Client, FakeUpstream, Gateway, Reply, Wire};
use serde_json::{Value, json};

fn gateway() -> Builder {
    let canned = || json!({"mock_response": "hello"});
    let nowhere = "http://127.0.0.1:9";
    Gateway::builder()
        .model_with("gpt-4o", "openai/gpt-4o", nowhere, canned())
        .model_with("claude", "openai/claude", nowhere, canned())
        .model_with("groq/*", "groq/*", nowhere, canned())
        .set("router_settings", "model_group_alias", json!({"fast": "gpt-4o"}))
}

async fn app(admin: &Client, body: Value) -> Client {
    admin.with_key(admin.post("/key/generate", &body).await.ok()["key"].as_str().expect("a key"))
}

async fn team(admin: &Client, body: Value) -> Value {
    admin.post("/team/new", &body).await.ok()["team_id"].clone()
}

async fn models(client: &Client) -> Vec<String> {
    let list = client.get("/v1/models").await.ok();
    list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|model| model["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn a_key_calls_and_sees_only_its_models() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let app = app(&admin, json!({"models": ["gpt-4o"]})).await;

    assert_eq!(app.chat("gpt-4o", "hi").await.status, 200);
    // Another name of the same group.
    assert_eq!(app.chat("fast", "hi").await.status, 200);
    let denied = app.chat("claude", "hi").await;
    let error = denied.error();
    assert_eq!(
        (denied.status, &error["code"], &error["param"]),
        (403, &json!("key_model_access_denied"), &json!("model"))
    );
    // Whether there is such a model is not its business.
    assert_eq!(app.chat("nonsense", "hi").await.status, 403);

    assert_eq!(models(&app).await, ["gpt-4o", "fast"]);
    assert!(models(&admin).await.len() > 3);
    assert_eq!(app.get("/v1/models/gpt-4o").await.status, 200);
    assert_eq!(app.get("/v1/models/claude").await.status, 404);
    let info = app.get("/v1/model/info").await;
    assert_eq!(info.ok()["data"].as_array().expect("a list").len(), 1);
    assert!(!info.text().contains("127.0.0.1"), "{}", info.text());
}

#[tokio::test]
async fn lists_of_keys_teams_and_users_all_have_to_allow_a_model() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let crew = team(&admin, json!({"models": ["claude", "groq/*"], "model_aliases": {"ours": "gpt-4o"}})).await;
    admin
        .post("/user/new", &json!({"user_id": "u", "models": ["no-default-models"], "auto_create_key": false}))
        .await
        .ok();
    for (body, model, status) in [
        (json!({}), "claude", 200),
        (json!({"models": ["groq/*"]}), "groq/llama", 200),
        (json!({"models": ["groq/*"]}), "claude", 403),
        (json!({"team_id": crew}), "claude", 200),
        (json!({"team_id": crew}), "gpt-4o", 403),
        (json!({"team_id": crew}), "ours", 200),
        (json!({"team_id": crew, "models": ["all-team-models"]}), "groq/llama", 200),
        (json!({"team_id": crew, "models": ["all-team-models"]}), "gpt-4o", 403),
        (json!({"team_id": crew, "models": ["gpt-4o", "claude"]}), "gpt-4o", 403),
        (json!({"team_id": crew, "aliases": {"mine": "claude"}}), "mine", 200),
        (json!({"team_id": crew, "aliases": {"mine": "gpt-4o"}}), "mine", 403),
        (json!({"user_id": "u"}), "claude", 403),
        (json!({"user_id": "u", "team_id": crew}), "claude", 200),
    ] {
        let app = app(&admin, body.clone()).await;
        let answer = app.chat(model, "hi").await;
        assert_eq!(answer.status, status, "{body} {model}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_fallback_is_looked_at_like_the_model_itself() {
    let upstream = FakeUpstream::answering(|request| match request.json()["model"].as_str() {
        Some("bad") => Reply::status(500),
        _ => Wire::OpenAi.reply("hello"),
    });
    let base = Wire::OpenAi.base(&upstream);
    let gateway = Gateway::builder()
        .model("bad", "openai/bad", &base)
        .model("good", "openai/good", &base)
        .set("litellm_settings", "fallbacks", json!([{"bad": ["good"]}]))
        .start()
        .await;
    let admin = gateway.client();

    let may = app(&admin, json!({"models": ["bad", "good"]})).await;
    assert_eq!(may.chat("bad", "hi").await.content(), "hello");
    let may_not = app(&admin, json!({"models": ["bad"]})).await;
    assert_eq!(may_not.chat("bad", "hi").await.status, 500);
    let own = may_not.chat_with("bad", "hi", json!({"fallbacks": ["good"]})).await;
    assert_eq!(own.status, 500);
    // A fallback by a name that only this key has.
    let named = app(&admin, json!({"aliases": {"mine": "good"}})).await;
    assert_eq!(named.chat_with("bad", "hi", json!({"fallbacks": ["mine"]})).await.content(), "hello");
    assert_eq!(upstream.requests().iter().filter(|request| request.json()["model"] == "good").count(), 2);
}

#[tokio::test]
async fn a_key_is_for_the_routes_that_it_has() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    admin
        .post("/user/new", &json!({"user_id": "boss", "user_role": "proxy_admin", "auto_create_key": false}))
        .await
        .ok();
    for (body, chat, models, info, generate, metrics) in [
        (json!({}), 200, 200, 200, 401, 401),
        (json!({"key_type": "llm_api"}), 200, 200, 403, 403, 403),
        (json!({"key_type": "management", "user_id": "boss"}), 403, 403, 200, 200, 403),
        (json!({"key_type": "read_only"}), 403, 200, 200, 403, 403),
        (json!({"allowed_routes": ["/v1/chat/*"]}), 200, 403, 403, 403, 403),
        // A key for a monitor.
        (json!({"allowed_routes": ["/metrics"]}), 403, 403, 403, 403, 200),
    ] {
        let app = app(&admin, body.clone()).await;
        assert_eq!(app.chat("gpt-4o", "hi").await.status, chat, "{body} chat");
        assert_eq!(app.get("/v1/models").await.status, models, "{body} models");
        assert_eq!(app.get("/key/info").await.status, info, "{body} info");
        assert_eq!(app.post("/key/generate", &json!({})).await.status, generate, "{body} generate");
        assert_eq!(app.get("/metrics").await.status, metrics, "{body} metrics");
    }
}

#[tokio::test]
async fn a_path_may_name_a_model_that_looks_like_a_key() {
    let gateway = Gateway::builder()
        .model_with("task-1", "openai/task-1", "http://127.0.0.1:9", json!({"mock_response": "hello"}))
        .start()
        .await;
    let admin = gateway.client();
    let app = app(&admin, json!({"allowed_routes": ["/engines/task-1/chat/completions"]})).await;

    let body = json!({"messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(app.post("/engines/task-1/chat/completions", &body).await.content(), "hello");
    assert_eq!(app.post("/engines/task-2/chat/completions", &body).await.status, 403);
}

#[tokio::test]
async fn a_key_is_taken_from_where_clients_put_it() {
    let gateway = gateway().set("general_settings", "litellm_key_header_name", json!("X-Own")).start().await;
    let admin = gateway.client();
    let key = admin.post("/key/generate", &json!({"models": ["claude"]})).await.ok()["key"].clone();
    let key = key.as_str().expect("a key");
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer {key}")),
        ("x-api-key", key.to_owned()),
        ("api-key", key.to_owned()),
        ("x-litellm-api-key", key.to_owned()),
        ("x-goog-api-key", key.to_owned()),
        ("ocp-apim-subscription-key", key.to_owned()),
        ("x-own", format!("Bearer {key}")),
    ] {
        let request = admin.bare(reqwest::Method::GET, "/v1/models").header(name, &value);
        let answer = ai_api_e2e::Answer::to(request).await;
        assert_eq!(answer.ok()["data"].as_array().map(Vec::len), Some(1), "{name}");
    }
}
