//! More calls than the gateway takes on: some wait, the rest is refused at once, and nobody keeps a place for nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use ai_api_e2e::{
    Answer, Builder, Client, FakeUpstream, Gate, Gateway, MASTER_KEY, Raw, Reply, Step, TempDir, Wire, eventually_async,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const WIRE: Wire = Wire::OpenAi;
/// Seconds that no test waits for.
const FOREVER: u32 = 3600;

/// A gateway that takes on `in_flight` calls and lets `queued` wait.
fn limited(upstream: &FakeUpstream, in_flight: usize, queued: usize) -> Builder {
    Gateway::builder()
        .model("model", WIRE.model(), &WIRE.base(upstream))
        .set("general_settings", "max_in_flight_requests_per_worker", json!(in_flight))
        .set("general_settings", "max_queued_requests_per_worker", json!(queued))
        .set("general_settings", "admission_queue_timeout_seconds", json!(FOREVER))
}

/// An upstream that answers once the gate is open.
fn gated(gate: &Gate) -> FakeUpstream {
    FakeUpstream::replying(WIRE.reply("hello").head_after(gate))
}

fn call(gateway: &Gateway) -> JoinHandle<Answer> {
    let client = gateway.client();
    tokio::spawn(async move { client.chat("model", "hi").await })
}

/// One number of the metrics.
async fn metric(client: &Client, name: &str) -> usize {
    let text = client.get("/metrics").await.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    value.unwrap_or_else(|| panic!("no {name}: {text}")) as usize
}

/// Waits until so many calls are under way and so many wait.
async fn reaches(client: &Client, in_flight: usize, queued: usize) {
    eventually_async(&format!("{in_flight} calls under way and {queued} that wait"), async || {
        let now = (metric(client, "ai_api_requests_in_flight").await, metric(client, "ai_api_requests_queued").await);
        (now == (in_flight, queued)).then_some(())
    })
    .await;
}

fn assert_shed(answer: &Answer) {
    let error = answer.error();
    assert_eq!((answer.status, error["code"].as_str()), (503, Some("overloaded")), "{}", answer.text());
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.header("x-litellm-call-id").is_some());
}

#[tokio::test]
async fn beyond_the_limit_a_call_is_refused_at_once_and_all_else_is_answered() {
    let gate = Gate::closed();
    let upstream = gated(&gate);
    let gateway = limited(&upstream, 2, 0).start().await;
    let client = gateway.client();
    let calls = [call(&gateway), call(&gateway)];
    upstream.asked(2).await;

    for _ in 0..3 {
        assert_shed(&client.chat("model", "hi").await);
    }
    assert_shed(&client.stream("model", "hi").await.answer().await);

    for path in ["/health/liveliness", "/health/readiness", "/v1/models", "/metrics", "/"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    assert_eq!(metric(&client, "ai_api_requests_shed_total{reason=\"queue_full\"}").await, 4);
    assert_eq!(upstream.hits(), 2);
    gate.open();
    for call in calls {
        assert_eq!(call.await.expect("no panic").content(), "hello");
    }
    reaches(&client, 0, 0).await;
    assert_eq!(client.chat("model", "hi").await.content(), "hello");
}

#[tokio::test]
async fn a_large_request_that_is_refused_sees_why_and_not_a_reset() {
    let gate = Gate::closed();
    let upstream = gated(&gate);
    let gateway = limited(&upstream, 1, 0).start().await;
    let held = call(&gateway);
    upstream.asked(1).await;
    for megabytes in [1, 20] {
        assert_shed(&gateway.client().chat("model", &"x".repeat(megabytes << 20)).await);
    }
    gate.open();
    held.await.expect("no panic").ok();
}

#[tokio::test]
async fn a_call_that_waits_is_served_when_another_ends() {
    let gate = Gate::closed();
    let upstream = gated(&gate);
    let gateway = limited(&upstream, 1, 1).start().await;
    let first = call(&gateway);
    upstream.asked(1).await;
    let second = call(&gateway);
    reaches(&gateway.client(), 1, 1).await;

    assert_shed(&gateway.client().chat("model", "hi").await);
    assert_eq!(upstream.hits(), 1, "the second waits here, not there");
    gate.open();

    assert_eq!(first.await.expect("no panic").content(), "hello");
    assert_eq!(second.await.expect("no panic").content(), "hello");
    assert_eq!(upstream.hits(), 2);
    reaches(&gateway.client(), 0, 0).await;
}

#[tokio::test]
async fn a_call_with_a_large_body_waits_and_arrives_whole() {
    let gate = Gate::closed();
    let upstream = gated(&gate);
    let gateway = limited(&upstream, 1, 1).start().await;
    let first = call(&gateway);
    upstream.asked(1).await;
    let (client, prompt) = (gateway.client(), "x".repeat(3 << 20));
    let sent = prompt.clone();
    let second = tokio::spawn(async move { client.chat("model", &sent).await });
    reaches(&gateway.client(), 1, 1).await;
    gate.open();
    assert_eq!(first.await.expect("no panic").content(), "hello");
    assert_eq!(second.await.expect("no panic").content(), "hello");
    assert_eq!(upstream.last().json()["messages"][0]["content"].as_str(), Some(prompt.as_str()));
}

#[tokio::test]
async fn a_call_that_has_waited_long_enough_is_refused() {
    let gate = Gate::closed();
    let upstream = gated(&gate);
    let gateway =
        limited(&upstream, 1, 1).set("general_settings", "admission_queue_timeout_seconds", json!(0.05)).start().await;
    let held = call(&gateway);
    upstream.asked(1).await;
    assert_shed(&gateway.client().chat("model", "hi").await);
    assert_eq!(metric(&gateway.client(), "ai_api_requests_shed_total{reason=\"queue_timeout\"}").await, 1);
    reaches(&gateway.client(), 1, 0).await;
    gate.open();
    held.await.expect("no panic").ok();
}

#[tokio::test]
async fn a_stream_has_its_place_until_its_last_byte() {
    for wire in Wire::ALL {
        let gate = Gate::closed();
        let begun = Reply::events(wire.opening()).send(wire.text("first")).step(Step::Wait(gate.clone()));
        let upstream = FakeUpstream::replying(wire.ending().into_iter().fold(begun, Reply::send));
        let gateway = limited(&upstream, 1, 0).model("wired", wire.model(), &wire.base(&upstream)).start().await;
        let client = gateway.client();
        let mut stream = client.stream("wired", "hi").await;
        assert_eq!(stream.next_text().await, "first", "{wire:?}");
        assert_shed(&client.chat("wired", "hi").await);
        gate.open();
        assert!(stream.transcript().await.done, "{wire:?}");
        reaches(&client, 0, 0).await;
    }
}

#[tokio::test]
async fn who_leaves_in_the_middle_of_an_answer_gives_its_place_back() {
    for http2 in [false, true] {
        let begun = Reply::events(WIRE.opening()).send(WIRE.text("first")).step(Step::Stall);
        let upstream = FakeUpstream::replying(begun);
        let gateway = limited(&upstream, 2, 0).start().await;
        let client = if http2 { gateway.client().http2() } else { gateway.client() };
        let mut stream = client.stream("model", "hi").await;
        assert_eq!(stream.next_text().await, "first");
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.chat("model", "hi").await }
        });
        upstream.asked(2).await;
        assert_shed(&client.chat("model", "hi").await);

        drop(stream);
        waiting.abort();

        upstream.left_alone(2).await;
        reaches(&gateway.client(), 0, 0).await;
    }
}

#[tokio::test]
async fn who_leaves_the_queue_makes_room_there() {
    let gate = Gate::closed();
    let upstream = gated(&gate);
    let gateway = limited(&upstream, 1, 1).start().await;
    let client = gateway.client();
    let held = call(&gateway);
    upstream.asked(1).await;
    let body = json!({"model": "model", "messages": [{"role": "user", "content": "hi"}]});
    let request = Raw::request("POST", "/v1/chat/completions", MASTER_KEY, Some(&body));
    for _ in 0..3 {
        let mut raw = Raw::open(gateway.authority()).await;
        raw.send(&request).await;
        reaches(&client, 1, 1).await;
        drop(raw);
        reaches(&client, 1, 0).await;
    }
    gate.open();
    held.await.expect("no panic").ok();
    assert_eq!(upstream.hits(), 1);
}

#[tokio::test]
async fn a_caller_with_as_many_calls_as_one_may_have_is_told_so() {
    let gate = Gate::closed();
    let upstream = gated(&gate);
    let gateway = limited(&upstream, 10, 10).set("general_settings", "max_parallel_requests", json!(1)).start().await;
    let held = call(&gateway);
    upstream.asked(1).await;
    let answer = gateway.client().chat("model", "hi").await;
    assert_eq!((answer.status, answer.error()["code"].as_str()), (429, Some("rate_limit_exceeded")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(metric(&gateway.client(), "ai_api_requests_shed_total{reason=\"caller_limit\"}").await, 1);
    gate.open();
    held.await.expect("no panic").ok();
    assert_eq!(gateway.client().chat("model", "hi").await.content(), "hello");
}

#[tokio::test]
async fn whoever_fails_gives_its_place_back_too() {
    let failing = AtomicUsize::new(0);
    let upstream = FakeUpstream::answering(move |_| match failing.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Reply::hang_up(),
        1 => Reply::json(400, &WIRE.error(400, "no")),
        _ => Reply::status(200).send("no JSON"),
    });
    let gateway = limited(&upstream, 1, 0).start().await;
    let client = gateway.client();
    for body in [json!({}), json!({"model": "unknown", "messages": []}), json!([1])] {
        assert!(client.post("/v1/chat/completions", &body).await.status >= 400);
        reaches(&client, 0, 0).await;
    }
    for _ in 0..3 {
        let answer = client.chat("model", "hi").await;
        assert!(answer.status >= 400 && answer.header("retry-after").is_none(), "{}", answer.text());
        reaches(&client, 0, 0).await;
    }
}

#[tokio::test]
async fn other_limits_hold_after_a_reload_and_calls_under_way_stay_counted() {
    let gate = Gate::closed();
    let upstream = gated(&gate);
    let home = TempDir::new();
    let config = |in_flight: usize| {
        json!({
            "model_list": [{"model_name": "model", "litellm_params":
                {"model": WIRE.model(), "api_base": WIRE.base(&upstream), "api_key": "sk-upstream"}}],
            "general_settings": {"master_key": MASTER_KEY, "max_in_flight_requests_per_worker": in_flight,
                "max_queued_requests_per_worker": 1, "admission_queue_timeout_seconds": FOREVER},
        })
        .to_string()
    };
    let file = home.write("config.yml", config(1));
    let gateway = Gateway::with_file(&file, MASTER_KEY).start().await;
    let client = gateway.client();
    let reload = async |in_flight| {
        home.write("config.yml", config(in_flight));
        client.post("/config/reload", &Value::Null).await.ok();
    };
    let mut calls = vec![call(&gateway)];
    upstream.asked(1).await;
    calls.push(call(&gateway));
    reaches(&client, 1, 1).await;

    reload(2).await;
    upstream.asked(2).await;
    reaches(&client, 2, 0).await;
    reload(1).await;
    calls.push(call(&gateway));
    reaches(&client, 2, 1).await;
    assert_shed(&client.chat("model", "hi").await);

    gate.open();
    for call in calls {
        assert_eq!(call.await.expect("no panic").content(), "hello");
    }
    reaches(&client, 0, 0).await;
}

#[tokio::test]
async fn five_hundred_idle_connections_are_in_nobodys_way_and_leave_nothing_behind() {
    let upstream = FakeUpstream::replying(WIRE.reply("hello"));
    let gateway = Gateway::builder().model("model", WIRE.model(), &WIRE.base(&upstream)).start().await;
    let client = gateway.client();
    let mut idle = Vec::new();
    for index in 0..500 {
        let mut raw = Raw::open(gateway.authority()).await;
        if index % 2 == 0 {
            raw.send("GET /health/liveliness HTTP/1.1\r\nhost: gateway\r\n\r\n").await;
            raw.until("I'm alive!").await;
        }
        idle.push(raw);
    }
    eventually_async("all to be counted", async || {
        (metric(&client, "ai_api_connections_open").await == 501).then_some(())
    })
    .await;
    assert_eq!(client.chat("model", "hi").await.content(), "hello");
    drop(idle);
    eventually_async("all to be gone", async || (metric(&client, "ai_api_connections_open").await == 1).then_some(()))
        .await;
    reaches(&client, 0, 0).await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_still_asked_whether_it_is_a_probe() {
    for (key, limit) in [("max_connections", 2), ("max_connections_per_ip", 2)] {
        let gateway = Gateway::builder().set("ai_api_settings", "client_limits", json!({key: limit})).start().await;
        let probe = "GET /health/liveliness HTTP/1.1\r\nhost: gateway\r\n\r\n";
        let models = Raw::request("GET", "/v1/models", MASTER_KEY, None);
        let mut first = Raw::open(gateway.authority()).await;
        let mut second = Raw::open(gateway.authority()).await;
        for raw in [&mut first, &mut second] {
            raw.send(&models).await;
            raw.until("\"object\":\"list\"").await;
        }

        let refused = Raw::open(gateway.authority()).await.send_and_read_to_end(&models).await;
        assert!(refused.starts_with("HTTP/1.1 503 "), "{key}: {refused}");
        assert!(
            refused.contains("retry-after: 1\r\n") && refused.contains("\"code\":\"overloaded\""),
            "{key}: {refused}"
        );
        let probed = Raw::open(gateway.authority()).await.send_and_read_to_end(probe).await;
        assert!(probed.starts_with("HTTP/1.1 200 ") && probed.contains("I'm alive!"), "{key}: {probed}");

        first.send(&models).await;
        assert!(first.until("\"object\":\"list\"").await.contains("HTTP/1.1 200 "), "those that are in stay");
        drop((first, second));
        eventually_async("room for another", async || {
            let mut raw = Raw::open(gateway.authority()).await;
            raw.send(&models).await;
            raw.until("\r\n").await.contains(" 200 ").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_connection_of_http2_that_was_one_too_many_is_not_kept_however_often_it_is_used() {
    let gateway =
        Gateway::builder().set("ai_api_settings", "client_limits", json!({"max_connections": 1})).start().await;
    let mut first = Raw::open(gateway.authority()).await;
    first.send(Raw::request("GET", "/v1/models", MASTER_KEY, None)).await;
    first.until("\"object\":\"list\"").await;
    let client = gateway.client().http2();
    assert_shed(&client.get("/v1/models").await);
    assert_eq!(client.get("/health/liveliness").await.status, 200);

    drop(first);

    // The client keeps a connection as long as it may, and asks too often for one to be idle meanwhile.
    eventually_async("a place", async || (client.get("/v1/models").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_keep_probes_out() {
    for key in ["max_connections", "max_connections_per_ip"] {
        let gateway = Gateway::builder().set("ai_api_settings", "client_limits", json!({key: 1})).start().await;
        let mut first = Raw::open(gateway.authority()).await;
        first.send(Raw::request("GET", "/v1/models", MASTER_KEY, None)).await;
        first.until("\"object\":\"list\"").await;
        let mut silent = Vec::new();
        // As many as are answered beyond the limit.
        for _ in 0..64 {
            silent.push(Raw::open(gateway.authority()).await);
        }

        let probe = "GET /health/liveliness HTTP/1.1\r\nhost: gateway\r\n\r\n";
        let probed = Raw::open(gateway.authority()).await.send_and_read_to_end(probe).await;

        assert!(probed.starts_with("HTTP/1.1 200 ") && probed.contains("I'm alive!"), "{key}: {probed}");
    }
}
