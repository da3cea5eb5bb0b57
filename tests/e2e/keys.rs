//! Virtual keys: made, shown, changed, blocked, replaced and deleted, as LiteLLM's clients do it.

use std::time::{Duration, Instant};

use ai_api_e2e::{Answer, Builder, Client, Gateway, Postgres, Relay, TempDir, eventually_async};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Two models that answer by themselves: what is told here is all between a client and the gateway.
fn gateway() -> Builder {
    let canned = || json!({"mock_response": "hello"});
    let nowhere = "http://127.0.0.1:9";
    Gateway::builder().model_with("gpt-4o", "openai/gpt-4o", nowhere, canned()).model_with(
        "claude",
        "openai/claude",
        nowhere,
        canned(),
    )
}

async fn make(client: &Client, body: Value) -> Value {
    let answer = client.post("/key/generate", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is a text in {value}"))
}

async fn post(client: &Client, path: &str, body: Value) -> Value {
    let answer = client.post(path, &body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

async fn info(client: &Client, token: &str) -> Value {
    let answer = client.get(&format!("/key/info?key={token}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["info"].clone()
}

fn error(answer: &Answer) -> (u16, String, String) {
    let error = answer.error();
    (answer.status, error["code"].as_str().unwrap_or_default().to_owned(), text(&error, "message").to_owned())
}

#[tokio::test]
async fn a_key_is_told_once_and_works_until_it_is_deleted() {
    let gateway = gateway().start().await;
    let admin = gateway.client();

    let made = make(&admin, json!({"key_alias": "app", "metadata": {"team": "core"}, "max_budget": 10.5})).await;
    let (key, token) = (text(&made, "key"), text(&made, "token"));
    assert!(key.starts_with("sk-") && key.len() >= 35, "{key}");
    assert_eq!(text(&made, "key_name"), format!("sk-...{}", &key[key.len() - 4..]));
    assert_eq!((token.len(), text(&made, "token_id")), (64, token));

    let app = admin.with_key(key);
    assert_eq!(app.chat("gpt-4o", "hi").await.content(), "hello");
    let shown = admin.get(&format!("/key/info?key={key}")).await;
    assert!(!shown.text().contains(key), "{}", shown.text());
    let shown = info(&admin, token).await;
    assert_eq!((&shown["key_alias"], &shown["max_budget"]), (&json!("app"), &json!(10.5)));
    assert_eq!((&shown["metadata"]["team"], &shown["status"]), (&json!("core"), &json!("active")));

    assert_eq!(post(&admin, "/key/delete", json!({"keys": [key]})).await, json!({"deleted_keys": [key]}));

    let (status, code, _) = error(&app.chat("gpt-4o", "hi").await);
    assert_eq!((status, code.as_str()), (401, "invalid_api_key"));
    let again = admin.post("/key/delete", &json!({"keys": [key]})).await;
    assert_eq!(error(&again).0, 404);
    assert!(!gateway.log().contains(key), "the log has a key in it");
}

#[tokio::test]
async fn a_key_outlives_the_process_and_nothing_but_its_hash_is_stored() {
    let folder = TempDir::new();
    let file = folder.path().join("keys.db");
    let url = format!("sqlite://{}", file.display());
    let start = || gateway().set("general_settings", "database_url", json!(url)).start();
    let first = start().await;
    let made = make(&first.client(), json!({"models": ["gpt-4o"], "duration": "30d", "custom": {"a": [1]}})).await;
    let (key, token) = (text(&made, "key").to_owned(), text(&made, "token").to_owned());
    drop(first);

    let second = start().await;

    assert_eq!(second.client().with_key(&key).chat("gpt-4o", "hi").await.status, 200);
    assert_eq!(second.client().with_key(&key).chat("claude", "hi").await.status, 403);
    let shown = info(&second.client(), &token).await;
    assert_eq!((&shown["custom"], &shown["expires"]), (&json!({"a": [1]}), &made["expires"]));
    for name in ["keys.db", "keys.db-wal"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        let holds = bytes.windows(key.len()).any(|window| window == key.as_bytes());
        assert!(!holds, "{name} has the key in it");
    }
}

#[tokio::test]
async fn a_wrong_key_is_always_401() {
    for database in [json!(null), json!("none")] {
        let gateway = gateway().set("general_settings", "database_url", database).start().await;
        for key in ["sk-nobody-has-this-key", "nonsense", "sk-"] {
            let answer = gateway.client().with_key(key).chat("gpt-4o", "hi").await;
            let (status, code, message) = error(&answer);
            assert_eq!((status, code.as_str()), (401, "invalid_api_key"), "{key}");
            assert_eq!(message, "Authentication Error, Invalid API key provided.");
        }
    }
}

#[tokio::test]
async fn without_a_database_whoever_manages_is_told_what_to_do() {
    let gateway = gateway().set("general_settings", "database_url", json!("none")).start().await;

    for (path, body) in [("/key/generate", json!({})), ("/user/new", json!({})), ("/team/new", json!({}))] {
        let answer = gateway.client().post(path, &body).await;
        let (status, code, message) = error(&answer);
        assert_eq!((status, code.as_str()), (500, "no_db_connection"), "{path}");
        assert!(message.starts_with("No connected db.") && message.contains("database_url"), "{message}");
    }
}

#[tokio::test]
async fn a_key_is_blocked_and_unblocked_at_once() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let made = make(&admin, json!({})).await;
    let app = admin.with_key(text(&made, "key"));

    let blocked = post(&admin, "/key/block", json!({"key": made["key"]})).await;
    assert_eq!(blocked["blocked"], json!(true));
    let (status, code, message) = error(&app.chat("gpt-4o", "hi").await);
    assert_eq!((status, code.as_str()), (401, "key_blocked"));
    assert_eq!(message, "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.");

    post(&admin, "/key/unblock", json!({"key": made["token"]})).await;
    assert_eq!(app.chat("gpt-4o", "hi").await.status, 200);
}

#[tokio::test]
async fn a_key_ends_when_its_time_is_over() {
    let gateway = gateway().start().await;
    let made = make(&gateway.client(), json!({"duration": "1s"})).await;
    let app = gateway.client().with_key(text(&made, "key"));

    let expired = eventually_async("the key to expire", async || {
        let answer = app.get("/v1/models").await;
        (answer.status != 200).then_some(answer)
    });
    let (status, code, message) = error(&expired.await);

    assert_eq!((status, code.as_str()), (401, "expired_key"));
    assert!(message.starts_with("Authentication Error - Expired Key. Key Expiry time 20"), "{message}");
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_null_clears_it() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let made = make(
        &admin,
        json!({
            "key_alias": "a", "models": ["claude"], "max_budget": 5, "budget_duration": "30d", "rpm_limit": 10,
            "tpm_limit": "1000", "max_parallel_requests": 3, "duration": "1mo", "tags": ["one"], "aliases": {"x": "claude"},
            "model_max_budget": {"claude": {"budget_limit": 0.5, "time_period": "1d"}},
            "metadata": {"model_rpm_limit": {"claude": 7}, "note": "mine"}, "guardrails": ["pii"],
        }),
    )
    .await;
    assert_eq!(made["tpm_limit"], json!(1000));
    assert_eq!(made["metadata"], json!({"model_rpm_limit": {"claude": 7}, "note": "mine", "tags": ["one"]}));
    assert_eq!(made["model_max_budget"], json!({"claude": {"budget_limit": 0.5, "time_period": "1d"}}));
    assert!(made["budget_reset_at"].is_string() && made["expires"].is_string(), "{made}");

    let token = text(&made, "token");
    let changed = post(&admin, "/key/update", json!({"key": token, "rpm_limit": 20, "models": ["gpt-4o"]})).await;
    assert_eq!(
        (&changed["key"], &changed["rpm_limit"], &changed["models"]),
        (&json!(token), &json!(20), &json!(["gpt-4o"]))
    );
    for kept in ["key_alias", "max_budget", "budget_duration", "tpm_limit", "expires", "tags", "aliases", "guardrails"]
    {
        assert_eq!(changed[kept], made[kept], "{kept}");
    }

    let names = [
        "max_budget",
        "budget_duration",
        "rpm_limit",
        "tpm_limit",
        "max_parallel_requests",
        "duration",
        "key_alias",
        "guardrails",
        "model_rpm_limit",
    ];
    let mut body = json!({"key": made["key"], "models": null, "model_max_budget": null, "aliases": null});
    for name in names {
        body[name] = json!(null);
    }
    let cleared = post(&admin, "/key/update", body).await;
    for name in ["max_budget", "budget_duration", "rpm_limit", "tpm_limit", "expires", "key_alias", "guardrails"] {
        assert_eq!(cleared[name], json!(null), "{name}");
    }
    assert_eq!(
        (&cleared["models"], &cleared["model_max_budget"], &cleared["aliases"]),
        (&json!([]), &json!({}), &json!({}))
    );
    assert_eq!(info(&admin, token).await["metadata"], json!({"note": "mine", "tags": ["one"]}));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    for (body, param) in [
        (json!({"max_budget": -1}), "max_budget"),
        (json!({"max_budget": "NaN"}), "max_budget"),
        (json!({"max_budget": 1e300}), "max_budget"),
        (json!({"max_budget": true}), "max_budget"),
        (json!({"rpm_limit": 1.5}), "rpm_limit"),
        (json!({"tpm_limit": -5}), "tpm_limit"),
        (json!({"max_parallel_requests": 5_000_000_000_u64}), "max_parallel_requests"),
        (json!({"duration": "soon"}), "duration"),
        (json!({"duration": "900000d"}), "duration"),
        (json!({"budget_duration": "1y"}), "budget_duration"),
        (json!({"models": "gpt-4o"}), "models"),
        (json!({"models": [1]}), "models[0]"),
        (json!({"aliases": {"a": 1}}), "aliases.a"),
        (json!({"metadata": []}), "metadata"),
        (json!({"model_max_budget": {"m": -1}}), "model_max_budget.m"),
        (json!({"model_rpm_limit": {"m": "x"}}), "model_rpm_limit.m"),
        (json!({"key_type": "all"}), "key_type"),
        (json!({"key_alias": "a\nb"}), "key_alias"),
        (json!({"key_alias": "../b"}), "key_alias"),
        (json!({"blocked": "yes"}), "blocked"),
        (json!({"key": "no-prefix-but-long-enough"}), "key"),
        (json!({"key": "sk-short"}), "key"),
        (json!({"key": "sk-with blanks in it all over"}), "key"),
        (json!({"budget_id": "b"}), "budget_id"),
        (json!({"tpd_limit": 5}), "tpd_limit"),
        (json!({"team_id": "nobody"}), "team_id"),
        (json!([]), "request_body"),
    ] {
        let answer = admin.post("/key/generate", &body).await;
        let status = if param == "team_id" { 404 } else { 400 };
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (status, &json!(param)), "{body}");
    }
    let answer = admin.post_raw("/key/generate", r#"{"max_budget": NaN}"#).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(admin.get("/key/list").await.json()["total_count"], json!(0));
}

#[tokio::test]
async fn ones_own_key_and_alias_are_free_or_refused() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let own = json!({"key": "sk-my-own-key-0001", "key_alias": "mine"});
    make(&admin, own.clone()).await;
    assert_eq!(admin.with_key("sk-my-own-key-0001").chat("gpt-4o", "hi").await.status, 200);

    let again = admin.post("/key/generate", &json!({"key": "sk-my-own-key-0001"})).await;
    assert_eq!((again.status, &again.json()["error"]["param"]), (400, &json!("key")));
    let alias = admin.post("/key/generate", &json!({"key_alias": "mine"})).await;
    assert_eq!(
        error(&alias).2,
        "Key with alias 'mine' already exists. Unique key aliases across all keys are required."
    );
    let other = make(&admin, json!({"key_alias": "other"})).await;
    let taken = admin.post("/key/update", &json!({"key": other["token"], "key_alias": "mine"})).await;
    assert_eq!(taken.status, 400);
    post(&admin, "/key/update", json!({"key": "sk-my-own-key-0001", "key_alias": "mine"})).await;
    post(&admin, "/key/delete", json!({"key_aliases": ["mine"]})).await;
    make(&admin, own).await;
}

#[tokio::test]
async fn another_key_takes_the_place_of_one_and_goes_on_with_what_it_has_spent() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let made = make(&admin, json!({"key_alias": "app", "models": ["gpt-4o"], "spend": 1.25, "max_budget": 50})).await;

    let new = post(&admin, "/key/regenerate", json!({"key": made["key"], "rpm_limit": 9})).await;

    assert_eq!(admin.with_key(text(&made, "key")).chat("gpt-4o", "hi").await.status, 401);
    assert_eq!(admin.with_key(text(&new, "key")).chat("gpt-4o", "hi").await.status, 200);
    assert_eq!((&new["key_alias"], &new["models"], &new["rpm_limit"]), (&json!("app"), &json!(["gpt-4o"]), &json!(9)));
    assert!(new["spend"].as_f64().unwrap() >= 1.25, "{new}");
    let path = format!("/key/{}/regenerate", text(&new, "token"));
    let third = post(&admin, &path, json!({"new_key": "sk-the-third-of-them"})).await;
    assert_eq!(third["key"], json!("sk-the-third-of-them"));
    assert_eq!(admin.with_key("sk-the-third-of-them").get("/v1/models").await.status, 200);
    assert_eq!(admin.get("/key/list").await.json()["total_count"], json!(1));

    let reset = post(&admin, "/key/sk-the-third-of-them/reset_spend", json!({"reset_to": 0.5})).await;
    assert_eq!(reset["spend"], json!(0.5));
    assert_eq!(info(&admin, text(&third, "token")).await["spend"], json!(0.5));
    let more = admin.post("/key/sk-the-third-of-them/reset_spend", &json!({"reset_to": 2})).await;
    assert_eq!(more.json()["error"]["param"], json!("reset_to"));
    admin.post("/key/sk-the-third-of-them/nothing", &json!({})).await;
    for path in ["/key/sk%2Dthe-third-of-them/reset_spend", "/key/%73k-the-third-of-them/reset_spend"] {
        post(&admin, path, json!({"reset_to": 0})).await;
    }
    admin.get("/x=sk-the-third-of-them").await;
    assert!(!gateway.log().contains("the-third"), "a key that is written otherwise is in the log");
    assert!(!gateway.log().contains("sk-the-third"), "a key in a path is in the log");
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    for number in 0..12 {
        let user = if number % 3 == 0 { "u0" } else { "u1" };
        make(&admin, json!({"key_alias": format!("app-{number:02}"), "user_id": user})).await;
    }
    let first = admin.get("/key/list").await.json();
    assert_eq!(
        (first["keys"].as_array().unwrap().len(), &first["total_count"], &first["total_pages"]),
        (10, &json!(12), &json!(2))
    );
    assert!(first["keys"][0].is_string());
    let list = async |query: &str| -> Vec<String> {
        let answer =
            admin.get(&format!("/key/list?return_full_object=true&sort_by=key_alias&sort_order=asc&{query}")).await;
        let keys = answer.json()["keys"].as_array().unwrap_or_else(|| panic!("{query}: {}", answer.text())).clone();
        keys.iter().map(|key| text(key, "key_alias").to_owned()).collect()
    };
    assert_eq!(list("page=2&size=5").await, ["app-05", "app-06", "app-07", "app-08", "app-09"]);
    assert_eq!(list("user_id=u0").await, ["app-00", "app-03", "app-06", "app-09"]);
    assert_eq!(list("key_alias=app-07").await, ["app-07"]);
    assert_eq!(list("key_alias=app-1&substring_matching=true").await, ["app-10", "app-11"]);
    assert_eq!(list("search=P-11").await, ["app-11"]);
    assert_eq!(list("status=revoked").await, Vec::<String>::new());
    for (query, param) in
        [("size=101", "size"), ("page=0", "page"), ("sort_by=nonsense", "sort_by"), ("status=x", "status")]
    {
        let answer = admin.get(&format!("/key/list?{query}")).await;
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &json!(param)), "{query}");
    }
    let aliases = admin.get("/key/aliases?search=app-1&size=1&page=2").await.json();
    assert_eq!(
        aliases,
        json!({"aliases": ["app-11"], "total_count": 2, "current_page": 2, "total_pages": 2, "size": 1})
    );
    let two = post(&admin, "/v2/key/info", json!({"key_aliases": ["app-01", "app-02", "nobody"]})).await;
    assert_eq!(two["info"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn defaults_fill_in_and_upper_bounds_hold() {
    let gateway = gateway()
        .set(
            "litellm_settings",
            "default_key_generate_params",
            json!({"max_budget": 1.5, "models": ["gpt-4o"], "duration": "28d"}),
        )
        .set(
            "litellm_settings",
            "upperbound_key_generate_params",
            json!({"max_budget": 100, "tpm_limit": 5000, "duration": "30d"}),
        )
        .start()
        .await;
    let admin = gateway.client();

    let made = make(&admin, json!({})).await;
    assert_eq!(
        (&made["max_budget"], &made["models"], &made["tpm_limit"]),
        (&json!(1.5), &json!(["gpt-4o"]), &json!(5000))
    );
    assert!(made["expires"].is_string());
    for body in
        [json!({"max_budget": 101}), json!({"tpm_limit": 5001}), json!({"duration": "31d"}), json!({"duration": "-1"})]
    {
        let answer = admin.post("/key/generate", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(error(&answer).2.contains("is over max limit set in config"), "{}", answer.text());
    }
    let answer = admin.post("/key/update", &json!({"key": made["token"], "max_budget": 101})).await;
    assert_eq!(answer.status, 400);
    let cleared = post(&admin, "/key/update", json!({"key": made["token"], "max_budget": null})).await;
    assert_eq!(cleared["max_budget"], json!(100.0));
}

#[tokio::test]
async fn a_bad_default_is_an_error_of_the_configuration() {
    for (setting, value, expected) in [
        ("default_key_generate_params", json!({"max_budget": "lots"}), "max_budget: expected a number"),
        ("upperbound_key_generate_params", json!({"duration": "soon"}), "duration: expected a span of time"),
        ("default_team_params", json!({"models": 5}), "models: expected a list of texts"),
        ("default_internal_user_params", json!([]), "default_internal_user_params: expected a map"),
    ] {
        let run = Gateway::builder().set("litellm_settings", setting, value).run().await;
        assert!(!run.success && run.said.contains(expected), "{setting}: {}", run.said);
    }
}

#[tokio::test]
async fn a_key_that_another_gateway_deletes_is_refused_within_a_second() {
    let folder = TempDir::new();
    let url = format!("sqlite://{}", folder.path().join("shared.db").display());
    let start = || gateway().set("general_settings", "database_url", json!(url)).start();
    let (one, two) = (start().await, start().await);

    let made = make(&one.client(), json!({})).await;
    let elsewhere = two.client().with_key(text(&made, "key"));
    // Made a moment ago at the other one, and known here at once.
    assert_eq!(elsewhere.chat("gpt-4o", "hi").await.status, 200);

    post(&one.client(), "/key/delete", json!({"keys": [made["key"]]})).await;
    assert_eq!(one.client().with_key(text(&made, "key")).chat("gpt-4o", "hi").await.status, 401);
    let deleted = Instant::now();
    eventually_async("the key to be refused by the other gateway", async || {
        (elsewhere.get("/v1/models").await.status == 401).then_some(())
    })
    .await;
    assert!(deleted.elapsed() < Duration::from_secs(1), "{:?}", deleted.elapsed());
}

#[tokio::test]
async fn whoever_gets_the_name_of_somebody_gone_has_spent_nothing() {
    let folder = TempDir::new();
    let url = format!("sqlite://{}", folder.path().join("shared.db").display());
    let start = || gateway().set("general_settings", "database_url", json!(url)).start();
    let (one, two) = (start().await, start().await);
    let (admin, elsewhere) = (one.client(), two.client());
    let key = "sk-the-same-key-again";
    let of_key = format!("/key/info?key={key}");
    for (make, body, delete, named, info, spend) in [
        (
            "/user/new",
            json!({"user_id": "u"}),
            "/user/delete",
            json!({"user_ids": ["u"]}),
            "/v2/user/info?user_id=u",
            "/spend",
        ),
        (
            "/team/new",
            json!({"team_id": "t"}),
            "/team/delete",
            json!({"team_ids": ["t"]}),
            "/team/info?team_id=t",
            "/team_info/spend",
        ),
        ("/key/generate", json!({"key": key}), "/key/delete", json!({"keys": [key]}), of_key.as_str(), "/info/spend"),
    ] {
        let mut first = body.clone();
        first["spend"] = json!(5);
        let spent = async |client: &Client| client.get(info).await.json().pointer(spend).cloned();
        post(&admin, make, first).await;
        // Gateways on a file read every five seconds what others have spent; whoever says so itself knows at once.
        assert_eq!(spent(&admin).await, Some(json!(5.0)), "{make}");
        post(&elsewhere, delete, named.clone()).await;
        eventually_async("the other gateway to see it", async || spent(&admin).await.is_none().then_some(())).await;
        post(&elsewhere, make, body.clone()).await;
        eventually_async("the other gateway to see it", async || spent(&admin).await).await;
        assert_eq!(spent(&admin).await, Some(json!(0.0)), "{make}, deleted elsewhere");

        post(&admin, delete, named.clone()).await;
        let mut second = body.clone();
        second["spend"] = json!(7);
        post(&admin, make, second).await;
        post(&admin, delete, named).await;
        post(&admin, make, body).await;
        assert_eq!(spent(&admin).await, Some(json!(0.0)), "{make}, deleted here");
    }
}

#[tokio::test]
async fn what_many_make_and_delete_at_a_time_adds_up() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let made = join_all((0..100).map(|_| make(&admin, json!({})))).await;
    let (kept, gone) = made.split_at(50);

    let deletes = gone.iter().map(|key| post(&admin, "/key/delete", json!({"keys": [key["token"]]})));
    let creates = (0..100).map(|number| make(&admin, json!({"key_alias": format!("late-{number}")})));
    let (_, late) = tokio::join!(join_all(deletes), join_all(creates));
    // Of fifty that want one alias, one gets it.
    let wanted = json!({"key_alias": "only-one"});
    let same = join_all((0..50).map(|_| admin.post("/key/generate", &wanted))).await;
    assert_eq!(same.iter().filter(|answer| answer.status == 200).count(), 1);

    assert_eq!(admin.get("/key/list").await.json()["total_count"], json!(151));
    for key in kept.iter().chain(&late) {
        assert_eq!(admin.with_key(text(key, "key")).get("/v1/models").await.status, 200);
    }
    for key in gone {
        assert_eq!(admin.with_key(text(key, "key")).get("/v1/models").await.status, 401);
    }
}

#[tokio::test]
async fn a_key_that_another_gateway_deletes_from_postgres_is_refused_within_a_second() {
    let Some(postgres) = Postgres::start().await else { return };
    let start = || gateway().set("general_settings", "database_url", json!(postgres.url())).start();
    let (one, two) = (start().await, start().await);
    for _ in 0..3 {
        let made = make(&one.client(), json!({"metadata": {"ü": "🗝"}})).await;
        let elsewhere = two.client().with_key(text(&made, "key"));
        assert_eq!(elsewhere.chat("gpt-4o", "hi").await.status, 200);

        post(&two.client(), "/key/update", json!({"key": made["token"], "models": ["gpt-4o"]})).await;
        post(&one.client(), "/key/update", json!({"key": made["token"], "rpm_limit": 50})).await;
        let shown = info(&one.client(), text(&made, "token")).await;
        assert_eq!((&shown["models"], &shown["metadata"]), (&json!(["gpt-4o"]), &json!({"ü": "🗝"})));

        post(&one.client(), "/key/delete", json!({"keys": [made["key"]]})).await;
        let deleted = Instant::now();
        eventually_async("the key to be refused by the other gateway", async || {
            (elsewhere.get("/v1/models").await.status == 401).then_some(())
        })
        .await;
        assert!(deleted.elapsed() < Duration::from_secs(1), "{:?}", deleted.elapsed());
    }
}

#[tokio::test]
async fn while_the_database_is_away_known_keys_go_on_and_others_fare_as_the_operator_wants() {
    let Some(postgres) = Postgres::start().await else { return };
    for lets_in in [false, true] {
        let relay = Relay::to(postgres.address()).await;
        let gateway = gateway()
            .set("general_settings", "database_url", json!(postgres.url_by(relay.address())))
            .set("general_settings", "allow_requests_on_db_unavailable", json!(lets_in))
            .start()
            .await;
        let admin = gateway.client();
        let made = make(&admin, json!({})).await;
        let (known, unknown) = (admin.with_key(text(&made, "key")), admin.with_key("sk-not-known-to-anybody"));

        relay.cut();

        assert_eq!(known.chat("gpt-4o", "hi").await.status, 200);
        let stranger = unknown.chat("gpt-4o", "hi").await;
        match lets_in {
            true => assert_eq!(stranger.status, 200, "{}", stranger.text()),
            false => assert_eq!((error(&stranger).0, error(&stranger).1.as_str()), (503, "database_unavailable")),
        }
        assert_eq!(unknown.get("/key/list").await.status, if lets_in { 403 } else { 503 });
        assert_eq!(error(&admin.post("/key/generate", &json!({})).await).0, 503);
        assert_eq!(admin.get("/key/list").await.ok()["total_count"], json!(1));
        assert_eq!(known.chat("gpt-4o", "hi").await.status, 200);

        relay.open();

        eventually_async("keys to be made again", async || {
            (admin.post("/key/generate", &json!({})).await.status == 200).then_some(())
        })
        .await;
        assert_eq!(unknown.chat("gpt-4o", "hi").await.status, 401);
        post(&admin, "/key/delete", json!({"keys": [made["key"]]})).await;
        assert_eq!(known.chat("gpt-4o", "hi").await.status, 401);
        // The next round counts its own.
        let all = admin.get("/key/list?size=100").await.ok()["keys"].clone();
        post(&admin, "/key/delete", json!({"keys": all})).await;
        assert!(!gateway.log().contains(ai_api_e2e::PASSWORD), "{}", gateway.log());
    }
}
