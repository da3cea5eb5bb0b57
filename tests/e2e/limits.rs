//! What a plugin may use is the operator's to say, for all plugins and for each; beyond it, a call fails.

use ai_api_e2e::{Answer, FakeUpstream, Gate, Gateway, MASTER_KEY, Reply, TempDir, Wire, guest};
use serde_json::{Value, json};

/// A gateway with the hostile guest under `limits`, and a well-behaved deployment.
struct House {
    gateway: Gateway,
    upstream: FakeUpstream,
    _neighbour: FakeUpstream,
}

impl House {
    async fn under(limits: Value) -> Self {
        Self::with(limits, Reply::events(["data: {\"one\": 1}\n\n"])).await
    }

    async fn with(limits: Value, reply: Reply) -> Self {
        let upstream = FakeUpstream::replying(reply);
        let neighbour = FakeUpstream::replying(Wire::Anthropic.reply("I'm fine"));
        let mut hostile = json!({"quarantine_after": 0});
        for (key, value) in limits.as_object().expect("limits") {
            hostile[key.as_str()] = value.clone();
        }
        let gateway = Gateway::builder()
            .model("hostile/*", "hostile/*", &upstream.origin())
            .model("good", Wire::Anthropic.model(), &Wire::Anthropic.base(&neighbour))
            .plugin(&guest("hostile"))
            .set("ai_api_settings", "plugin_limits", json!({"hostile": hostile}))
            .env("JSON_LOGS", "true")
            .start()
            .await;
        Self { gateway, upstream, _neighbour: neighbour }
    }

    async fn ask(&self, behaviour: &str) -> Answer {
        self.gateway.client().chat(&format!("hostile/{behaviour}"), "hi").await
    }

    async fn stream(&self, behaviour: &str) -> Answer {
        self.gateway.client().stream(&format!("hostile/{behaviour}"), "hi").await.answer().await
    }

    /// The call failed, the operator is told why, and the neighbour is served.
    async fn assert_fails(&self, answer: &Answer, says: &str) {
        assert_eq!((answer.status, answer.error()["code"].as_str()), (502, Some("plugin_failed")), "{}", answer.text());
        self.gateway.logged(says).await;
        assert_eq!(self.gateway.client().chat("good", "are you fine?").await.content(), "I'm fine");
    }

    /// The hostile guest in the list of plugins.
    async fn listed(&self) -> Value {
        let plugins = self.gateway.client().get("/plugins").await.ok();
        let mut found = plugins["data"].as_array().expect("a list").iter().filter(|plugin| plugin["name"] == "hostile");
        found.next().expect("hostile is loaded").clone()
    }
}

#[tokio::test]
async fn memory_is_limited_and_the_most_that_was_used_is_told() {
    let house = House::under(json!({"memory_mb": 16})).await;
    house.assert_fails(&house.ask("hoard").await, "wanted more than 16777216 bytes of memory").await;
    let calls = &house.listed().await["calls"];
    assert_eq!(calls["failures"]["out_of_memory"], 1, "{calls}");
    let peak = calls["peak_memory_bytes"].as_u64().expect("a number");
    assert!((8 << 20..=16 << 20).contains(&peak), "{peak}");
    assert_eq!(calls["instances"], 0, "{calls}");
}

#[tokio::test]
async fn time_is_limited_and_what_was_used_is_told() {
    let house = House::under(json!({"call_time_ms": 100})).await;
    house.assert_fails(&house.ask("loop").await, "ran for longer than 100ms").await;
    let calls = &house.listed().await["calls"];
    assert_eq!(calls["failures"]["out_of_time"], 1, "{calls}");
    let cpu = calls["cpu_seconds"].as_f64().expect("a number");
    assert!((0.05..2.0).contains(&cpu), "{cpu}");
}

#[tokio::test]
async fn output_is_limited() {
    let house = House::under(json!({"output_mb": 1})).await;
    house.assert_fails(&house.ask("huge:4").await, "returned what can't be read").await;
    assert_eq!(house.ask("fine").await.content(), "fine");
}

#[tokio::test]
async fn the_stack_is_limited() {
    // Set for all plugins, since one engine runs them.
    let gateway = Gateway::builder()
        .model("hostile/*", "hostile/*", "http://127.0.0.1:9")
        .plugin(&guest("hostile"))
        .set("ai_api_settings", "plugin_limits", json!({"*": {"stack_kb": 256, "quarantine_after": 0}}))
        .start()
        .await;
    assert_eq!(gateway.client().chat("hostile/fine", "hi").await.content(), "fine");
    assert_eq!(gateway.client().chat("hostile/recurse", "hi").await.status, 502);
}

#[tokio::test]
async fn chunks_are_limited_by_the_events_that_they_are_made_of() {
    let house = House::under(json!({"chunks_per_event": 10})).await;
    house.assert_fails(&house.stream("chunks:11").await, "returned 11 chunks at once; 10 is the most").await;
    let kept = house.gateway.client().stream("hostile/chunks:10", "hi").await.transcript().await;
    assert!(kept.done && kept.error.is_none(), "{kept:#?}");
}

#[tokio::test]
async fn a_stream_of_millions_of_chunks_fails_its_own_call() {
    let house = House::under(json!({})).await;
    house
        .assert_fails(&house.stream("chunks:1000000").await, "returned 1000000 chunks at once; 1000 is the most")
        .await;
    house.assert_fails(&house.stream("ready-chunks:2000000").await, "1000000 is the most").await;
    // So many that the host doesn't even take them over.
    house.assert_fails(&house.stream("ready-chunks:20000000").await, "hostile").await;
}

#[tokio::test]
async fn usage_that_cannot_be_is_refused_and_parts_are_never_more_than_the_whole() {
    let house = House::under(json!({})).await;
    house.assert_fails(&house.ask("absurd-usage").await, "counted 18446744073709551615 tokens").await;
    house.assert_fails(&house.stream("absurd-usage").await, "counted 18446744073709551615 tokens").await;
    let answer = house.ask("more-than-all").await;
    assert_eq!(answer.content(), "fine");
    let entry = house.gateway.entry(answer.header("x-litellm-call-id").expect("an id")).await;
    let text = entry.to_string();
    assert!(text.contains(":7") && !text.contains("18446744073709551615"), "{text}");
}

#[tokio::test]
async fn headers_and_a_query_have_a_size() {
    let house = House::under(json!({})).await;
    house.assert_fails(&house.ask("headers:101").await, "set 101 headers").await;
    house.assert_fails(&house.ask("query:70000").await, "asked for a query of").await;
    assert_eq!(house.upstream.hits(), 0);
    house.ask("headers:50").await;
    assert_eq!(house.upstream.hits(), 1);
}

#[tokio::test]
async fn a_failures_words_have_an_end() {
    let house = House::under(json!({})).await;
    let answer = house.ask("long-failure").await;
    assert!(answer.status >= 500 && answer.message().len() <= 16 << 10, "{} bytes", answer.message().len());
}

#[tokio::test]
async fn log_lines_are_limited_for_a_call_and_for_a_second() {
    let house = House::under(json!({"log_lines_per_call": 4, "log_lines_per_second": 6})).await;
    for _ in 0..3 {
        assert_eq!(house.ask("flood-log").await.content(), "fine");
    }
    let lines = house.gateway.log().lines().filter(|line| line.contains("the same line again")).count();
    // Three calls may fall into three seconds.
    assert!((4..=12).contains(&lines), "{lines} lines");
    let dropped = house.listed().await["calls"]["log_lines_dropped"].as_u64().expect("a number");
    assert_eq!(dropped, 3 * 200_000 - lines as u64);
}

#[tokio::test]
async fn calls_beyond_a_plugins_share_are_told_to_come_back() {
    let gate = Gate::closed();
    let reply = Reply::events(["data: {\"one\": 1}\n\n"]).head_after(&gate);
    let house = House::with(json!({"concurrent_calls": 2}), reply).await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let client = house.gateway.client();
            tokio::spawn(async move { client.chat("hostile/slow", "hi").await.status })
        })
        .collect();
    house.upstream.asked(2).await;
    let refused = house.ask("fine").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.text());
    assert_eq!(refused.error()["code"], "overloaded");
    assert_eq!(house.gateway.client().chat("good", "are you fine?").await.content(), "I'm fine");
    gate.open();
    for held in held {
        assert_eq!(held.await.expect("no panic"), 200);
    }
    assert_eq!(house.ask("fine").await.content(), "fine");
    assert_eq!(house.listed().await["calls"]["failures"]["busy"], 1);
}

#[tokio::test]
async fn a_limit_that_makes_no_sense_is_an_error_with_its_line() {
    for (limits, says) in [
        (json!({"acme": {"memory_mb": -1}}), "plugin_limits.acme.memory_mb: expected a whole number from 1 to 4096"),
        (json!({"acme": {"memory": 1}}), "plugin_limits.acme.memory: there is no such limit"),
        (json!({"acme": {"stack_kb": 100}}), "set it under \"*\""),
    ] {
        let run = Gateway::builder().set("ai_api_settings", "plugin_limits", limits).run().await;
        assert!(!run.success && run.said.contains(says) && run.said.contains("config.yaml:"), "{}", run.said);
    }
}

#[tokio::test]
async fn metrics_count_calls_failures_time_and_memory_by_plugin() {
    let house = House::under(json!({})).await;
    house.ask("fine").await;
    house.ask("trap").await;
    let metrics = house.gateway.client().get("/metrics").await.text();
    for line in [
        "ai_api_plugin_calls_total{plugin=\"hostile\"} 2",
        "ai_api_plugin_failures_total{plugin=\"hostile\",kind=\"trapped\"} 1",
        "ai_api_plugin_failures_total{plugin=\"hostile\",kind=\"out_of_time\"} 0",
        "ai_api_plugin_quarantined{plugin=\"hostile\"} 0",
        // One of them when it was loaded.
        "ai_api_plugin_instances_made_total{plugin=\"hostile\"} 3",
        "ai_api_plugin_calls_running{plugin=\"hostile\"} 0",
        "ai_api_plugin_cpu_seconds_total{plugin=\"hostile\"} 0.",
        "ai_api_plugin_peak_memory_bytes{plugin=\"hostile\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn new_limits_hold_without_a_restart() {
    let home = TempDir::new();
    let upstream = FakeUpstream::replying(Reply::events(["data: {\"one\": 1}\n\n"]));
    let write = |chunks: u32| {
        let config = json!({
            "model_list": [{"model_name": "hostile/*", "litellm_params": {
                "model": "hostile/*", "api_base": upstream.origin(), "api_key": "sk-upstream",
            }}],
            "general_settings": {"master_key": MASTER_KEY},
            "ai_api_settings": {"plugin_limits": {"hostile": {"chunks_per_event": chunks}}},
        });
        home.write("config.yaml", config.to_string())
    };
    let gateway = Gateway::with_file(&write(10), MASTER_KEY).plugin(&guest("hostile")).start().await;
    let chunks = async |count: u32| {
        let transcript = gateway.client().stream(&format!("hostile/chunks:{count}"), "hi").await;
        transcript.answer().await.status
    };
    assert_eq!((chunks(10).await, chunks(15).await), (200, 502));
    write(20);
    let reloaded = gateway.client().post("/config/reload", &json!({})).await;
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    assert_eq!((chunks(20).await, chunks(21).await), (200, 502));
}

#[tokio::test]
async fn a_plugin_that_does_not_fit_new_limits_keeps_those_that_it_has() {
    let home = TempDir::new();
    let upstream = FakeUpstream::replying(Reply::events(["data: {\"one\": 1}\n\n"]));
    let write = |elements: u32| {
        let config = json!({
            "model_list": [{"model_name": "hostile/*", "litellm_params": {
                "model": "hostile/*", "api_base": upstream.origin(), "api_key": "sk-upstream",
            }}],
            "general_settings": {"master_key": MASTER_KEY},
            "ai_api_settings": {"plugin_limits": {"hostile": {"table_elements": elements}}},
        });
        home.write("config.yaml", config.to_string())
    };
    let gateway = Gateway::with_file(&write(10_000), MASTER_KEY).plugin(&guest("hostile")).start().await;
    write(1);
    let reloaded = gateway.client().post("/config/reload", &json!({})).await;
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    gateway.logged("a plugin keeps the limits that it was loaded under: hostile: it needs").await;
    assert_eq!(gateway.client().chat("hostile/fine", "hi").await.content(), "fine");
}
