//! Health: of the deployments, without paying for it, and of the process itself.

use ai_api_e2e::{
    Client, FakeUpstream, Gate, Gateway, MASTER_KEY, Raw, Received, Reply, TempDir, Wire, eventually, eventually_async,
};
use reqwest::Method;
use serde_json::{Value, json};

/// A provider that speaks the canonical wire: a list of models for those who have the right key, and answers.
fn provider() -> FakeUpstream {
    FakeUpstream::answering(|request| match (request.path.as_str(), key_of(request)) {
        ("/v1/models", "Bearer sk-upstream-good") => Reply::json(200, &json!({"data": [{"id": "gpt-4o-mini"}]})),
        ("/v1/models", key) => {
            let message = format!("Incorrect API key provided: {}.", key.trim_start_matches("Bearer "));
            let error = json!({"message": message, "type": "invalid_request_error", "code": "invalid_api_key"});
            Reply::json(401, &json!({"error": error}))
        }
        _ => Wire::OpenAi.reply("pong"),
    })
}

fn key_of(request: &Received) -> &str {
    request.header("authorization").unwrap_or_default()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|one| one["model_name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_wrong_key_is_found_without_paying_for_a_call() {
    let upstream = provider();
    let base = Wire::OpenAi.base(&upstream);
    let gateway = Gateway::builder()
        .model("good", "openai/gpt-4o-mini", &base)
        .model("bad", "openai/gpt-4o-mini", &base)
        .start()
        .await;

    let health = gateway.client().get("/health").await.ok();

    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&json!(1), &json!(1)), "{health}");
    assert_eq!(names(&health["healthy_endpoints"]), ["good"]);
    let good = &health["healthy_endpoints"][0];
    assert_eq!((&good["model"], &good["probe"]), (&json!("openai/gpt-4o-mini"), &json!("models")));
    assert_eq!(good["model_listed"], true);
    let bad = &health["unhealthy_endpoints"][0];
    assert_eq!((&bad["model_name"], &bad["error_kind"]), (&json!("bad"), &json!("authentication")));
    assert_eq!(bad["error"], "Incorrect API key provided: [redacted].");
    assert!(!health.to_string().contains("sk-upstream"), "{health}");
    let paths: Vec<_> = upstream.requests().into_iter().map(|asked| (asked.method, asked.path)).collect();
    assert_eq!(paths, vec![("GET".to_owned(), "/v1/models".to_owned()); 2]);
}

#[tokio::test]
async fn a_provider_with_a_wire_of_its_own_is_connected_to_and_gets_no_key() {
    let upstream = FakeUpstream::replying(Reply::status(404));
    let wire = Wire::Anthropic;
    let gateway = Gateway::builder().model("claude", wire.model(), &wire.base(&upstream)).start().await;

    let health = gateway.client().get("/health").await.ok();

    assert_eq!(health["healthy_endpoints"][0]["probe"], "connect", "{health}");
    let asked = upstream.request();
    assert_eq!((asked.method.as_str(), asked.body.len()), ("HEAD", 0));
    assert!(!asked.text().contains("sk-upstream"), "{}", asked.text());
}

#[tokio::test]
async fn what_keeps_a_deployment_from_serving_is_told_by_its_kind() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let silent = FakeUpstream::replying(Reply::silence());
    let broken = FakeUpstream::replying(Reply::json(503, &json!({"error": {"message": "too many calls"}})));
    let moved = FakeUpstream::replying(Reply::status(302).header("location", "https://example.com/"));
    let without_list = FakeUpstream::replying(Reply::status(404));
    let keyless = FakeUpstream::replying(Reply::status(403));
    let page = FakeUpstream::replying(Reply::status(200).header("content-type", "text/html").send("<html>"));
    let model = "openai/gpt-4o-mini";
    let gateway = Gateway::builder()
        .model("refused", model, &format!("http://{closed}/v1"))
        .model("silent", model, &silent.origin())
        .model("broken", model, &broken.origin())
        .model("moved", model, &moved.origin())
        .model("without-list", model, &without_list.origin())
        .model("keyless", model, &keyless.origin())
        .model("page", model, &page.origin())
        .model_with("mocked", model, "http://127.0.0.1:1", json!({"mock_response": "hello"}))
        .model_with("unset", "openai/gpt-4o", "http://127.0.0.1:1", json!({"api_key": "os.environ/NOT_SET"}))
        .set("ai_api_settings", "health_checks", json!({"timeout": 0.5}))
        .start()
        .await;

    let health = gateway.client().get("/health").await.ok();

    let unwell = health["unhealthy_endpoints"].as_array().expect("a list").iter();
    let kinds: Vec<_> = unwell.map(|one| (one["model_name"].as_str(), one["error_kind"].as_str())).collect();
    let kinds: Vec<_> = kinds.into_iter().map(|(name, kind)| format!("{} {}", name.unwrap(), kind.unwrap())).collect();
    let expected =
        ["refused unreachable", "silent timeout", "broken overloaded", "moved malformed", "unset unavailable"];
    assert_eq!(kinds, expected, "{health:#}");
    assert_eq!(names(&health["healthy_endpoints"]), ["without-list", "keyless", "page", "mocked"]);
    let notes: Vec<_> = (0..3).map(|at| health["healthy_endpoints"][at]["note"].as_str().unwrap_or_default()).collect();
    assert!(notes[0].contains("has no list of models there; check api_base"), "{notes:?}");
    assert!(notes[1].contains("(403)"), "{notes:?}");
    assert!(notes[2].contains("not with a list of models; check api_base"), "{notes:?}");
    assert_eq!(health["healthy_endpoints"][3]["probe"], Value::Null);
}

#[tokio::test]
async fn one_model_can_be_asked_for_and_a_key_is_needed() {
    let upstream = provider();
    let base = Wire::OpenAi.base(&upstream);
    let gateway = Gateway::builder()
        .model("good", "openai/gpt-4o-mini", &base)
        .model("bad", "openai/gpt-4o-mini", &base)
        .start()
        .await;
    let client = gateway.client();

    let health = client.get("/health?model=good").await.ok();
    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&json!(1), &json!(0)), "{health}");
    let id = health["healthy_endpoints"][0]["model_id"].as_str().expect("an id");
    let by_id = client.get(&format!("/health?model_id={id}")).await.ok();
    assert_eq!(names(&by_id["healthy_endpoints"]), ["good"]);
    assert_eq!(upstream.hits(), 1, "it has been asked a moment ago");

    let unknown = client.get("/health?model=goood").await;
    assert_eq!((unknown.status, unknown.error()["code"].as_str()), (404, Some("model_not_found")));
    assert!(unknown.message().contains("Did you mean `good`?"), "{}", unknown.message());
    assert_eq!(client.get("/health?model_id=nope").await.status, 400);
    assert_eq!(client.get("/health?paid=perhaps").await.status, 400);
    for path in ["/health", "/health/drain"] {
        assert_eq!(client.with_key("sk-wrong").get(path).await.status, 401, "{path}");
    }
    let head = client.request(Method::HEAD, "/health?paid=true").send().await.expect("an answer");
    assert_eq!((head.status().as_u16(), head.headers()["allow"].as_bytes()), (405, &b"GET"[..]));
    assert_eq!(upstream.hits(), 1, "nobody was asked for those");
    assert_eq!(client.get("/health/readiness").await.status, 200, "a stranger drained nothing");
}

#[tokio::test]
async fn a_paid_probe_makes_one_small_call_and_accounts_for_it() {
    let upstream = provider();
    let wire = Wire::Anthropic;
    let translated = FakeUpstream::replying(wire.reply("pong"));
    let folder = TempDir::new();
    let drawn = json!({
        "model_name": "painter",
        "litellm_params": {"model": "openai/gpt-image-1", "api_base": Wire::OpenAi.base(&upstream), "api_key": "sk-upstream-good"},
    });
    let all = json!({
        "model_name": "all/*",
        "litellm_params": {"model": "openai/*", "api_base": Wire::OpenAi.base(&upstream), "api_key": "sk-upstream-good"},
        "model_info": {"health_check_model": "openai/gpt-4o-mini"},
    });
    let claude = json!({
        "model_name": "claude",
        "litellm_params": {"model": wire.model(), "api_base": wire.base(&translated), "api_key": "sk-upstream-claude"},
    });
    let config = json!({"model_list": [all, claude, drawn], "general_settings": {"master_key": MASTER_KEY}});
    let file = folder.write("config.yaml", config.to_string());
    let gateway = Gateway::with_file(&file, MASTER_KEY).env("JSON_LOGS", "true").start().await;

    let health = gateway.client().get("/health?paid=true").await.ok();

    assert_eq!(names(&health["healthy_endpoints"]), ["all/*", "claude", "painter"], "{health:#}");
    let how: Vec<_> = (0..3).map(|at| health["healthy_endpoints"][at]["probe"].clone()).collect();
    assert_eq!(how, ["completion", "completion", "models"]);
    let asked: Vec<_> = upstream.requests().into_iter().filter(|asked| asked.method == "POST").collect();
    assert_eq!(asked.len(), 1);
    let body = asked[0].json();
    assert_eq!((&body["model"], &body["max_tokens"]), (&json!("gpt-4o-mini"), &json!(16)));
    assert_eq!(translated.hits(), 1);
    let accounted = || gateway.log().lines().filter(|line| line.contains("\"PROBE\"")).count() == 2;
    eventually("both calls to be accounted for", || accounted().then_some(())).await;
    assert!(gateway.log().contains("prompt_tokens"), "{}", gateway.log());
}

#[tokio::test]
async fn a_paid_probe_that_takes_too_long_or_is_left_is_accounted_for_as_what_it_is() {
    let silent = FakeUpstream::replying(Reply::silence());
    let gate = Gate::closed();
    let slow = FakeUpstream::replying(Wire::OpenAi.reply("pong").head_after(&gate));
    let model = |name: &str, upstream: &FakeUpstream, info: Value| {
        let params =
            json!({"model": Wire::OpenAi.model(), "api_base": Wire::OpenAi.base(upstream), "api_key": "sk-up"});
        json!({"model_name": name, "litellm_params": params, "model_info": info})
    };
    let list = [model("silent", &silent, json!({"health_check_timeout": 0.5})), model("slow", &slow, json!({}))];
    let folder = TempDir::new();
    let config = json!({"model_list": list, "general_settings": {"master_key": MASTER_KEY}});
    let file = folder.write("config.yaml", config.to_string());
    let gateway = Gateway::with_file(&file, MASTER_KEY).env("JSON_LOGS", "true").start().await;
    let entry = async |model: &str| {
        let of_probe = |line: &str| {
            let entry: Value = serde_json::from_str(line).ok()?;
            (entry["method"] == "PROBE" && entry["model"] == model).then_some(entry)
        };
        eventually("the log line of a probe", || gateway.log().lines().find_map(of_probe)).await
    };

    let health = gateway.client().get("/health?paid=true&model=silent").await.ok();

    assert_eq!(health["unhealthy_endpoints"][0]["error_kind"], "timeout", "{health}");
    let logged = entry("silent").await;
    assert_eq!(logged["outcome"], "failed", "nobody has left: {logged}");

    let client = gateway.client();
    let left = tokio::spawn(async move { client.get("/health?paid=true&model=slow").await });
    slow.asked(1).await;
    left.abort();
    assert!(left.await.is_err_and(|ended| ended.is_cancelled()));
    gate.open();
    let logged = entry("slow").await;
    assert_eq!(logged["outcome"], "complete", "it is paid for: {logged}");
    assert!(logged["prompt_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{logged}");
}

#[tokio::test]
async fn a_paid_probe_that_goes_well_does_not_hide_what_the_background_found() {
    let upstream = FakeUpstream::answering(|request| match request.method.as_str() {
        "GET" => Reply::json(401, &json!({"error": {"message": "wrong key"}})),
        _ => Wire::OpenAi.reply("pong"),
    });
    let gateway = Gateway::builder()
        .model("gpt", Wire::OpenAi.model(), &Wire::OpenAi.base(&upstream))
        .set("general_settings", "background_health_checks", json!(true))
        .start()
        .await;
    let client = gateway.client();
    eventually_async("the background to have a result", async || {
        let before = upstream.hits();
        let health = client.get("/health").await.ok();
        (health["unhealthy_count"] == 1 && upstream.hits() == before).then_some(())
    })
    .await;

    assert_eq!(client.get("/health?paid=true").await.ok()["healthy_count"], 1);
    assert_eq!(client.get("/health").await.ok()["unhealthy_count"], 1, "they asked for different things");
}

#[tokio::test]
async fn a_reload_that_repairs_a_deployment_has_it_probed_and_called_at_once() {
    let upstream = provider();
    let other = FakeUpstream::replying(Wire::OpenAi.reply("from the other"));
    let folder = TempDir::new();
    let config = |key: &str| {
        let model = |base: String, key: &str| json!({"model_name": "gpt", "litellm_params": {"model": "openai/gpt-4o-mini", "api_base": base, "api_key": key}});
        let list = [model(Wire::OpenAi.base(&upstream), key), model(Wire::OpenAi.base(&other), "sk-upstream-other")];
        let general =
            json!({"master_key": MASTER_KEY, "background_health_checks": true, "enable_health_check_routing": true});
        json!({"model_list": list, "general_settings": general}).to_string()
    };
    let file = folder.write("config.yaml", config("sk-upstream-bad"));
    let gateway = Gateway::with_file(&file, MASTER_KEY).start().await;
    let client = gateway.client();
    let standing = async || {
        let view = client.get("/router").await.ok();
        let first = &view["groups"][0]["deployments"][0];
        (first["state"].as_str().unwrap_or_default().to_owned(), first["model_id"].clone())
    };
    let unwell = eventually_async("the wrong key to be found", async || {
        let standing = standing().await;
        (standing.0 == "unwell").then_some(standing)
    })
    .await;

    folder.write("config.yaml", config("sk-upstream-good"));
    assert_eq!(client.post("/config/reload", &json!({})).await.status, 200);

    let repaired = eventually_async("the right one to be found", async || {
        let standing = standing().await;
        (standing.0 == "closed").then_some(standing)
    })
    .await;
    assert_eq!(repaired.1, unwell.1, "it is the same deployment");
    // Five minutes before the clock would have it probed.
    eventually("a probe with the new key", || {
        upstream.requests().iter().any(|asked| key_of(asked) == "Bearer sk-upstream-good").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_background_probes_by_itself_and_its_last_results_are_told_at_once() {
    let upstream = provider();
    let base = Wire::OpenAi.base(&upstream);
    let folder = TempDir::new();
    let model = |name: &str, info: Value| {
        let key = format!("sk-upstream-{name}");
        json!({"model_name": name, "litellm_params": {"model": "openai/gpt-4o-mini", "api_base": base, "api_key": key}, "model_info": info})
    };
    let list = [model("good", json!({})), model("quiet", json!({"disable_background_health_check": true}))];
    let general = json!({"master_key": MASTER_KEY, "background_health_checks": true, "health_check_details": false});
    let config = json!({"model_list": list, "general_settings": general});
    let file = folder.write("config.yaml", config.to_string());
    let gateway = Gateway::with_file(&file, MASTER_KEY).start().await;
    upstream.answered(1).await;
    let client = gateway.client();
    // The answer is on its way to the gateway, which may not have noted it yet: then this call asks itself.
    eventually_async("the results", async || {
        let before = upstream.hits();
        let health = client.get("/health").await.ok();
        assert_eq!(names(&health["healthy_endpoints"]), ["good"], "{health}");
        assert!(health["healthy_endpoints"][0]["probe"].is_null(), "details are off: {health}");
        (upstream.hits() == before).then_some(())
    })
    .await;
    let before = upstream.hits();

    assert_eq!(client.post("/config/reload", &json!({})).await.status, 200);
    assert_eq!(client.get("/health").await.ok()["healthy_count"], 1);
    assert_eq!(upstream.hits(), before, "results outlive a reload");

    let quiet = client.get("/health?model=quiet").await.ok();
    assert_eq!(quiet["unhealthy_count"], 1, "who asks by name gets an answer: {quiet}");
    assert_eq!(upstream.hits(), before + 1);
}

#[tokio::test]
async fn the_background_probes_again_and_again() {
    let upstream = provider();
    let _gateway = Gateway::builder()
        .model("good", "openai/gpt-4o-mini", &Wire::OpenAi.base(&upstream))
        .set("general_settings", "background_health_checks", json!(true))
        .set("general_settings", "health_check_interval", json!(0.1))
        .start()
        .await;
    upstream.answered(3).await;
}

#[tokio::test]
async fn readiness_tells_of_a_configuration_that_cant_be_used_and_stays_ready() {
    let folder = TempDir::new();
    let config = json!({"model_list": [], "general_settings": {"master_key": MASTER_KEY}});
    let file = folder.write("config.yaml", config.to_string());
    let gateway = Gateway::with_file(&file, MASTER_KEY).start().await;
    let client = gateway.client();
    let ready = client.get("/health/readiness").await.ok();
    assert_eq!((&ready["status"], &ready["db"]), (&json!("healthy"), &json!("connected")));
    assert_eq!((&ready["config"]["error"], &ready["plugins"]["failed"]), (&Value::Null, &json!(0)));
    assert!(ready["config"]["loaded_at"].as_u64().is_some_and(|at| at > 1_700_000_000), "{ready}");

    folder.write("config.yaml", "model_list: 7\n");
    assert_eq!(client.post("/config/reload", &json!({})).await.status, 400);

    let answer = client.bare(Method::GET, "/health/readiness").send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "the old configuration serves");
    let ready: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    let error = ready["config"]["error"].as_str().unwrap_or_default();
    assert!(error.contains("GET /plugins tells why") && !error.contains("model_list"), "{ready}");
}

#[tokio::test]
async fn a_gateway_that_drains_is_not_ready_and_serves_on() {
    let wire = Wire::OpenAi;
    let upstream = FakeUpstream::replying(wire.reply("hello"));
    let gateway = Gateway::builder().model("gpt", wire.model(), &wire.base(&upstream)).start().await;
    let client = gateway.client();

    assert_eq!(client.get("/health/drain").await.ok(), json!({"status": "draining"}));

    let ready = client.get("/health/readiness").await;
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("draining")));
    assert_eq!(client.get("/health/liveliness").await.status, 200, "a restart would end its calls");
    assert_eq!(client.chat("gpt", "hi").await.content(), "hello");
    gateway.logged("draining: not ready for new traffic any more").await;
}

#[tokio::test]
async fn draining_can_be_waited_for_and_no_page_can_ask_for_it() {
    let wire = Wire::OpenAi;
    let gate = Gate::closed();
    let upstream = FakeUpstream::replying(wire.reply("late").head_after(&gate));
    let mut gateway = Gateway::builder().model("gpt", wire.model(), &wire.base(&upstream)).start().await;
    let client = gateway.client();
    for (name, value) in [("origin", "https://example.com"), ("sec-fetch-site", "cross-site")] {
        for path in ["/health/drain", "/health?paid=true"] {
            let answer = ai_api_e2e::Answer::to(client.request(Method::GET, path).header(name, value)).await;
            assert_eq!((answer.status, answer.error()["code"].as_str()), (403, Some("asked_by_page")), "{name} {path}");
        }
    }
    let head = client.request(Method::HEAD, "/health/drain").send().await.expect("an answer");
    assert_eq!((head.status().as_u16(), head.headers()["allow"].as_bytes()), (405, &b"GET, POST"[..]));
    let wrong = client.get("/health/drain?wait=61").await;
    assert_eq!((wrong.status, wrong.message().as_str()), (400, "'wait' must be a number of seconds from 0 to 60."));
    assert_eq!((upstream.hits(), client.get("/health/readiness").await.status), (0, 200), "nothing has happened");

    let call = tokio::spawn({
        let client = gateway.client();
        async move { client.chat("gpt", "hi").await }
    });
    upstream.asked(1).await;
    let drained = tokio::spawn({
        let client = gateway.client();
        async move { client.post("/health/drain?wait=60", &json!({})).await }
    });
    gateway.logged("draining: not ready for new traffic any more").await;
    assert!(!drained.is_finished(), "a call is under way");

    gateway.terminate();
    assert_eq!(drained.await.expect("no panic").ok(), json!({"status": "draining"}), "who waits is let go");
    gate.open();
    assert_eq!(call.await.expect("no panic").content(), "late");
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
}

#[tokio::test]
async fn a_gateway_that_was_asked_to_end_is_not_ready() {
    let wire = Wire::OpenAi;
    let gate = Gate::closed();
    let upstream = FakeUpstream::replying(wire.reply("late").head_after(&gate));
    let mut gateway = Gateway::builder().model("gpt", wire.model(), &wire.base(&upstream)).start().await;
    let call = tokio::spawn({
        let client: Client = gateway.client();
        async move { client.chat("gpt", "hi").await }
    });
    upstream.asked(1).await;
    // A connection is let go where no request is on it: half of one keeps it for a second.
    let mut raw = Raw::open(gateway.authority()).await;
    raw.send("GET /health/readiness HTTP/1.1\r\n").await;
    // One that was not accepted before the end never is: the call's, this one, and that of who asks.
    let client = gateway.client();
    eventually_async("the gateway to have it", async || {
        client.get("/metrics").await.text().contains("ai_api_connections_open 3").then_some(())
    })
    .await;

    gateway.terminate();
    gateway.logged("draining").await;
    raw.send("host: gateway\r\n\r\n").await;

    assert!(raw.until("\r\n").await.contains("503"));
    raw.until("\"draining\"").await;
    gate.open();
    assert_eq!(call.await.expect("no panic").content(), "late");
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
}
