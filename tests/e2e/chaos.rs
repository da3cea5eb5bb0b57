//! Providers that die, return, stall, fail and cut streams while load runs: every call ends well or with a proper
//! error, providers aren't asked more than the budget allows, and nothing is left behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ai_api_e2e::{
    Client, FakeUpstream, Gate, Gateway, Received, Reply, Rng, Transcript, Wire, check_error, eventually, within,
};
use serde_json::{Value, json};

use crate::matrix::{Fault, SAID, WHOLE};
use crate::trio::caught;

/// Another number of calls, for a longer run: `make chaos`.
const CALLS: &str = "AI_API_CHAOS_CALLS";
/// Another course of events.
const SEED: &str = "AI_API_CHAOS_SEED";
/// Clients that call at the same time.
const CLIENTS: usize = 24;
/// A provider dies or returns once in so many calls.
const TURN: usize = 12;
/// Of a hundred calls that reach a provider, so many fail.
const FAILING: usize = 40;
/// What a retry budget is by default: a share of the calls, and so many a second.
const SHARE: f64 = 0.2;
const FLOOR: f64 = 10.0;
/// A budget that nobody used is kept for so many seconds.
const KEPT: f64 = 10.0;

/// What providers do instead of answering. Stalls take as long as a deployment's patience, so there are few.
const FAULTS: [Fault; 19] = [
    Fault::HangUp,
    Fault::ResetBeforeHead,
    Fault::ResetAfterHead,
    Fault::ResetBeforeText,
    Fault::ResetMidway,
    Fault::EndMidway,
    Fault::StallBeforeHead,
    Fault::StallMidway,
    Fault::Malformed,
    Fault::MalformedMidway,
    Fault::WrongContentType,
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Status(529),
    Fault::ErrorBody,
    Fault::ErrorMidway,
    Fault::Empty,
];

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn wants_stream(request: &Received) -> bool {
    request.path.ends_with(":streamGenerateContent") || request.json()["stream"] == true
}

/// A provider that answers or fails as its dice fall.
fn moody(wire: Wire, seed: usize) -> FakeUpstream {
    let dice = Mutex::new(Rng::new(seed as u64));
    let seen = Gate::closed();
    seen.open();
    FakeUpstream::answering(move |request| {
        let streaming = wants_stream(request);
        let mut dice = dice.lock().expect("nobody panics with it");
        if dice.below(100) >= FAILING {
            return if streaming { wire.stream_reply(&[WHOLE]) } else { wire.reply(WHOLE) };
        }
        match FAULTS[dice.below(FAULTS.len())] {
            fault if fault.only_streams() && !streaming => Fault::Status(500).reply(wire, streaming, &seen),
            fault => fault.reply(wire, streaming, &seen),
        }
    })
}

/// How a call ended, in a word; panics where no call may end so.
async fn called(client: &Client, streaming: bool) -> &'static str {
    if !streaming {
        let answer = client.chat("model", "hi").await;
        if answer.status == 200 {
            assert_eq!(answer.content(), WHOLE);
            return "answer";
        }
        answer.error();
        return "error";
    }
    let mut stream = client.stream("model", "hi").await;
    if stream.status != 200 {
        stream.answer().await.error();
        return "error";
    }
    let transcript: Transcript = stream.transcript().await;
    let Some(error) = &transcript.error else {
        assert_eq!(transcript.meaning().text, WHOLE, "{transcript:#?}");
        assert_eq!(transcript.flaws(false), [""; 0], "{transcript:#?}");
        return "stream";
    };
    check_error(error);
    assert_eq!(transcript.meaning().text, SAID, "{transcript:#?}");
    assert!(!transcript.done && transcript.meaning().finish_reason.is_none(), "{transcript:#?}");
    "stream that broke"
}

/// The gateway before seven moody providers: six in a group, and one that is its fallback.
struct Chaos {
    gateway: Gateway,
    providers: Vec<FakeUpstream>,
    next: AtomicUsize,
    dice: Mutex<Rng>,
}

impl Chaos {
    async fn begin(seed: usize) -> Self {
        let mut providers = Vec::new();
        let mut builder = Gateway::builder().env("JSON_LOGS", "true");
        for index in 0..7 {
            let wire = Wire::ALL[index % 3];
            let provider = moody(wire, seed + index);
            let name = if index == 6 { "spare" } else { "model" };
            let patience = json!({"timeout": 1, "stream_timeout": 0.5, "cooldown_time": 0.3});
            builder = builder.model_with(name, wire.model(), &wire.base(&provider), patience);
            providers.push(provider);
        }
        let builder = builder.set("router_settings", "num_retries", json!(2));
        let gateway = builder.set("router_settings", "fallbacks", json!([{"model": ["spare"]}])).start().await;
        Self { gateway, providers, next: AtomicUsize::new(0), dice: Mutex::new(Rng::new(seed as u64)) }
    }

    /// Makes calls until `limit` were made in all; how each ended, and how often.
    async fn run(self: &Arc<Self>, limit: usize) -> BTreeMap<&'static str, usize> {
        let clients = (0..CLIENTS).map(|_| {
            let chaos = Arc::clone(self);
            // A connection of its own each, that goes away with it.
            let client = self.gateway.client();
            tokio::spawn(async move {
                let mut ends = Vec::new();
                loop {
                    let number = chaos.next.fetch_add(1, Ordering::SeqCst);
                    if number >= limit {
                        chaos.next.fetch_sub(1, Ordering::SeqCst);
                        return ends;
                    }
                    if number.is_multiple_of(TURN) {
                        chaos.turn().await;
                    }
                    let client = client.clone();
                    let call = caught(async move { called(&client, number.is_multiple_of(2)).await });
                    ends.push(
                        within("a call to end", call).await.unwrap_or_else(|panic| panic!("call {number}: {panic}")),
                    );
                }
            })
        });
        let mut counts = BTreeMap::new();
        for client in clients.collect::<Vec<_>>() {
            for end in client.await.expect("every call ends as it should") {
                *counts.entry(end).or_default() += 1;
            }
        }
        counts
    }

    /// A provider dies, or returns.
    async fn turn(&self) {
        let index = self.dice.lock().expect("nobody panics with it").below(self.providers.len());
        let provider = &self.providers[index];
        if provider.is_up() {
            provider.go_down().await;
        } else {
            provider.come_back().await;
        }
    }

    /// Ends all connections to providers.
    async fn hang_up(&self) {
        for provider in &self.providers {
            provider.go_down().await;
        }
    }

    async fn come_back(&self) {
        for provider in &self.providers {
            provider.come_back().await;
        }
    }

    fn hits(&self) -> usize {
        self.providers.iter().map(FakeUpstream::hits).sum()
    }
}

/// The deployments that a call's attempts at a model group went to, by the name of the group and the call's id.
type Attempts = HashMap<(String, String), Vec<String>>;

fn attempts(gateway: &Gateway) -> Attempts {
    let mut attempts = Attempts::new();
    // A failed attempt has a line of its own; one that the client saw something of is in the request's.
    let failed = gateway.lines("attempt");
    let served = gateway.lines("request").into_iter().filter(|entry| entry["status"] == 200);
    for line in failed.into_iter().chain(served) {
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        let group = text("group").or_else(|| text("model")).expect("a call has a model");
        let call = text("call_id").expect("a call has an id");
        attempts.entry((group, call)).or_default().push(text("deployment").expect("an attempt has a deployment"));
    }
    attempts
}

/// How many calls a group got, and how many attempts went to a deployment that had failed the same call.
fn repeats(attempts: &Attempts, group: &str) -> (usize, usize) {
    let of_group = attempts.iter().filter(|((name, _), _)| name == group).map(|(_, deployments)| deployments);
    of_group.fold((0, 0), |(calls, repeats), deployments| {
        (calls + 1, repeats + deployments.len() - deployments.iter().collect::<BTreeSet<_>>().len())
    })
}

/// What the budget allows for so many calls in this time.
fn budget(calls: usize, time: Duration) -> usize {
    (SHARE * calls as f64 + FLOOR * (time.as_secs_f64() + KEPT)).ceil() as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_providers_do_every_call_ends_and_nothing_is_left_behind() {
    let (calls, seed) = (setting(CALLS, 600), setting(SEED, 5));
    let chaos = Arc::new(Chaos::begin(seed).await);
    let began = Instant::now();
    let warm = chaos.run(calls / 6).await;
    chaos.hang_up().await;
    let (files, memory) = (settled(&chaos.gateway).await, chaos.gateway.resident_kib());
    chaos.come_back().await;

    let ends = chaos.run(calls).await;

    chaos.hang_up().await;
    let entries = || Some(chaos.gateway.lines("request")).filter(|lines| lines.len() >= calls);
    let entries = eventually("the log to tell of each call", entries).await;
    let took = began.elapsed();
    eprintln!("{calls} calls in {took:?}, {} at providers: {warm:?}, then {ends:?}", chaos.hits());
    assert_eq!(entries.len(), calls, "a line for each call");
    let open = || (chaos.gateway.open_files() <= files).then_some(());
    eventually(&format!("no more than {files} open files, as before"), open).await;
    let grown = chaos.gateway.resident_kib().saturating_sub(memory);
    eprintln!("{files} open files, {memory} KiB before and {grown} more after");
    assert!(grown < 32 << 10, "it has grown by {grown} KiB over {memory}");

    // A call may go to each deployment of a group once; a second time only within the group's budget.
    let attempts = attempts(&chaos.gateway);
    for group in ["model", "spare"] {
        let (calls, repeats) = repeats(&attempts, group);
        let allowed = budget(calls, began.elapsed());
        eprintln!("{group}: {calls} calls, {repeats} repeats, {allowed} allowed");
        assert!(repeats <= allowed, "{group}: {repeats} attempts repeated, {allowed} allowed");
    }
    let told: usize = attempts.values().map(Vec::len).sum();
    assert!(chaos.hits() <= told, "{} calls at providers, and the log knows of {told}", chaos.hits());
    assert!(ends.contains_key("answer") && ends.contains_key("stream"), "{ends:?}");
}

/// How many files are open when the connections to providers are gone.
async fn settled(gateway: &Gateway) -> usize {
    let mut before = usize::MAX;
    eventually("connections to go away", || {
        let now = gateway.open_files();
        let same = now == before;
        before = now;
        same.then_some(now)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_not_fed_with_retries() {
    const CALLS: usize = 300;
    for wire in Wire::ALL {
        let upstream = FakeUpstream::answering(move |_| Reply::json(500, &wire.error(500, "down")));
        let gateway = Gateway::builder()
            .model("model", wire.model(), &wire.base(&upstream))
            .set("router_settings", "disable_cooldowns", json!(true))
            .set("router_settings", "num_retries", json!(2))
            .start()
            .await;
        let began = Instant::now();
        let calls = (0..CALLS).map(|_| {
            let client = gateway.client();
            tokio::spawn(async move {
                let answer = client.chat("model", "hi").await;
                assert_eq!(answer.status, 500, "{}", answer.text());
                let _: Value = answer.error();
            })
        });
        for call in calls.collect::<Vec<_>>() {
            within("all calls", call).await.expect("each is told the error");
        }
        let allowed = CALLS + budget(CALLS, began.elapsed());
        let hits = upstream.hits();
        eprintln!("{wire:?}: {CALLS} calls, {hits} at the provider, {allowed} allowed, in {:?}", began.elapsed());
        assert!((CALLS..=allowed).contains(&hits), "{CALLS} calls, {hits} at the provider, {allowed} allowed");
        // Without a budget each would be tried three times.
        assert!(allowed < 3 * CALLS, "it took so long that the budget says nothing: {:?}", began.elapsed());
    }
}
