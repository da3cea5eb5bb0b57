//! A model group goes on answering when one of its deployments doesn't, and says honestly when none can.

use ai_api_e2e::{Answer, FakeUpstream, Gate, Gateway, Reply, Step, Wire};
use serde_json::{Value, json};

use crate::trio::provider;

/// A group `m` of the upstreams, in this order; a call is retried as often as a gateway does by itself.
async fn group(upstreams: &[&FakeUpstream], settings: Value) -> Gateway {
    let builder = Gateway::builder().set("litellm_settings", "json_logs", json!(true));
    let mut builder = builder.set("router_settings", "num_retries", json!(2));
    for (order, upstream) in upstreams.iter().enumerate() {
        let more = json!({"order": order + 1, "api_key": format!("sk-{order}")});
        builder = builder.model_with("m", "openai/gpt-4o", &Wire::OpenAi.base(upstream), more);
    }
    for (key, value) in settings.as_object().expect("settings are an object") {
        builder = builder.set("router_settings", key, value.clone());
    }
    builder.start().await
}

fn refusing(status: u16) -> Reply {
    Reply::json(status, &Wire::OpenAi.error(status, "no"))
}

fn retries(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("x-litellm-attempted-retries"), answer.header("x-litellm-attempted-fallbacks"))
}

#[tokio::test]
async fn a_deployment_that_fails_is_made_up_for_by_another() {
    for status in [401, 403, 404, 408, 429, 500, 503, 529] {
        let (bad, good) = (FakeUpstream::replying(refusing(status)), provider(Wire::OpenAi, "hello"));
        let gateway = group(&[&bad, &good], json!({})).await;
        let answer = gateway.client().chat("m", "hi").await;
        assert_eq!(answer.content(), "hello", "{status}");
        assert_eq!(retries(&answer), (Some("1"), Some("0")), "{status}");
        assert_eq!((bad.hits(), good.hits()), (1, 1), "{status}");
        assert!(answer.header("x-ai-api-failed-attempts").is_some_and(|failed| failed.contains(';')));
        let stream = gateway.client().stream("m", "hi").await.transcript().await;
        assert_eq!(stream.meaning().text, "hello", "{status}");
    }
}

#[tokio::test]
async fn what_the_client_did_wrong_is_told_at_once() {
    for status in [400, 413, 422] {
        let (bad, good) = (FakeUpstream::replying(refusing(status)), provider(Wire::OpenAi, "hello"));
        let gateway = group(&[&bad, &good], json!({})).await;
        let answer = gateway.client().chat("m", "hi").await;
        assert_eq!((answer.status, bad.hits(), good.hits()), (status, 1, 0), "{}", answer.text());
        assert_eq!(retries(&answer), (Some("0"), Some("0")));
    }
}

#[tokio::test]
async fn a_lone_deployment_is_asked_again_where_time_may_help_and_only_there() {
    for (status, asked) in [(500, 3), (503, 3), (401, 1), (402, 1), (403, 1), (404, 1)] {
        let bad = FakeUpstream::replying(refusing(status));
        let gateway = group(&[&bad], json!({"max_wait": 30})).await;
        let answer = gateway.client().chat("m", "hi").await;
        assert_eq!((answer.status, bad.hits()), (status, asked), "{}", answer.text());
        // It isn't left alone for it: the next caller hears the provider's own words too.
        let next = gateway.client().chat_with("m", "hi", json!({"num_retries": 0})).await;
        assert_eq!((next.status, bad.hits()), (status, asked + 1), "{}", next.text());
    }
}

#[tokio::test]
async fn an_empty_account_is_not_asked_again() {
    let body = json!({"error": {"message": "no money", "type": "insufficient_quota", "code": "insufficient_quota"}});
    let bad = FakeUpstream::replying(Reply::json(429, &body));
    let gateway = group(&[&bad], json!({})).await;
    let answer = gateway.client().chat("m", "hi").await;
    assert_eq!((answer.status, bad.hits()), (429, 1));
    assert_eq!(answer.error()["code"], "insufficient_quota");
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for_and_a_long_one_told() {
    let limited = |wait: &str| refusing(429).header("retry-after", wait);
    let short = FakeUpstream::replying_in_turn(vec![limited("0.2"), Wire::OpenAi.reply("hello")]);
    let gateway = group(&[&short], json!({})).await;
    assert_eq!(gateway.client().chat("m", "hi").await.content(), "hello");
    assert_eq!(short.hits(), 2);

    let long = FakeUpstream::replying(limited("7"));
    let gateway = group(&[&long], json!({})).await;
    let answer = gateway.client().chat("m", "hi").await;
    assert_eq!((answer.status, answer.header("retry-after"), long.hits()), (429, Some("7"), 1));
}

#[tokio::test]
async fn a_deployment_that_keeps_failing_is_left_alone() {
    let (bad, good) = (FakeUpstream::replying(refusing(429)), provider(Wire::OpenAi, "hello"));
    let gateway = group(&[&bad, &good], json!({"cooldown_time": 60})).await;
    for _ in 0..5 {
        assert_eq!(gateway.client().chat("m", "hi").await.content(), "hello");
    }
    assert_eq!((bad.hits(), good.hits()), (1, 5));
}

#[tokio::test]
async fn when_all_are_left_alone_callers_are_told_for_how_long() {
    let limited = || FakeUpstream::replying(refusing(429).header("retry-after", "40"));
    let (one, two) = (limited(), limited());
    let gateway = group(&[&one, &two], json!({})).await;
    let first = gateway.client().chat("m", "hi").await;
    assert_eq!((first.status, first.header("retry-after")), (429, Some("40")));
    let second = gateway.client().chat("m", "hi").await;
    assert_eq!((second.status, second.error()["code"].clone()), (429, json!("all_deployments_in_cooldown")));
    let wait: u64 = second.header("retry-after").and_then(|wait| wait.parse().ok()).expect("a wait");
    assert!((30..=40).contains(&wait), "{wait}");
    assert_eq!((one.hits(), two.hits()), (1, 1));
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_word_is_answered_by_another() {
    let role_only = Reply::events(Wire::OpenAi.opening()).send(Wire::OpenAi.error_event("overloaded"));
    let cut = Reply::events(Wire::OpenAi.opening()).step(Step::Break);
    for failing in [role_only, cut] {
        let (bad, good) = (FakeUpstream::replying(failing), provider(Wire::OpenAi, "hello"));
        let gateway = group(&[&bad, &good], json!({})).await;
        let stream = gateway.client().stream("m", "hi").await.transcript().await;
        assert_eq!(stream.flaws(false), [""; 0], "{stream:#?}");
        assert_eq!((stream.meaning().text.as_str(), bad.hits(), good.hits()), ("hello", 1, 1));
    }
}

#[tokio::test]
async fn a_stream_that_fails_after_its_first_word_says_so_and_nobody_else_is_asked() {
    let failing = Reply::events(Wire::OpenAi.opening()).send(Wire::OpenAi.text("half")).step(Step::Break);
    let (bad, good) = (FakeUpstream::replying(failing), provider(Wire::OpenAi, "hello"));
    let gateway = group(&[&bad, &good], json!({})).await;
    let mut stream = gateway.client().stream("m", "hi").await;
    let id = stream.header("x-litellm-call-id").expect("an id").to_owned();
    let stream = stream.transcript().await;
    assert!(!stream.done, "{stream:#?}");
    assert_eq!((bad.hits(), good.hits()), (1, 0));
    let entry = gateway.entry(&id).await;
    assert_eq!((entry["outcome"].clone(), entry["kind"].clone()), (json!("failed"), json!("malformed")), "{entry}");
}

#[tokio::test]
async fn a_slow_attempt_has_a_second_one_beside_it_and_the_faster_wins() {
    let gate = Gate::closed();
    let held = gate.clone();
    let slow_now = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_slow = slow_now.clone();
    let slow = FakeUpstream::answering(move |_| match is_slow.load(std::sync::atomic::Ordering::SeqCst) {
        true => Wire::OpenAi.reply("late").head_after(&held),
        false => Wire::OpenAi.reply("quick"),
    });
    let fast = provider(Wire::OpenAi, "hedged");
    let gateway = group(&[&slow, &fast], json!({"hedging": {"quantile": 0.9, "min_delay": 0.02}})).await;
    // Until it is known how long the deployment takes, there is nothing to compare with.
    for _ in 0..25 {
        assert_eq!(gateway.client().chat("m", "hi").await.content(), "quick");
    }
    slow_now.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = gateway.client().chat("m", "hi").await;
    assert_eq!(answer.content(), "hedged");
    slow.left_alone(1).await;
    let entry = gateway.entry(answer.header("x-litellm-call-id").expect("an id")).await;
    assert_eq!((entry["hedged"].clone(), entry["attempts"].clone()), (json!(true), json!(2)), "{entry}");
    gate.open();
}

#[tokio::test]
async fn one_line_tells_of_each_attempt_why_and_what_came_of_it() {
    let (bad, good) = (FakeUpstream::replying(refusing(429)), provider(Wire::OpenAi, "hello"));
    let gateway = group(&[&bad, &good], json!({"cooldown_time": 60})).await;
    let answer = gateway.client().chat("m", "hi").await;
    let id = answer.header("x-litellm-call-id").expect("an id").to_owned();
    let request = gateway.entry(&id).await;
    assert_eq!((request["attempts"].clone(), request["outcome"].clone()), (json!(2), json!("complete")), "{request}");
    assert!(request["chosen"].as_str().is_some_and(|why| !why.is_empty()), "{request}");
    let log = gateway.log();
    let attempt: Value = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(|line: &Value| line["message"] == "attempt" && line["call_id"] == id)
        .expect("the failed attempt has a line");
    assert_eq!((attempt["kind"].clone(), attempt["attempt"].clone()), (json!("rate_limited"), json!(1)), "{attempt}");
    assert!(attempt["consequence"].as_str().is_some_and(|what| what.starts_with("left alone for")), "{attempt}");
}

#[tokio::test]
async fn when_all_are_left_alone_for_a_moment_a_call_waits_for_the_first_to_come_back() {
    let once =
        || FakeUpstream::replying_in_turn(vec![refusing(429).header("retry-after", "1"), Wire::OpenAi.reply("hello")]);
    let (one, two) = (once(), once());
    let gateway = group(&[&one, &two], json!({})).await;
    let hurried = gateway.client().chat_with("m", "hi", json!({"timeout": 0.5})).await;
    assert_eq!((hurried.status, hurried.header("retry-after")), (429, Some("1")), "{}", hurried.text());
    assert_eq!(gateway.client().chat("m", "hi").await.content(), "hello");
    assert_eq!(one.hits() + two.hits(), 3);
}

/// The first model of the operator's own config that was shut down.
const GONE: &str = "anthropic/claude-sonnet-4-20250514";

#[tokio::test]
async fn a_provider_that_has_shut_a_model_down_is_explained() {
    let upstream =
        FakeUpstream::replying(Reply::json(404, &Wire::Anthropic.error(404, "model: claude-sonnet-4-20250514")));
    let gateway = Gateway::builder().model("claude-4", GONE, &Wire::Anthropic.base(&upstream)).start().await;
    let answer = gateway.client().chat("claude-4", "hi").await;
    assert_eq!(answer.status, 404);
    let expected = "claude-sonnet-4-20250514 was shut down on 2026-06-15; successor anthropic/claude-sonnet-4-6.";
    assert!(answer.message().ends_with(expected), "{}", answer.text());
    assert_eq!(answer.header("x-ai-api-model-successor"), None);
}

#[tokio::test]
async fn a_model_that_was_shut_down_is_served_by_its_successor_where_the_operator_wants_that() {
    let upstream = provider(Wire::Anthropic, "hello");
    let builder = Gateway::builder().set("router_settings", "model_successors", json!(true));
    let builder = builder.model("claude-4", GONE, &Wire::Anthropic.base(&upstream));
    let gateway = builder.model("anthropic/*", "anthropic/*", &Wire::Anthropic.base(&upstream)).start().await;
    for name in ["claude-4", GONE] {
        let answer = gateway.client().chat(name, "hi").await;
        assert_eq!(answer.content(), "hello");
        assert_eq!(upstream.last().json()["model"], "claude-sonnet-4-6", "{name}");
        let told = format!("{GONE} -> anthropic/claude-sonnet-4-6");
        assert_eq!(answer.header("x-ai-api-model-successor"), Some(told.as_str()), "{name}");
    }
}

#[tokio::test]
async fn a_deployment_has_no_more_calls_under_way_than_it_may_and_a_call_waits_for_its_turn() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = FakeUpstream::answering(move |_| Wire::OpenAi.reply("hello").head_after(&held));
    let more = json!({"max_parallel_requests": 1});
    let builder = Gateway::builder().model_with("m", "openai/gpt-4o", &Wire::OpenAi.base(&upstream), more);
    let gateway = builder.start().await;
    let call = |more: Value| {
        let client = gateway.client();
        tokio::spawn(async move { client.chat_with("m", "hi", more).await })
    };
    let first = call(json!({}));
    upstream.asked(1).await;
    let refused = call(json!({"timeout": 0.2})).await.expect("no panic");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.text());
    let second = call(json!({}));
    gate.open();
    assert_eq!(first.await.expect("no panic").content(), "hello");
    assert_eq!(second.await.expect("no panic").content(), "hello");
    assert_eq!(upstream.hits(), 2);
}

#[tokio::test]
async fn a_caller_that_has_waited_long_enough_costs_nobody_else_a_call() {
    let (silent, good) = (FakeUpstream::replying(Reply::silence()), provider(Wire::OpenAi, "hello"));
    let gateway = group(&[&silent, &good], json!({"cooldown_time": 60})).await;
    for _ in 0..6 {
        let answer = gateway.client().chat_with("m", "hi", json!({"timeout": 0.2})).await;
        assert_eq!((answer.status, answer.error()["code"].clone()), (504, json!("upstream_timeout")));
    }
    // Six callers in a hurry say nothing about the deployment: it is asked as before.
    assert_eq!((silent.hits(), good.hits()), (6, 0));
}

#[tokio::test]
async fn a_client_cant_name_a_thousand_fallbacks() {
    let bad = FakeUpstream::replying(refusing(500));
    let gateway = group(&[&bad], json!({})).await;
    let many: Vec<String> = (0..1000).map(|n| format!("m{n}")).collect();
    for fallbacks in [json!(many), json!([{"m": many}]), json!(["m".repeat(300)])] {
        let answer = gateway.client().chat_with("m", "hi", json!({"fallbacks": fallbacks})).await;
        assert_eq!((answer.status, bad.hits()), (400, 0), "{}", answer.text());
    }
}
