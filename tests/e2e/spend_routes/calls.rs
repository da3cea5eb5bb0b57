//! Calls that are made: what the routes say of them, to whom, and how many tokens they had.

use ai_api_e2e::{Builder, Client, FakeUpstream, Gateway, Wire, eventually_async};
use serde_json::{Value, json};

use super::ledger::{Database, Ledger, day_of, days_ago};
use super::on_both;

on_both!(what_calls_came_to_is_told_by_all_routes_alike, a_key_sees_its_own_users_spend_and_an_admin_all);

fn builder(upstream: &FakeUpstream) -> Builder {
    let price = json!({"input_cost_per_token": 0.000_000_15, "output_cost_per_token": 0.000_000_6});
    Gateway::builder().model_with("priced", Wire::OpenAi.model(), &Wire::OpenAi.base(upstream), price)
}

fn range() -> String {
    format!("start_date={}&end_date={}", day_of(days_ago(1)), day_of(days_ago(-1)))
}

/// The rows, once there are so many.
async fn rows(client: &Client, count: usize) -> Vec<Value> {
    eventually_async("the rows of calls", async || {
        let rows = client.get("/spend/logs").await.ok();
        let rows = rows.as_array().expect("rows").clone();
        (rows.len() == count).then_some(rows)
    })
    .await
}

/// The same, added as decimals, not as floats.
fn pico(value: &Value) -> i128 {
    (value.as_f64().expect("an amount") * 1e12).round() as i128
}

async fn what_calls_came_to_is_told_by_all_routes_alike(database: Database) {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let ledger = Ledger::started(database, vec![], builder(&upstream)).await;
    let client = ledger.gateway.client();
    for number in 0..5 {
        let more = json!({"user": format!("customer-{}", number % 2), "metadata": {"tags": ["nightly"]}});
        assert_eq!(client.chat_with("priced", "hi", more).await.content(), "hello");
    }
    let rows = rows(&client, 5).await;

    let (spent, tokens) = rows.iter().fold((0, 0), |(spent, tokens), row| {
        assert_eq!((&row["model_group"], &row["status"]), (&json!("priced"), &json!("success")), "{row:#}");
        assert_eq!(row["call_type"], "acompletion");
        let of_row = if row["spend"].is_null() { 0 } else { pico(&row["spend"]) };
        (spent + of_row, tokens + row["total_tokens"].as_i64().expect("tokens"))
    });
    assert!(tokens > 0, "{rows:#?}");
    let range = range();
    assert_eq!(pico(&ledger.ok("/global/spend").await["spend"]), spent);
    let activity = ledger.ok(&format!("/global/activity?{range}")).await;
    assert_eq!((&activity["sum_api_requests"], &activity["sum_total_tokens"]), (&json!(5), &json!(tokens)));
    let report = ledger.ok(&format!("/global/spend/report?{range}&group_by=customer")).await;
    let customers = report[0]["customers"].as_array().expect("customers");
    assert_eq!(customers.iter().map(|customer| pico(&customer["total_spend"])).sum::<i128>(), spent);
    let daily = ledger.ok(&format!("/user/daily/activity?{range}")).await;
    assert_eq!(daily["metadata"]["total_api_requests"], json!(5));
    assert_eq!(pico(&daily["metadata"]["total_spend"]), spent);
    let models = ledger.ok("/global/spend/models").await;
    assert_eq!(models.as_array().expect("models").iter().map(|model| pico(&model["total_spend"])).sum::<i128>(), spent);
}

async fn a_key_sees_its_own_users_spend_and_an_admin_all(database: Database) {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let ledger = Ledger::started(database, vec![], builder(&upstream)).await;
    let client = ledger.gateway.client();
    let mut keys = Vec::new();
    for (user, role) in [("ann", "internal_user"), ("bob", "internal_user"), ("eve", "proxy_admin_viewer")] {
        client.post("/user/new", &json!({"user_id": user, "user_role": role, "auto_create_key": false})).await.ok();
        let made = client.post("/key/generate", &json!({"user_id": user, "key_alias": format!("{user}'s")})).await.ok();
        keys.push(made["key"].as_str().expect("a key").to_owned());
    }
    let nobodys = client.post("/key/generate", &json!({})).await.ok()["key"].as_str().expect("a key").to_owned();
    let [ann, bob, eve] = [0, 1, 2].map(|index| client.with_key(&keys[index]));
    let nobody = client.with_key(&nobodys);
    for who in [&ann, &ann, &bob, &nobody] {
        assert_eq!(who.chat("priced", "hi").await.content(), "hello");
    }
    let all = rows(&client, 4).await;

    let own = ann.get("/spend/logs?user_id=bob").await.ok();
    assert_eq!(own.as_array().map(Vec::len), Some(2), "whoever it asks for: {own:#}");
    assert!(own.as_array().expect("rows").iter().all(|row| row["user"] == "ann"));
    assert_eq!(eve.get("/spend/logs").await.ok().as_array().map(Vec::len), Some(4));
    let range = range();
    let activity = ann.get(&format!("/user/daily/activity?{range}&user_id=bob")).await.ok();
    assert_eq!(activity["metadata"]["total_api_requests"], json!(2), "{activity:#}");
    let bobs = all.iter().find(|row| row["user"] == "bob").expect("bob's call")["request_id"].as_str().expect("an id");
    assert_eq!(ann.get(&format!("/spend/logs/ui/{bobs}")).await.ok(), Value::Null);
    let key = ann.get("/spend/keys").await.ok();
    assert_eq!((key.as_array().map(Vec::len), &key[0]["key_alias"]), (Some(1), &json!("ann's")), "{key:#}");
    assert_eq!(ann.get("/spend/users").await.ok()[0]["user_id"], json!("ann"));
    assert_eq!(client.get("/spend/users").await.ok().as_array().map(Vec::len), Some(3));
    assert_eq!(client.get("/spend/keys").await.ok().as_array().map(Vec::len), Some(4));
    let named = client.get("/global/spend/keys").await.ok();
    let aliases: Vec<&str> =
        named.as_array().expect("keys").iter().filter_map(|key| key["key_alias"].as_str()).collect();
    assert!(aliases.contains(&"ann's") && aliases.contains(&"bob's"), "{named:#}");
    for who in [&ann, &bob, &nobody] {
        for path in ["/global/spend", "/global/spend/keys", "/spend/tags", "/global/activity", "/provider/budgets"] {
            let answer = who.get(path).await;
            assert_eq!(
                (answer.status, &answer.error()["type"]),
                (401, &json!("auth_error")),
                "{path}: {}",
                answer.text()
            );
        }
        assert_eq!(who.post("/global/spend/reset", &json!({})).await.status, 401);
    }
    let answer = nobody.get("/spend/logs").await;
    assert_eq!((answer.status, &answer.error()["type"]), (401, &json!("auth_error")), "{}", answer.text());
    assert_eq!(eve.post("/global/spend/reset", &json!({})).await.status, 401, "she sees, and changes nothing");

    let reset = client.post("/global/spend/reset", &json!({})).await.ok();
    assert_eq!(reset["status"], "success");
    for key in client.get("/spend/keys").await.ok().as_array().expect("keys") {
        assert_eq!(key["spend"].as_f64(), Some(0.0), "{key:#}");
    }
    assert_eq!(rows(&client, 4).await.len(), 4, "rows stay");
}

#[tokio::test]
async fn the_tokens_of_a_prompt_are_counted_for_whoever_may_call_its_model() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = Gateway::builder()
        .model("mini", "openai/gpt-4o-mini", &Wire::OpenAi.base(&upstream))
        .set("general_settings", "database_url", json!("none"))
        .start()
        .await;
    let client = gateway.client();
    let prompt = json!({"model": "mini", "messages": [{"role": "user", "content": "hello world"}]});

    let count = client.post("/utils/token_counter", &prompt).await.ok();

    let expected = json!({
        "total_tokens": 9, "request_model": "mini", "model_used": "gpt-4o-mini", "tokenizer_type": "openai_tokenizer"
    });
    assert_eq!(count, expected);
    let unknown = client.post("/utils/token_counter", &json!({"model": "x", "prompt": "hello world"})).await.ok();
    assert_eq!((&unknown["total_tokens"], &unknown["model_used"]), (&json!(2), &json!("x")));
    for (body, param) in [(json!({"prompt": "a"}), "model"), (json!({"model": "mini"}), "prompt")] {
        let answer = client.post("/utils/token_counter", &body).await;
        assert_eq!((answer.status, &answer.error()["param"]), (400, &json!(param)), "{}", answer.text());
    }
    assert_eq!(client.with_key("sk-wrong").post("/utils/token_counter", &prompt).await.status, 401);
    assert_eq!(client.get("/utils/token_counter").await.status, 405);
    // And without a database reports say so.
    let answer = client.get("/global/spend").await;
    assert_eq!((answer.status, &answer.error()["code"]), (500, &json!("no_db_connection")), "{}", answer.text());
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn what_providers_may_spend_is_told() {
    let budgets = json!({"openai": {"budget_limit": 10, "time_period": "1d"}, "azure": {"max_budget": 0.5}});
    let gateway = Gateway::builder().set("router_settings", "provider_budget_config", budgets).start().await;
    let told = gateway.client().get("/provider/budgets").await.ok();
    let openai = &told["providers"]["openai"];
    assert_eq!((&openai["budget_limit"], &openai["spend"]), (&json!(10.0), &json!(0.0)), "{told:#}");
    assert_eq!(openai["time_period"], json!("1d"));
    assert!(openai["budget_reset_at"].as_str().is_some_and(|at| at.contains('T')), "{told:#}");
    assert_eq!(told["providers"]["azure"]["budget_limit"], json!(0.5));
}
