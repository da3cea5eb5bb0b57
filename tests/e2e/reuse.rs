//! Instances of a plugin that says so serve one call after another, never two at a time, and never after a failure.

use ai_api_e2e::{FakeUpstream, Gate, Gateway, Reply, guest};
use serde_json::{Value, json};

struct House {
    gateway: Gateway,
    upstream: FakeUpstream,
}

impl House {
    async fn with(reply: Reply, limits: Value) -> Self {
        let upstream = FakeUpstream::replying(reply);
        let gateway = Gateway::builder()
            .model("reusable/*", "reusable/*", &upstream.origin())
            .model("hostile/*", "hostile/*", &upstream.origin())
            .plugin(&guest("reusable"))
            .plugin(&guest("hostile"))
            .set("ai_api_settings", "plugin_limits", json!({"reusable": limits}))
            .start()
            .await;
        Self { gateway, upstream }
    }

    async fn open() -> Self {
        Self::with(Reply::json(200, &json!({})), json!({"quarantine_after": 0})).await
    }

    async fn ask(&self, what: &str) -> String {
        self.gateway.client().chat(&format!("reusable/{what}"), "hi").await.content()
    }

    async fn fail(&self, what: &str, status: u16) {
        assert_eq!(self.gateway.client().chat(&format!("reusable/{what}"), "hi").await.status, status, "{what}");
    }
}

#[tokio::test]
async fn an_instance_serves_one_call_after_another() {
    let house = House::open().await;
    for served in 1..=5 {
        assert_eq!(house.ask("count").await, format!("{served} begun, {} dropped", served - 1));
    }
    assert_eq!(house.ask("ask").await, "6 begun, 5 dropped");
    // What a provider refuses is no failure of the instance.
    house.fail("fail", 429).await;
    assert_eq!(house.ask("count").await, "8 begun, 7 dropped");
    let metrics = house.gateway.client().get("/metrics").await.text();
    assert!(metrics.contains("ai_api_plugin_instances{plugin=\"reusable\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_plugin_that_is_not_reusable_has_a_new_instance_for_each_call() {
    let house = House::open().await;
    for _ in 0..5 {
        assert_eq!(house.gateway.client().chat("hostile/count", "hi").await.content(), "1");
    }
}

#[tokio::test]
async fn an_instance_that_failed_is_never_used_again() {
    let house = House::open().await;
    for failing in ["trap", "trap-drop"] {
        assert_eq!(house.ask("count").await, "1 begun, 0 dropped", "before {failing}");
        match failing {
            "trap" => house.fail("trap", 502).await,
            // It fails after its answer, when it is told that the call is over.
            _ => assert_eq!(house.ask("trap-drop").await, "2 begun, 1 dropped"),
        }
    }
    assert_eq!(house.ask("count").await, "1 begun, 0 dropped");
    house.gateway.logged("failed while it dropped a call that was over").await;
}

#[tokio::test]
async fn calls_at_the_same_time_never_share_an_instance() {
    let gate = Gate::closed();
    let reply = Reply::json(200, &json!({})).head_after(&gate);
    let house = House::with(reply, json!({"idle_instances": 2})).await;
    let burst: Vec<_> = (0..5)
        .map(|_| {
            let client = house.gateway.client();
            tokio::spawn(async move { client.chat("reusable/ask", "hi").await.content() })
        })
        .collect();
    house.upstream.asked(5).await;
    gate.open();
    for call in burst {
        assert_eq!(call.await.expect("no panic"), "1 begun, 0 dropped");
    }
    // As many wait as may.
    let metrics = house.gateway.client().get("/metrics").await.text();
    assert!(metrics.contains("ai_api_plugin_instances{plugin=\"reusable\"} 2"), "{metrics}");
    assert_eq!(house.ask("count").await, "2 begun, 1 dropped");
}

#[tokio::test]
async fn an_instance_that_has_grown_too_large_is_not_used_again() {
    let house = House::with(Reply::json(200, &json!({})), json!({"memory_mb": 100})).await;
    assert_eq!(house.ask("grow").await, "1 begun, 0 dropped");
    assert_eq!(house.ask("grow").await, "2 begun, 1 dropped");
    // It has 80 MiB by now, more than half of what it may have.
    assert_eq!(house.ask("count").await, "1 begun, 0 dropped");
}

#[tokio::test]
async fn each_call_has_its_log_lines_anew() {
    let house =
        House::with(Reply::json(200, &json!({})), json!({"log_lines_per_call": 1, "log_lines_per_second": 1000})).await;
    for _ in 0..3 {
        house.ask("count").await;
    }
    let lines = || house.gateway.log().lines().filter(|line| line.contains("a line of every call")).count();
    ai_api_e2e::eventually("three lines", || (lines() == 3).then_some(())).await;
}

#[tokio::test]
async fn nothing_is_reused_where_nothing_may_wait() {
    let house = House::with(Reply::json(200, &json!({})), json!({"idle_instances": 0})).await;
    for _ in 0..3 {
        assert_eq!(house.ask("count").await, "1 begun, 0 dropped");
    }
}
