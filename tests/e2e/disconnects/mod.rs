//! A client that leaves takes its call with it, at whatever stage: the provider is left within 50 ms, and nothing more
//! is tried.

mod attempts;
mod stages;

use std::time::{Duration, Instant};

use ai_api_e2e::{FakeUpstream, Gateway, MASTER_KEY, Raw};
use serde_json::{Value, json};

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

fn messages(stream: bool) -> Value {
    json!({"messages": [{"role": "user", "content": "hi"}], "stream": stream})
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
