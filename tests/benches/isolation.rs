//! What a hostile guest costs everybody else, side by side: a steady stream of calls through another plugin, in turns
//! with and without a hostile guest called beside it.
//!
//! `make bench-isolation`. Open loop: calls begin at a fixed rate whatever the gateway does, and are timed from when they
//! should have begun, so that a stall counts for every call that it held up.

#![allow(clippy::indexing_slicing, reason = "a panic is a failed benchmark, with the line that did it")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ai_api_e2e::{Client, FakeUpstream, Gateway, Reply, guest};
use hdrhistogram::Histogram;
use serde_json::json;

/// Calls a second of the well-behaved traffic.
const RATE: u32 = 250;
/// How long one turn takes, and how many there are of each kind.
const TURN: Duration = Duration::from_secs(2);
const TURNS: usize = 5;
/// Between two hostile calls; each waits for the one before.
const PAUSE: Duration = Duration::from_millis(20);
/// How the guest misbehaves; `fine` is what a call that does nothing wrong costs the others.
const BEHAVIOURS: [&str; 12] = [
    "fine",
    "trap",
    "trap-whole",
    "loop",
    "loop-whole",
    "recurse",
    "hoard",
    "huge",
    "bad-json",
    "flood-log",
    "flood-warnings",
    "blank-lines",
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let upstream = FakeUpstream::replying(Reply::events(["data: {\"one\": 1}\n\n"]));
    let gateway = Gateway::builder()
        .set("ai_api_settings", "plugin_limits", json!({"hostile": {"quarantine_after": 0}}))
        .model("hostile/*", "hostile/*", &upstream.origin())
        .model("good", "echo/good", "http://127.0.0.1:9")
        .plugin(&guest("hostile"))
        .start()
        .await;
    let client = gateway.client();
    steady(&client, TURN).await;
    say(format_args!("{RATE} calls/s through a well-behaved plugin; {TURNS} turns of {TURN:?} each, alternating"));
    say(format_args!(
        "{:<16}{:>10}{:>12}{:>12}{:>10}{:>12}{:>12}{:>10}",
        "hostile guest", "calls/s", "p50 quiet", "p50 beside", "change", "p99 quiet", "p99 beside", "change"
    ));
    for behaviour in BEHAVIOURS.iter().filter(|name| only.is_empty() || only.iter().any(|wanted| wanted == **name)) {
        let (mut quiet, mut beside) = (histogram(), histogram());
        let mut attacks = 0;
        for _ in 0..TURNS {
            quiet.add(steady(&client, TURN).await).expect("histograms of one kind");
            let attack = Attack::begin(gateway.client(), behaviour);
            beside.add(steady(&client, TURN).await).expect("histograms of one kind");
            attacks += attack.end().await;
        }
        let ms = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        let change = |a: f64, b: f64| format!("{:+.0} %", (b / a - 1.0) * 100.0);
        let (q50, b50, q99, b99) = (ms(&quiet, 0.5), ms(&beside, 0.5), ms(&quiet, 0.99), ms(&beside, 0.99));
        say(format_args!(
            "{behaviour:<16}{:>10.1}{q50:>9.2} ms{b50:>9.2} ms{:>10}{q99:>9.2} ms{b99:>9.2} ms{:>10}",
            attacks as f64 / (TURN * TURNS as u32).as_secs_f64(),
            change(q50, b50),
            change(q99, b99),
        ));
    }
}

/// A hostile guest that is called again and again.
struct Attack {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Attack {
    fn begin(client: Client, behaviour: &str) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let model = format!("hostile/{behaviour}");
        let (stopped, counted) = (stop.clone(), calls.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                client.chat(&model, "hi").await;
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { stop, calls, task }
    }

    /// Waits for the last call, so that the next turn is quiet.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("an attack that ends");
        self.calls.load(Ordering::Relaxed)
    }
}

/// Calls at the fixed rate; how long each took, in microseconds from when it was due.
async fn steady(client: &Client, time: Duration) -> Histogram<u64> {
    let (client, runtime) = (client.clone(), tokio::runtime::Handle::current());
    // A thread of its own wakes up on time; the runtime's timer is a millisecond coarse.
    let clock = tokio::task::spawn_blocking(move || {
        let (begin, every) = (Instant::now(), Duration::from_secs(1) / RATE);
        let dues = (0..).map(|index| begin + every * index).take_while(|due| *due < begin + time);
        let begun = dues.map(|due| {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            runtime.spawn(timed(client.clone(), due))
        });
        begun.collect::<Vec<_>>()
    });
    let mut times = histogram();
    for call in clock.await.expect("a clock that ends") {
        let took = call.await.expect("a call that ends");
        times.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)).expect("any time can be recorded");
    }
    times
}

async fn timed(client: Client, due: Instant) -> Duration {
    let answer = client.chat("good", "how long does this take?").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    due.elapsed()
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are possible")
}

fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
