//! A client that leaves a call's only attempt, at each of its stages, for all routes.

use std::time::Instant;

use ai_api_e2e::{FakeUpstream, Gateway, Port, Received, Reply, Step, Wire, eventually, within};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::{CHAT, CHAT_STREAM, Route, TRIES, Times, call, ended, leave};

const ROUTES: [Route; 6] = [
    CHAT,
    CHAT_STREAM,
    Route { name: "completions", path: "/v1/completions", body: || json!({"prompt": "hi"}) },
    Route { name: "completions, streamed", path: "/v1/completions", body: || json!({"prompt": "hi", "stream": true}) },
    Route { name: "embeddings", path: "/v1/embeddings", body: || json!({"input": "hi"}) },
    Route { name: "images", path: "/v1/images/generations", body: || json!({"prompt": "a cat"}) },
];

/// When the client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    BeforeHead,
    AfterHead,
    /// After a text that the client has read; within the document, where it isn't a stream.
    Midway,
    /// The same, where the client has read nothing and its connection is full.
    Unread,
}

/// Which of the routes a plugin of this wire serves.
fn serves(wire: Wire, route: &Route) -> bool {
    match wire {
        Wire::OpenAi => true,
        Wire::Anthropic => route.path == CHAT.path,
        Wire::Gemini => route.path == CHAT.path || route.name == "embeddings",
    }
}

/// What comes before the provider falls silent.
fn reply(wire: Wire, stage: Stage, streaming: bool) -> Reply {
    let silent = match (stage, streaming) {
        (Stage::BeforeHead, _) => return Reply::silence(),
        (Stage::AfterHead, true) => Reply::events([""; 0]),
        (Stage::AfterHead, false) => Reply::status(200).header("content-type", "application/json"),
        (Stage::Midway, true) => Reply::events(wire.opening()).send(wire.text("said")),
        (Stage::Midway, false) => Reply::status(200).header("content-type", "application/json").send("{\"object\": "),
        (Stage::Unread, _) => {
            let text = wire.text(&"x".repeat(60_000));
            (0..800).fold(Reply::events(wire.opening()), |reply, _| reply.send(text.clone()))
        }
    };
    silent.step(Step::Stall)
}

#[tokio::test]
async fn the_provider_is_left_at_once_for_all_routes_and_stages() {
    let mut times = Times::default();
    for wire in Wire::ALL {
        for stage in [Stage::BeforeHead, Stage::AfterHead, Stage::Midway, Stage::Unread] {
            let streams = |request: &Received| {
                request.path.ends_with(":streamGenerateContent") || request.json()["stream"] == true
            };
            let upstream = FakeUpstream::answering(move |request| reply(wire, stage, streams(request)));
            let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
            let mut calls = 0;
            for route in ROUTES.iter().filter(|route| serves(wire, route)) {
                let streaming = (route.body)()["stream"] == true;
                if stage == Stage::Unread && !streaming {
                    continue;
                }
                let mut tries = Vec::new();
                for _ in 0..TRIES {
                    calls += 1;
                    let mut client = call(&gateway, route, "model").await;
                    upstream.asked(calls).await;
                    match stage {
                        Stage::Midway if streaming => drop(client.until("said").await),
                        Stage::Unread => stuck(&gateway, &upstream).await,
                        _ => {}
                    }
                    tries.push(leave(client, &upstream, calls).await);
                }
                times.add(format!("{wire:?}, {}, {stage:?}", route.name), &tries);
            }
            ended(gateway).await;
            assert_eq!(upstream.hits(), calls, "{wire:?}, {stage:?}: it was tried again for nobody");
        }
    }
    times.assert_short();
}

/// Waits until nothing more gets out of the provider, while the gateway serves others.
async fn stuck(gateway: &Gateway, upstream: &FakeUpstream) {
    loop {
        let before = upstream.written();
        for _ in 0..20 {
            assert_eq!(gateway.client().get("/v1/models").await.status, 200);
        }
        if before > 0 && upstream.written() == before {
            return;
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cancelled_over_http2_leaves_the_provider_at_once() {
    let mut times = Times::default();
    for wire in Wire::ALL {
        let upstream = FakeUpstream::answering(move |_| reply(wire, Stage::Midway, true));
        let gateway = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).start().await;
        let client = gateway.client().http2();
        let mut tries = Vec::new();
        for count in 1..=TRIES {
            let mut stream = client.stream("model", "hi").await;
            assert_eq!(stream.next_text().await, "said");
            let left = Instant::now();
            drop(stream);
            upstream.left_alone(count).await;
            tries.push(upstream.left_at()[count - 1].duration_since(left));
        }
        times.add(format!("{wire:?}, HTTP/2"), &tries);
    }
    times.assert_short();
}

#[tokio::test]
async fn a_connection_that_is_being_made_is_given_up() {
    let wire = Wire::OpenAi;
    let port = Port::reserve();
    // Full with the first connection, which nobody accepts.
    let _listener = port.listen_with(0);
    let _first = within("the first connection", tokio::net::TcpStream::connect(port.address())).await;
    let base = wire.base_of(&format!("http://{}", port.address()));
    let gateway = Gateway::builder().model("model", wire.model(), &base).start().await;
    let mut times = Times::default();
    let mut tries = Vec::new();
    for _ in 0..TRIES {
        let client = call(&gateway, &CHAT, "model").await;
        eventually("a connection to the provider", || (port.connecting() == 1).then_some(())).await;
        let left = Instant::now();
        drop(client);
        eventually("the connection to be given up", || (port.connecting() == 0).then_some(())).await;
        tries.push(left.elapsed());
    }
    ended(gateway).await;
    assert_eq!(port.connecting(), 0);
    times.add("while connecting".to_owned(), &tries);
    times.assert_short();
}

#[tokio::test]
async fn a_tls_handshake_is_given_up() {
    let wire = Wire::OpenAi;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let base = wire.base_of(&format!("https://{}", listener.local_addr().expect("a bound socket has an address")));
    let gateway = Gateway::builder().model("model", wire.model(), &base).start().await;
    let mut times = Times::default();
    let mut tries = Vec::new();
    for _ in 0..TRIES {
        let client = call(&gateway, &CHAT_STREAM, "model").await;
        let (mut stream, _) = within("a connection", listener.accept()).await.expect("the gateway connects");
        let mut hello = vec![0; 4096];
        assert!(within("a hello", stream.read(&mut hello)).await.expect("it speaks") > 0);
        let left = Instant::now();
        drop(client);
        while matches!(within("the end", stream.read(&mut hello)).await, Ok(count) if count > 0) {}
        tries.push(left.elapsed());
    }
    ended(gateway).await;
    times.add("in the TLS handshake".to_owned(), &tries);
    times.assert_short();
}
