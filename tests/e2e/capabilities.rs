//! A plugin gets what a language's runtime needs to start, and nothing stands behind it.

use ai_api_e2e::{Answer, FakeUpstream, Gateway, Wire, guest};
use serde_json::{Value, json};

/// A gateway with the guest that asks WASI for things (`wasi/environment`), and a well-behaved deployment.
struct House {
    gateway: Gateway,
    _neighbour: FakeUpstream,
}

impl House {
    async fn open() -> Self {
        let neighbour = FakeUpstream::replying(Wire::Anthropic.reply("I'm fine"));
        let gateway = Gateway::builder()
            .model("wasi/*", "wasi/*", "http://127.0.0.1:9")
            .model("good", Wire::Anthropic.model(), &Wire::Anthropic.base(&neighbour))
            .plugin(&guest("wasi"))
            .set("ai_api_settings", "plugin_limits", json!({"wasi": {"call_time_ms": 500, "quarantine_after": 0}}))
            .env("A_SECRET_OF_THE_OPERATOR", "sk-operator")
            .env("LITELLM_LOG", "DEBUG")
            .start()
            .await;
        Self { gateway, _neighbour: neighbour }
    }

    async fn ask(&self, what: &str) -> Answer {
        self.gateway.client().chat(&format!("wasi/{what}"), "hi").await
    }

    async fn assert_fails(&self, what: &str, says: &str) {
        let answer = self.ask(what).await;
        assert_eq!((answer.status, answer.error()["code"].as_str()), (502, Some("plugin_failed")), "{}", answer.text());
        self.gateway.logged(says).await;
        assert_eq!(self.gateway.client().chat("good", "are you fine?").await.content(), "I'm fine");
    }
}

#[tokio::test]
async fn there_is_no_environment_no_argument_and_no_folder() {
    let house = House::open().await;
    assert_eq!(house.ask("environment").await.content(), "[] [] None");
    assert_eq!(house.ask("folders").await.content(), "0 folders");
    assert_eq!(house.ask("stdin").await.content(), "true", "standard input is at its end");
}

#[tokio::test]
async fn there_are_clocks_and_random_numbers() {
    let house = House::open().await;
    let (first, second) = (house.ask("random").await.content(), house.ask("random").await.content());
    assert_ne!(first, second);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let told: u64 = house.ask("time").await.content().parse().expect("seconds");
    assert!(told.abs_diff(now) < 60, "{told} isn't {now}");
    assert_eq!(house.ask("later").await.content(), "true");
}

#[tokio::test]
async fn what_a_guest_prints_is_in_the_log_and_not_on_the_output() {
    let house = House::open().await;
    assert_eq!(house.ask("print").await.content(), "true");
    house.gateway.logged("stdout: printed by the guest").await;
    let log = house.gateway.log();
    assert!(!log.lines().any(|line| line.starts_with("printed") || line.starts_with("FORGED")), "{log}");
    assert_eq!(house.ask("print-much").await.content(), "printed");
    let lines = house.gateway.log().lines().filter(|line| line.contains("again and again")).count();
    assert!((1..=16).contains(&lines), "{lines} lines");
}

#[tokio::test]
async fn a_guest_that_exits_fails_its_own_call() {
    let house = House::open().await;
    house.assert_fails("exit", "the plugin trapped: it called exit").await;
}

#[tokio::test]
async fn a_guest_that_sleeps_is_woken_by_its_end() {
    let house = House::open().await;
    house.assert_fails("sleep", "the plugin ran for longer than").await;
}

#[tokio::test]
async fn a_guest_that_hoards_handles_of_the_host_fails_its_own_call() {
    let house = House::open().await;
    house.assert_fails("handles", "wasi").await;
    house.assert_fails("much-random", "wasi").await;
}

#[tokio::test]
async fn what_a_plugin_imports_is_listed() {
    let house = House::open().await;
    let plugins = house.gateway.client().get("/plugins").await.ok();
    let of = |name: &str| -> Vec<Value> {
        let found = plugins["data"].as_array().expect("a list").iter().find(|plugin| plugin["name"] == name);
        found.expect("it is loaded")["imports"].as_array().expect("a list").clone()
    };
    assert!(of("wasi").contains(&json!("wasi:cli/environment@0.2.0")), "{:?}", of("wasi"));
    let ours = of("anthropic");
    assert!(
        ours.iter().all(|import| import.as_str().is_some_and(|name| name.starts_with("ai-api:plugin/"))),
        "{ours:?}"
    );
}
