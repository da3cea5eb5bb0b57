//! A plugin that keeps failing by its own fault is out of service for a while, and comes back by itself or when its file
//! changes.

use std::time::{Duration, Instant};

use ai_api_e2e::{Answer, FakeUpstream, Gateway, Reply, TempDir, guest, patched, within};
use serde_json::{Value, json};

struct House {
    gateway: Gateway,
    folder: TempDir,
    upstream: FakeUpstream,
}

impl House {
    async fn with(limits: Value) -> Self {
        let upstream = FakeUpstream::replying(Reply::json(200, &json!({})));
        let folder = TempDir::new();
        folder.write("hostile.wasm", std::fs::read(guest("hostile")).expect("a guest can be read"));
        let gateway = Gateway::builder()
            .arg("--plugins")
            .arg(folder.path().display().to_string())
            .model("hostile/*", "hostile/*", &upstream.origin())
            .model("echo", "echo/any", "http://127.0.0.1:9")
            .set("ai_api_settings", "plugin_limits", limits)
            .start()
            .await;
        Self { gateway, folder, upstream }
    }

    async fn ask(&self, behaviour: &str) -> Answer {
        self.gateway.client().chat(&format!("hostile/{behaviour}"), "hi").await
    }

    /// How long the gateway says to wait, if it has the plugin in quarantine.
    async fn quarantined(&self) -> Option<u64> {
        let answer = self.ask("fine").await;
        if answer.status == 200 {
            return None;
        }
        assert_eq!(
            (answer.status, answer.error()["code"].as_str()),
            (503, Some("plugin_quarantined")),
            "{}",
            answer.text()
        );
        Some(answer.header("retry-after").expect("a time").parse().expect("seconds"))
    }

    async fn back(&self) {
        let back = async {
            while self.quarantined().await.is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within("the plugin to be back", back).await;
    }

    async fn metric(&self) -> bool {
        let metrics = self.gateway.client().get("/metrics").await.text();
        assert!(metrics.contains("ai_api_plugin_quarantined{plugin=\"hostile\"} "), "{metrics}");
        metrics.contains("ai_api_plugin_quarantined{plugin=\"hostile\"} 1")
    }
}

#[tokio::test]
async fn a_plugin_that_keeps_trapping_is_out_for_a_while_and_comes_back_by_itself() {
    let house = House::with(json!({"hostile": {"quarantine_after": 3}})).await;
    for _ in 0..2 {
        assert_eq!(house.ask("trap").await.status, 502);
    }
    assert!(!house.metric().await);
    let began = Instant::now();
    assert_eq!(house.ask("trap").await.status, 502);

    // No guest runs, and others are served.
    assert_eq!(house.quarantined().await, Some(1));
    assert!(house.metric().await);
    assert_eq!(house.gateway.client().chat("echo", "are you fine?").await.content(), "are you fine?");
    house.gateway.logged("in quarantine for 1 s: 3 of its last 3 calls failed by its own fault").await;

    house.back().await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    house.gateway.logged("out of quarantine").await;
    assert!(!house.metric().await);
    assert_eq!(house.ask("fine").await.content(), "fine");
}

#[tokio::test]
async fn a_plugin_that_fails_again_is_out_for_longer() {
    let house = House::with(json!({"hostile": {"quarantine_after": 1}})).await;
    assert_eq!(house.ask("trap").await.status, 502);
    let probe = async {
        // The first that is let through is the probe.
        while house.ask("trap").await.status == 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("a probe to be let through", probe).await;
    house.gateway.logged("in quarantine for 2 s").await;
    assert_eq!(house.quarantined().await, Some(2));
    let listed = house.gateway.client().get("/plugins").await.text();
    assert!(listed.contains("\"quarantine\":{\"status\":\"out\""), "{listed}");
}

#[tokio::test]
async fn a_new_version_of_the_file_ends_it_at_once() {
    let house = House::with(json!({"hostile": {"quarantine_after": 2}})).await;
    // Out for long enough that it can't come back by itself within this test: every probe fails.
    for _ in 0..2 {
        house.ask("trap").await;
    }
    assert!(house.quarantined().await.is_some());
    let other = patched("hostile", &[("DESCRIBE-FINE....", "DESCRIBE-WELL....")]);
    house.folder.write("hostile.wasm", other);
    let new = async {
        while house.gateway.log().matches("loaded plugin").count() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the new version", new).await;
    assert_eq!(house.quarantined().await, None);
}

#[tokio::test]
async fn failures_that_are_not_the_plugins_fault_do_not_count() {
    let house = House::with(json!({"hostile": {"quarantine_after": 1}})).await;
    for _ in 0..5 {
        // Its provider's, and a client's.
        assert!(house.ask("lying-status:500").await.status >= 500);
        assert_eq!(house.ask("path:99").await.status, 400);
    }
    assert_eq!(house.quarantined().await, None);
}

#[tokio::test]
async fn a_client_with_a_request_that_a_plugin_cannot_bear_does_not_take_it_from_the_others() {
    let house = House::with(json!({"hostile": {"quarantine_after": 3}})).await;
    for _ in 0..10 {
        assert_eq!(house.ask("fine").await.content(), "fine");
    }
    for _ in 0..9 {
        assert_eq!(house.ask("trap").await.status, 502);
    }
    assert_eq!(house.quarantined().await, None);
}

#[tokio::test]
async fn what_the_gateway_refuses_to_send_counts_as_well() {
    let house = House::with(json!({"hostile": {"quarantine_after": 3}})).await;
    for behaviour in ["header:host", "path:0", "method:TRACE"] {
        assert_eq!(house.ask(behaviour).await.status, 502);
    }
    assert!(house.quarantined().await.is_some());
    assert_eq!(house.upstream.hits(), 0);
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let house = House::with(json!({"*": {"quarantine_after": 0}})).await;
    for _ in 0..10 {
        assert_eq!(house.ask("trap").await.status, 502);
    }
    assert_eq!(house.quarantined().await, None);
}

#[tokio::test]
async fn a_group_with_another_deployment_answers_while_a_plugin_traps_and_while_it_is_out() {
    let gateway = Gateway::builder()
        .plugin(&guest("hostile"))
        .model_with("group", "hostile/trap", "http://127.0.0.1:9", json!({"order": 1}))
        .model_with("group", "echo/any", "http://127.0.0.1:9", json!({"order": 2}))
        .set("ai_api_settings", "plugin_limits", json!({"hostile": {"quarantine_after": 3}}))
        .set("router_settings", "num_retries", json!(2))
        // Else routing would leave the deployment alone after its first failure, and never see the quarantine.
        .set("router_settings", "disable_cooldowns", json!(true))
        .start()
        .await;
    let client = gateway.client();
    for index in 0..3 {
        let answer = client.chat("group", "are you fine?").await;
        assert_eq!(answer.content(), "are you fine?");
        assert_eq!(answer.header("x-litellm-attempted-retries"), Some("1"), "call {index} met the trap");
    }
    gateway.logged("in quarantine for 1 s").await;
    // Now the guest isn't run; that is told apart from a trap, for a probe may be let through on a slow machine.
    let turned_away = async || {
        let metrics = client.get("/metrics").await.text();
        let of = "ai_api_plugin_failures_total{plugin=\"hostile\",kind=\"quarantined\"} ";
        let count = metrics.lines().find_map(|line| line.strip_prefix(of)).map(|count| count.parse::<usize>());
        count.map_or(0, |count| count.expect("a number"))
    };
    assert_eq!(turned_away().await, 0);
    let calls = async {
        while turned_away().await < 10 {
            assert_eq!(client.chat("group", "are you fine?").await.content(), "are you fine?");
            let transcript = client.stream("group", "are you fine?").await.transcript().await;
            assert!(transcript.done && transcript.error.is_none(), "{transcript:?}");
            assert_eq!(transcript.meaning().text, "are you fine?");
        }
    };
    within("calls during the quarantine", calls).await;
}
