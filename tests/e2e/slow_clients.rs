//! Clients that take their time with headers, bodies and answers: they are let go, and hold nothing meanwhile that others
//! need.

use std::time::Duration;

use ai_api_e2e::{Builder, Client, FakeUpstream, Gateway, MASTER_KEY, Raw, Reply, Wire, eventually_async, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const WIRE: Wire = Wire::OpenAi;
/// Between two bytes of somebody who drips them.
const DRIP: Duration = Duration::from_millis(20);
/// More than all buffers on the way can hold.
const LARGE: usize = 50 << 20;

fn with_limits(upstream: &FakeUpstream, limits: Value) -> Builder {
    Gateway::builder()
        .model("model", WIRE.model(), &WIRE.base(upstream))
        .set("ai_api_settings", "client_limits", limits)
        .set("general_settings", "max_in_flight_requests_per_worker", json!(1))
        .set("general_settings", "max_queued_requests_per_worker", json!(0))
}

async fn metric(client: &Client, name: &str) -> Option<String> {
    let text = client.get("/metrics").await.text();
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
}

async fn becomes(client: &Client, name: &str, value: &str) {
    eventually_async(&format!("{name} to become {value}"), async || {
        (metric(client, name).await.as_deref() == Some(value)).then_some(())
    })
    .await;
}

/// Sends `first`, then `byte` again and again until the gateway closes; gives what it said.
async fn dripping(gateway: &Gateway, first: &str, byte: &[u8]) -> String {
    let mut stream = TcpStream::connect(gateway.authority()).await.expect("the gateway listens");
    let (mut reading, mut writing) = stream.split();
    writing.write_all(first.as_bytes()).await.expect("the gateway takes it");
    let drip = async {
        loop {
            tokio::time::sleep(DRIP).await;
            if writing.write_all(byte).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut said = Vec::new();
    let read = async { while matches!(reading.read_buf(&mut said).await, Ok(count) if count > 0) {} };
    within("the gateway to close", async {
        tokio::select! {
            () = drip => {}
            () = read => {}
        }
    })
    .await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn headers_that_drip_are_cut_while_idle_connections_stay() {
    let upstream = FakeUpstream::replying(WIRE.reply("hello"));
    let gateway = with_limits(&upstream, json!({"header_timeout_seconds": 0.5})).start().await;
    let models = Raw::request("GET", "/v1/models", MASTER_KEY, None);
    let mut idle = Raw::open(gateway.authority()).await;
    idle.send(&models).await;
    idle.until("\"object\":\"list\"").await;

    for begins in ["GET /v1/models HTTP/1.1\r\nx-slow: ", "P", "GET / HTTP/1.1\r\nhost: gateway\r\n\r\nGET /v1/mod"] {
        let said = dripping(&gateway, begins, b"x").await;
        let answers = said.matches("HTTP/1.1").count();
        assert_eq!(answers, begins.matches("\r\n\r\n").count(), "{begins:?}: {said}");
    }
    // Nothing at all, and half of HTTP/2's first words.
    for begins in ["", "PRI * HT"] {
        let said = Raw::open(gateway.authority()).await.send_and_read_to_end(begins).await;
        assert_eq!(said, "", "{begins:?}");
    }

    idle.send(&models).await;
    assert!(idle.until("\"object\":\"list\"").await.contains(" 200 "), "it was idle for longer than headers may take");
    drop(idle);
    becomes(&gateway.client(), "ai_api_connections_open", "1").await;
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let upstream = FakeUpstream::replying(WIRE.reply("hello"));
    let gateway = with_limits(&upstream, json!({"idle_timeout_seconds": 0.3})).start().await;
    let models = Raw::request("GET", "/v1/models", MASTER_KEY, None);
    let said = Raw::open(gateway.authority()).await.send_and_read_to_end(&models).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    // One of HTTP/2, which its client keeps for the next call.
    let client = gateway.client().http2();
    assert_eq!(client.get("/v1/models").await.status, 200);
    becomes(&gateway.client(), "ai_api_connections_open", "1").await;
    assert_eq!(client.get("/v1/models").await.status, 200);
}

fn head(more: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {MASTER_KEY}\r\n{more}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_body_has_no_longer_than_its_client_gives_the_call() {
    let upstream = FakeUpstream::replying(WIRE.reply("hello"));
    let gateway = with_limits(&upstream, json!({"min_body_bytes_per_second": 0})).start().await;
    let head = head("content-length: 1000000\r\nx-litellm-timeout: 0.3");
    let said = dripping(&gateway, &head, b"x").await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    becomes(&gateway.client(), "ai_api_requests_in_flight", "0").await;
}

#[tokio::test]
async fn a_body_that_stops_or_drips_is_cut_and_its_place_is_free_again() {
    let upstream = FakeUpstream::replying(WIRE.reply("hello"));
    let gateway = with_limits(&upstream, json!({"body_timeout_seconds": 0.3})).start().await;
    for (framing, drip) in [
        ("content-length: 1000", &b"x"[..]),
        ("transfer-encoding: chunked", b"1\r\nx\r\n"),
        ("content-length: 1000", b""),
    ] {
        let said = dripping(&gateway, &head(framing), drip).await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{framing} {drip:?}: {said}");
        assert!(said.contains("came too slowly"), "{framing} {drip:?}: {said}");
        becomes(&gateway.client(), "ai_api_requests_in_flight", "0").await;
    }
    assert_eq!(gateway.client().chat("model", "hi").await.content(), "hello");
    assert_eq!(upstream.hits(), 1);
}

#[tokio::test]
async fn a_body_that_comes_slowly_but_fast_enough_is_served() {
    let upstream = FakeUpstream::replying(WIRE.reply("hello"));
    let limits = json!({"body_timeout_seconds": 0.6, "min_body_bytes_per_second": 100});
    let gateway = with_limits(&upstream, limits).start().await;
    let body = json!({"model": "model", "messages": [{"role": "user", "content": "x".repeat(3000)}]});
    let request = Raw::request("POST", "/v1/chat/completions", MASTER_KEY, Some(&body));
    let mut raw = Raw::open(gateway.authority()).await;
    // Longer on the whole than a body may be silent.
    for piece in request.as_bytes().chunks(request.len() / 60) {
        raw.send(piece).await;
        tokio::time::sleep(DRIP).await;
    }
    assert!(raw.until("hello").await.starts_with("HTTP/1.1 200 "));
}

fn large_stream(wire: Wire) -> Reply {
    let text = "x".repeat(60_000);
    let begun = Reply::events(wire.opening());
    let filled = (0..LARGE / text.len()).fold(begun, |reply, _| reply.send(wire.text(&text)));
    wire.ending().into_iter().fold(filled, Reply::send)
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_stream_is_let_go_and_its_provider_too() {
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let upstream = FakeUpstream::replying(large_stream(wire));
        let limits = json!({"write_timeout_seconds": 0.5});
        let gateway = with_limits(&upstream, limits).model("wired", wire.model(), &wire.base(&upstream)).start().await;
        let body = json!({"model": "wired", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        let mut raw = Raw::open(gateway.authority()).await;
        raw.send(Raw::request("POST", "/v1/chat/completions", MASTER_KEY, Some(&body))).await;
        raw.until("data: ").await;

        upstream.left_alone(1).await;
        becomes(&gateway.client(), "ai_api_requests_in_flight", "0").await;
        becomes(&gateway.client(), "ai_api_connections_open", "1").await;
        drop(raw);
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_a_whole_answer_is_let_go() {
    let upstream = FakeUpstream::replying(WIRE.reply(&"x".repeat(LARGE)));
    let gateway = with_limits(&upstream, json!({"write_timeout_seconds": 0.5})).start().await;
    let body = json!({"model": "model", "messages": [{"role": "user", "content": "hi"}]});
    let mut raw = Raw::open(gateway.authority()).await;
    raw.send(Raw::request("POST", "/v1/chat/completions", MASTER_KEY, Some(&body))).await;
    raw.until("xxx").await;
    // It has a place as long as it holds its answer.
    becomes(&gateway.client(), "ai_api_connections_open", "1").await;
    becomes(&gateway.client(), "ai_api_requests_in_flight", "0").await;
    drop(raw);
    assert_eq!(gateway.client().chat("model", "hi").await.content().len(), LARGE);
}

#[tokio::test]
async fn a_whole_answer_that_is_not_taken_yet_keeps_its_place() {
    let upstream = FakeUpstream::replying(WIRE.reply(&"x".repeat(LARGE)));
    let gateway = with_limits(&upstream, json!({})).start().await;
    for http2 in [false, true] {
        let client = if http2 { gateway.client().http2() } else { gateway.client() };
        let body = json!({"model": "model", "messages": [{"role": "user", "content": "hi"}]});
        let untaken = client.open("/v1/chat/completions", &body).await;
        let refused = gateway.client().chat("model", "hi").await;
        assert_eq!((refused.status, refused.error()["code"].as_str()), (503, Some("overloaded")), "{http2}");
        assert_eq!(untaken.answer().await.content().len(), LARGE, "{http2}");
        becomes(&gateway.client(), "ai_api_requests_in_flight", "0").await;
    }
}

#[tokio::test]
async fn a_stream_of_http2_that_nobody_takes_is_reset_and_the_others_of_its_connection_go_on() {
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let upstream = FakeUpstream::replying_in_turn(vec![large_stream(wire), wire.reply("hello")]);
        let limits = json!({"write_timeout_seconds": 0.5});
        let gateway = with_limits(&upstream, limits).model("wired", wire.model(), &wire.base(&upstream)).start().await;
        let client = gateway.client().http2();
        let mut stream = client.stream("wired", "hi").await;
        stream.next_text().await;

        upstream.left_alone(1).await;
        becomes(&client, "ai_api_requests_in_flight", "0").await;

        assert_eq!(client.chat("wired", "hi").await.content(), "hello", "{wire:?}");
        assert_eq!(
            metric(&client, "ai_api_connections_open").await.as_deref(),
            Some("1"),
            "{wire:?}: all on one connection"
        );
        drop(stream);
    }
}
