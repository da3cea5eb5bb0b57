//! Where calls would go: on a page, as JSON, and in the metrics.

use ai_api_e2e::{Client, FakeUpstream, Gateway, Reply, Wire, eventually_async};
use reqwest::Method;
use serde_json::{Value, json};

/// A group of one deployment that answers and one that is limited, and a fallback.
async fn gateway(fine: &FakeUpstream, limited: &FakeUpstream) -> Gateway {
    let wire = Wire::OpenAi;
    let first = json!({"order": 1, "weight": 2, "rpm": 100});
    Gateway::builder()
        .model_with("group", wire.model(), &wire.base(limited), first)
        .model_with("group", wire.model(), &wire.base(fine), json!({"order": 2, "api_key": "sk-upstream-second"}))
        .model("other<script>", "anthropic/claude-sonnet-4-20250514", "http://127.0.0.1:1")
        .set("router_settings", "fallbacks", json!([{"group": ["other<script>"]}]))
        .set("router_settings", "cooldown_time", json!(600))
        .set("router_settings", "num_retries", json!(2))
        .set("router_settings", "model_group_alias", json!({"nick": "group"}))
        .start()
        .await
}

fn too_many() -> Reply {
    Reply::json(429, &json!({"error": {"message": "slow down", "type": "rate_limit_error"}}))
}

async fn page(client: &Client) -> (String, String) {
    let asked = client.request(Method::GET, "/router").header("accept", "text/html,*/*;q=0.8");
    let answer = asked.send().await.expect("an answer");
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert!(header("content-type").starts_with("text/html"));
    let policy = header("content-security-policy");
    (answer.text().await.expect("a page"), policy)
}

#[tokio::test]
async fn the_state_of_each_deployment_is_told_with_its_reason() {
    let (fine, limited) = (FakeUpstream::replying(Wire::OpenAi.reply("hello")), FakeUpstream::replying(too_many()));
    let gateway = gateway(&fine, &limited).await;
    let client = gateway.client();
    assert_eq!(client.chat("nick", "hi").await.content(), "hello");

    let view = client.get("/router").await.ok();

    let group = &view["groups"][0];
    assert_eq!((&group["model_group"], &group["aliases"]), (&json!("group"), &json!(["nick"])), "{view:#}");
    assert_eq!(group["fallbacks"]["general"], json!(["other<script>"]));
    let (cooling, serving) = (&group["deployments"][0], &group["deployments"][1]);
    assert_eq!((&cooling["state"], &cooling["because"]), (&json!("cooling"), &json!("rate_limited")), "{view:#}");
    assert!(cooling["back_in_seconds"].as_f64().is_some_and(|left| left > 500.0 && left <= 600.0), "{cooling}");
    assert_eq!((&cooling["failures"], &cooling["successes"]), (&json!({"rate_limited": 1}), &json!(0)));
    assert_eq!(
        (&cooling["order"], &cooling["weight"], &cooling["rpm"]["limit"]),
        (&json!(1), &json!(2.0), &json!(100))
    );
    assert_eq!(
        (&serving["state"], &serving["successes"], &serving["attempts"]),
        (&json!("closed"), &json!(1), &json!(1))
    );
    assert_eq!((&serving["in_flight"], &serving["failures"]), (&json!(0), &json!({})));
    let retirement = view["groups"][1]["deployments"][0]["retirement"].as_str().unwrap_or_default();
    assert!(retirement.contains("was shut down on 2026-06-15"), "{view:#}");
    assert!(!view.to_string().contains("sk-upstream"), "{view}");

    let refused = client.with_key("sk-wrong").get("/router").await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn the_page_says_the_same_without_a_script() {
    let (fine, limited) = (FakeUpstream::replying(Wire::OpenAi.reply("hello")), FakeUpstream::replying(too_many()));
    let gateway = gateway(&fine, &limited).await;
    let client = gateway.client();
    assert_eq!(client.chat("group", "hi").await.content(), "hello");

    let (page, policy) = page(&client).await;

    for told in ["cooling", "rate_limited", "back in ", "serving", "simple-shuffle", "other&lt;script&gt;", "order 1"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("http"), "{page}");
    assert!(policy.contains("default-src 'none'"), "{policy}");
}

#[tokio::test]
async fn deployments_are_counted_under_litellms_names() {
    let (fine, limited) = (FakeUpstream::replying(Wire::OpenAi.reply("hello")), FakeUpstream::replying(too_many()));
    let gateway = gateway(&fine, &limited).await;
    let client = gateway.client();
    assert_eq!(client.chat("group", "hi").await.content(), "hello");

    let text = client.get("/metrics").await.text();

    let view = client.get("/router").await.ok();
    let id = |at: usize| view["groups"][0]["deployments"][at]["model_id"].as_str().expect("an id").to_owned();
    let line = |name: &str, id: &str| {
        let found = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(id));
        found.unwrap_or_else(|| panic!("no {name} of {id}: {text}")).to_owned()
    };
    assert!(line("litellm_deployment_state", &id(0)).ends_with(" 2"));
    assert!(line("litellm_deployment_state", &id(1)).ends_with(" 0"));
    assert!(line("litellm_deployment_cooled_down_total", &id(0)).ends_with(" 1"));
    assert!(line("litellm_deployment_success_responses_total", &id(1)).ends_with(" 1"));
    let failed = line("litellm_deployment_failure_responses_total", &id(0));
    assert!(failed.contains("exception_class=\"rate_limited\"") && failed.ends_with(" 1"), "{failed}");
    assert!(line("litellm_deployment_total_requests_total", &id(0)).contains("model_group=\"group\""));
    assert!(line("ai_api_deployment_in_flight", &id(1)).ends_with(" 0"));
    assert!(text.contains("ai_api_retry_budget{model_group=\"group\"}"), "{text}");
}

#[tokio::test]
async fn what_a_probe_found_unwell_gets_no_calls_where_the_operator_wants_that() {
    let wire = Wire::OpenAi;
    let fine = FakeUpstream::replying(wire.reply("hello"));
    let unwell = FakeUpstream::answering(|request| match request.method.as_str() {
        "GET" => Reply::json(401, &json!({"error": {"message": "wrong key"}})),
        _ => Wire::OpenAi.reply("from the unwell one"),
    });
    let gateway = Gateway::builder()
        .model("group", wire.model(), &wire.base(&unwell))
        .model_with("group", wire.model(), &wire.base(&fine), json!({"api_key": "sk-upstream-second"}))
        .model("lone", wire.model(), &wire.base(&unwell))
        .set("general_settings", "background_health_checks", json!(true))
        .set("general_settings", "enable_health_check_routing", json!(true))
        .start()
        .await;
    let client = gateway.client();
    let state = |view: &Value| view["groups"][0]["deployments"][0]["state"].clone();
    let view = eventually_async("the router to be told", async || {
        let view = client.get("/router").await.ok();
        (state(&view) == "unwell").then_some(view)
    })
    .await;
    assert_eq!(view["groups"][0]["deployments"][0]["probe"]["kind"], "authentication", "{view:#}");

    for _ in 0..6 {
        assert_eq!(client.chat("group", "hi").await.content(), "hello");
    }
    assert_eq!(client.chat("lone", "hi").await.content(), "from the unwell one", "nobody else could");
}
