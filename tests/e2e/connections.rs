//! Connections: what comes over them in odd pieces is understood, refused with words, or kept for the next call.

use ai_api_e2e::{Client, FakeUpstream, Gate, Gateway, MASTER_KEY, Raw, Reply, Step, Wire, eventually, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::trio::{Trio, provider};

/// Begins with `first`, then waits for the gate.
fn held(wire: Wire, gate: &Gate) -> Reply {
    let begun = Reply::events(wire.opening()).send(wire.text("first")).step(Step::Wait(gate.clone()));
    wire.ending().into_iter().fold(begun, Reply::send)
}

#[tokio::test]
async fn what_follows_a_request_on_its_connection_does_not_hold_its_stream_back() {
    let models = Raw::request("GET", "/v1/models", MASTER_KEY, None);
    for wire in Wire::ALL {
        for follows in ["\r\n".to_owned(), models.clone(), format!("\r\n{models}")] {
            let gate = Gate::closed();
            let upstream = FakeUpstream::replying(held(wire, &gate));
            let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
            let body = json!({"model": "model", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
            let request = Raw::request("POST", "/v1/chat/completions", MASTER_KEY, Some(&body));
            let mut raw = Raw::open(gateway.authority()).await;

            raw.send(format!("{request}{follows}")).await;

            let begun = raw.until("\"first\"").await;
            assert!(begun.starts_with("HTTP/1.1 200"), "{wire:?} {follows:?}: {begun}");
            gate.open();
            let rest = raw.until("data: [DONE]\n\n").await;
            assert!(!rest.contains("HTTP/1.1"), "{wire:?} {follows:?}: an answer inside of another: {rest}");
            if follows == "\r\n" {
                raw.send(&models).await;
            }
            let next = raw.until("\"object\":\"list\"").await;
            assert!(next.contains("HTTP/1.1 200"), "{wire:?} {follows:?}: {next}");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused_with_words() {
    let gateway = Gateway::builder().start().await;
    let many: String = (0..150).map(|index| format!("x-{index}: 1\r\n")).collect();
    let start = "GET /v1/models HTTP/1.1\r\nhost: gateway\r\n";
    for (what, request) in [
        ("garbage", "\u{16}\u{3}\u{1} this is no HTTP\r\n\r\n".to_owned()),
        ("a version of its own", "GET / HTTP/7.0\r\n\r\n".to_owned()),
        ("a header without a colon", format!("{start}no colon\r\n\r\n")),
        ("a header with a space in its name", format!("{start}a b: 1\r\n\r\n")),
        ("too many headers", format!("{start}{many}\r\n")),
        ("a large header", format!("{start}x-large: {}\r\n\r\n", "x".repeat(1 << 20))),
        ("a length that is none", format!("{start}content-length: many\r\n\r\n")),
    ] {
        let raw = Raw::open(gateway.authority()).await;
        let answer = raw.send_and_read_to_end(request).await;
        let refused = ["HTTP/1.1 400 ", "HTTP/1.1 431 "].iter().any(|status| answer.starts_with(status));
        assert!(refused, "{what}: {answer:?}");
    }
    assert_eq!(gateway.client().get("/v1/models").await.status, 200);
}

#[tokio::test]
async fn headers_may_be_so_long_and_so_many_and_no_more() {
    let gateway = Gateway::builder().start().await;
    let large = |bytes: usize| format!("x-large: {}\r\n", "x".repeat(bytes));
    let many = |count: usize| (0..count).map(|index| format!("x-{index}: 1\r\n")).collect::<String>();
    for (what, headers, status) in [
        ("30 KiB", large(30 << 10), 200),
        ("40 KiB", large(40 << 10), 431),
        ("90 headers", many(90), 200),
        ("120 headers", many(120), 431),
    ] {
        let request = format!("GET /health/liveliness HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
        let answer = Raw::open(gateway.authority()).await.send_and_read_to_end(request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
    }
    let over_http2 = async |bytes: usize| {
        let request = gateway.client().http2().request(reqwest::Method::GET, "/health/liveliness");
        request.header("x-large", "x".repeat(bytes)).send().await.map(|answer| answer.status().as_u16())
    };
    assert_eq!(over_http2(30 << 10).await.ok(), Some(200));
    // A client may be told by a status or by a reset; it must not be served.
    assert_ne!(over_http2(40 << 10).await.ok(), Some(200));
}

#[tokio::test]
async fn a_connection_serves_the_next_call_though_its_stream_was_over_before_its_body() {
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let gate = Gate::closed();
        // The last chunk of the chunked coding comes when the client has seen [DONE].
        let first = wire.stream_reply(&["hello"]).step(Step::Wait(gate.clone()));
        let upstream = FakeUpstream::replying_in_turn(vec![first, wire.stream_reply(&["hello"])]);
        let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
        assert!(gateway.client().stream("model", "hi").await.transcript().await.done, "{wire:?}");
        gate.open();
        upstream.answered(1).await;
        // The gateway reads the end when it comes to it, so a call or two may be too early.
        for _ in 0..20 {
            if upstream.connections() < upstream.hits() {
                break;
            }
            assert!(gateway.client().stream("model", "hi").await.transcript().await.done, "{wire:?}");
        }
        let counts = (upstream.connections(), upstream.hits());
        assert!(counts.0 < counts.1, "{wire:?}: no call found a connection to use again: {counts:?}");
        assert_eq!(upstream.abandoned(), 0, "{wire:?}: a connection was dropped before its end: {counts:?}");
    }
}

#[tokio::test]
async fn a_second_sigterm_ends_the_process_though_a_stream_is_open() {
    let wire = Wire::OpenAi;
    let upstream = FakeUpstream::replying(held(wire, &Gate::closed()));
    let mut gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
    let mut stream = gateway.client().stream("model", "hi").await;
    assert_eq!(stream.next_text().await, "first");
    gateway.terminate();
    let refusing = || std::net::TcpStream::connect(gateway.authority()).is_err().then_some(());
    eventually("new connections to be refused", refusing).await;
    assert!(gateway.is_running(), "a stream is open: {}", gateway.log());

    gateway.terminate();

    gateway.ended().await;
    assert!(gateway.log().contains("asked again"), "it ended for another reason: {}", gateway.log());
    assert!(!gateway.log().contains("still open"), "it waited: {}", gateway.log());
}

#[tokio::test]
async fn a_connection_without_a_call_does_not_hold_the_end_up() {
    let mut ending = Vec::new();
    for says in ["", "PRI * HT", "GET /v1/models HTTP/1.1\r\nhost:"] {
        let gateway = Gateway::builder().start().await;
        let mut raw = Raw::open(gateway.authority()).await;
        raw.send(says).await;
        assert_eq!(gateway.client().get("/v1/models").await.status, 200);
        gateway.terminate();
        ending.push((says, gateway, raw));
    }
    let mut waited = Vec::new();
    for (says, gateway, _raw) in &mut ending {
        assert_eq!(gateway.ended().await.code(), Some(0), "{says:?}: {}", gateway.log());
        if gateway.log().contains("still open") {
            waited.push(*says);
        }
    }
    assert_eq!(waited, [""; 0], "it waited for connections that said only this");
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_understood_though_its_preface_comes_in_pieces() {
    for first in [1, 8, 18, 23] {
        let gateway = Gateway::builder().start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let proxy = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let (authority, patient) = (gateway.authority().to_owned(), gateway.client());
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.expect("a client comes");
            let mut onward = TcpStream::connect(authority).await.expect("the gateway listens");
            onward.set_nodelay(true).expect("a fresh socket takes options");
            let mut piece = vec![0; first];
            client.read_exact(&mut piece).await.expect("a preface comes");
            onward.write_all(&piece).await.expect("the gateway takes it");
            // The gateway has had the time to look at the first piece when it has answered others.
            for _ in 0..10 {
                patient.get("/v1/models").await;
            }
            let _ = tokio::io::copy_bidirectional(&mut client, &mut onward).await;
        });
        let client = Client::new(&proxy, MASTER_KEY).http2();
        let list = within("an answer over HTTP/2", client.get("/v1/models")).await;
        assert_eq!(list.ok()["object"], "list", "{first} bytes first");
    }
}

#[tokio::test]
async fn a_connection_that_the_provider_closed_between_two_calls_is_no_failure() {
    let trio = Trio::replying(|wire| wire.reply("again").closing_quietly()).await;
    for case in trio.cases() {
        for call in 1..=5 {
            let answer = case.client.chat(&case.name, "hi").await;
            assert_eq!(answer.content(), "again", "call {call}");
            case.upstream.closed(call).await;
        }
        assert_eq!(case.upstream.hits(), 5);
    }
}

#[tokio::test]
async fn a_connection_is_used_again_for_the_next_call() {
    let trio = Trio::with(json!({}), |wire| provider(wire, "hello")).await;
    for case in trio.cases() {
        for _ in 0..3 {
            assert_eq!(case.client.chat(&case.name, "hi").await.content(), "hello");
            case.client.stream(&case.name, "hi").await.transcript().await;
        }
        // A stream may leave its connection behind: what follows `[DONE]` isn't waited for.
        assert!(case.upstream.connections() <= 4, "{} connections for 6 calls", case.upstream.connections());
    }
}

/// A call with a large body.
fn large_call(path: &str, key: &str, more: &str) -> String {
    let length = 1 << 20;
    let head = format!("POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n{more}");
    format!("{head}content-length: {length}\r\n\r\n{}", "x".repeat(length))
}

#[tokio::test]
async fn whatever_is_refused_for_its_headers_sees_why_though_it_is_large() {
    let chat = "/v1/chat/completions";
    for (status, request, limit) in [
        (401, large_call(chat, "sk-wrong", ""), 10),
        (404, large_call("/v1/nothing", MASTER_KEY, ""), 10),
        (400, large_call(chat, MASTER_KEY, "x-litellm-timeout: soon\r\n"), 10),
        (503, large_call(chat, MASTER_KEY, ""), 1),
    ] {
        let limits = json!({"max_connections": limit});
        let gateway = Gateway::builder().set("ai_api_settings", "client_limits", limits).start().await;
        let models = Raw::request("GET", "/v1/models", MASTER_KEY, None);
        let mut first = Raw::open(gateway.authority()).await;
        first.send(&models).await;
        first.until("\"object\":\"list\"").await;

        let mut raw = Raw::open(gateway.authority()).await;
        raw.send(&request).await;

        let answer = raw.until("\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        raw.until("}").await;
        if status != 503 {
            raw.send(&models).await;
            assert!(raw.until("\"object\":\"list\"").await.contains("HTTP/1.1 200 "), "{status}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_held_back_is_asked_for_only_if_somebody_wants_it() {
    let wire = Wire::OpenAi;
    let upstream = FakeUpstream::replying(wire.reply("hello"));
    let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
    let body = json!({"model": "model", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let head = |key: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
             expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
    };

    let refused = Raw::open(gateway.authority()).await.send_and_read_to_end(head("sk-wrong")).await;
    assert!(refused.starts_with("HTTP/1.1 401 ") && refused.contains("connection: close\r\n"), "{refused}");

    let mut raw = Raw::open(gateway.authority()).await;
    raw.send(head(MASTER_KEY)).await;
    raw.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    raw.send(&body).await;
    assert!(raw.until("hello").await.starts_with("HTTP/1.1 200 "));
}
