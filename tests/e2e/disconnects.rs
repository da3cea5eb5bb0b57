//! A client that leaves takes its call with it, at whatever stage: the provider is left within 50 ms, and nothing more
//! is tried.

use std::time::{Duration, Instant};

use ai_api_e2e::{FakeUpstream, Gateway, MASTER_KEY, Port, Raw, Received, Reply, Step, Wire, eventually, within};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Between the client's leaving and the provider's seeing it.
const BOUND: Duration = Duration::from_millis(50);
/// A machine may be busy with something else for a moment, but not each time.
const TRIES: usize = 3;

/// What a call asks for.
#[derive(Clone, Copy)]
struct Route {
    name: &'static str,
    path: &'static str,
    body: fn() -> Value,
}

const CHAT: Route = Route { name: "chat", path: "/v1/chat/completions", body: || messages(false) };
const CHAT_STREAM: Route = Route { name: "chat, streamed", path: "/v1/chat/completions", body: || messages(true) };

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

fn messages(stream: bool) -> Value {
    json!({"messages": [{"role": "user", "content": "hi"}], "stream": stream})
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

async fn call(gateway: &Gateway, route: &Route, model: &str) -> Raw {
    let mut body = (route.body)();
    body["model"] = json!(model);
    let mut client = Raw::open(gateway.authority()).await;
    client.send(Raw::request("POST", route.path, MASTER_KEY, Some(&body))).await;
    client
}

/// The times that it took, worst first, with what they are of.
#[derive(Default)]
struct Times(Vec<(Duration, String)>);

impl Times {
    /// What it took the provider to see it: the best of several tries counts.
    fn add(&mut self, what: String, tries: &[Duration]) {
        self.0.push((tries.iter().min().copied().expect("it was tried"), what));
    }

    fn assert_short(mut self) {
        self.0.sort_by(|a, b| b.cmp(a));
        let lines = self.0.iter().map(|(time, what)| format!("{:7.2} ms  {what}", time.as_secs_f64() * 1000.0));
        let lines = lines.collect::<Vec<_>>().join("\n");
        eprintln!("from the client's leaving to the provider's seeing it, best of {TRIES}:\n{lines}");
        assert!(self.0.iter().all(|(time, _)| *time < BOUND), "more than {BOUND:?}:\n{lines}");
    }
}

/// Closes the connection; how long it took until `upstream` saw its own one, the `count`th, closed.
async fn leave(client: Raw, upstream: &FakeUpstream, count: usize) -> Duration {
    let left = Instant::now();
    drop(client);
    upstream.left_alone(count).await;
    upstream.left_at()[count - 1].duration_since(left)
}

/// What the gateway asked of its providers is final once it has ended, for it ends when no call is open any more.
async fn ended(mut gateway: Gateway) {
    gateway.terminate();
    gateway.ended().await;
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

#[tokio::test]
async fn nothing_is_tried_again_for_a_client_that_left_during_the_wait() {
    for wire in Wire::ALL {
        let limited = Reply::json(429, &wire.error(429, "slow down")).header("retry-after", "4");
        let upstream = FakeUpstream::replying(limited);
        let builder = Gateway::builder().env("JSON_LOGS", "true").model("model", wire.model(), &wire.base(&upstream));
        let builder = builder.set("router_settings", "num_retries", json!(2));
        let gateway = builder.start().await;
        for (count, route) in [CHAT, CHAT_STREAM].iter().enumerate() {
            let client = call(&gateway, route, "model").await;
            upstream.answered(count + 1).await;
            eventually("the log to tell of the attempt", || attempts(&gateway, count + 1)).await;
            let left = Instant::now();
            drop(client);
            eventually("the call to end", || gone(&gateway, count + 1)).await;
            eprintln!("{wire:?}, {}: {:?} from the client's leaving to the log's line", route.name, left.elapsed());
        }
        // It would try again while it drains.
        ended(gateway).await;
        assert_eq!(upstream.hits(), 2, "{wire:?}");
    }
}

fn attempts(gateway: &Gateway, count: usize) -> Option<()> {
    (gateway.log().matches("\"message\":\"attempt\"").count() >= count).then_some(())
}

fn gone(gateway: &Gateway, count: usize) -> Option<()> {
    (gateway.log().matches("\"outcome\":\"client_gone\"").count() >= count).then_some(())
}

#[tokio::test]
async fn a_fallback_is_left_too_and_none_is_tried_after_it() {
    let mut times = Times::default();
    for wire in Wire::ALL {
        let upstream = FakeUpstream::answering(move |request| match &request.path {
            path if path.starts_with("/first/") => Reply::json(400, &wire.error(400, "no")),
            _ => Reply::silence(),
        });
        let base = |name: &str| wire.base_of(&format!("{}/{name}", upstream.origin()));
        let gateway = Gateway::builder()
            .model("first", wire.model(), &base("first"))
            .model("second", wire.model(), &base("second"))
            .model("third", wire.model(), &base("third"))
            .set("router_settings", "fallbacks", json!([{"first": ["second", "third"]}]))
            .start()
            .await;
        for route in [CHAT, CHAT_STREAM] {
            let mut tries = Vec::new();
            let before = upstream.left_at().len();
            for count in 1..=TRIES {
                let client = call(&gateway, &route, "first").await;
                upstream.asked(2 * (before + count)).await;
                tries.push(leave(client, &upstream, before + count).await);
            }
            times.add(format!("{wire:?}, {}, in a fallback", route.name), &tries);
        }
        ended(gateway).await;
        let asked = |name: &str| upstream.requests().iter().filter(|request| request.path.starts_with(name)).count();
        assert_eq!(["/first/", "/second/", "/third/"].map(asked), [2 * TRIES, 2 * TRIES, 0], "{wire:?}");
    }
    times.assert_short();
}

#[tokio::test]
async fn the_second_deployment_of_a_group_is_left_too_and_no_third_is_tried() {
    let mut times = Times::default();
    for wire in Wire::ALL {
        let upstream = FakeUpstream::answering(move |request| match &request.path {
            path if path.starts_with("/first/") => Reply::json(500, &wire.error(500, "no")),
            _ => Reply::silence(),
        });
        let base = |name: &str| wire.base_of(&format!("{}/{name}", upstream.origin()));
        let gateway = Gateway::builder()
            .model_with("model", wire.model(), &base("first"), json!({"order": 1}))
            .model_with("model", wire.model(), &base("second"), json!({"order": 2}))
            .model_with("model", wire.model(), &base("third"), json!({"order": 3}))
            .set("router_settings", "disable_cooldowns", json!(true))
            .set("router_settings", "num_retries", json!(2))
            .start()
            .await;
        let mut tries = Vec::new();
        for count in 1..=TRIES {
            let client = call(&gateway, &CHAT_STREAM, "model").await;
            upstream.asked(2 * count).await;
            tries.push(leave(client, &upstream, count).await);
        }
        times.add(format!("{wire:?}, in a failover"), &tries);
        ended(gateway).await;
        let asked = |name: &str| upstream.requests().iter().filter(|request| request.path.starts_with(name)).count();
        assert_eq!(["/first/", "/second/", "/third/"].map(asked), [TRIES, TRIES, 0], "{wire:?}");
    }
    times.assert_short();
}
