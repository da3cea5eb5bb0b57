//! The promise of hot swap: a plugin and the configuration replaced a hundred times under load, and nobody notices.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ai_api_e2e::{Client, FakeUpstream, Gate, Gateway, LiveStream, Reply, Step, TempDir, eventually_async, versioned};
use serde_json::{Value, json};

const KEY: &str = "sk-e2e-swap-5d1e";
const SWAPS: usize = 100;
const STREAMS: usize = 200;
/// Streams are read on at each of these swaps, so that each spans many.
const PIECES: usize = 4;
const EVENT: &str = "data: {}\n\n";

/// Answers streams piece by piece, each piece when its gate is opened; `waits: false` has none.
fn provider(gates: Arc<Vec<Gate>>) -> FakeUpstream {
    FakeUpstream::answering(move |request| {
        let body = request.json();
        if body["stream"] != true {
            return Reply::json(200, &json!({}));
        }
        let first = Reply::events([EVENT]);
        let later = gates.iter().filter(|_| body["user"] == "slow");
        later.fold(first, |reply, gate| reply.step(Step::Wait(gate.clone())).send(EVENT))
    })
}

fn config(turn: usize, upstream: &FakeUpstream) -> String {
    let model = |name: &str| {
        let params =
            json!({"model": "acme/m", "api_base": upstream.origin(), "api_key": "sk-up", "timeout": 100 + turn});
        json!({"model_name": name, "litellm_params": params})
    };
    json!({
        "model_list": [model("model"), model(&format!("turn-{turn}"))],
        "general_settings": {"master_key": KEY},
    })
    .to_string()
}

/// Beside it and renamed.
fn replace(file: &Path, content: impl AsRef<[u8]>) {
    let temporary = file.with_extension("part");
    fs::write(&temporary, content).expect("the folder is writable");
    fs::rename(temporary, file).expect("the folder is writable");
}

/// Ten versions take turns: none serves twice in a row, and each is compiled once.
const VERSIONS: usize = 10;

fn marker(turn: usize) -> String {
    format!("VERSION-{:04}", turn % VERSIONS)
}

/// The version that every piece of a text is of.
fn version_of(text: &str) -> Result<&str, String> {
    let mut versions: Vec<&str> = text.split_whitespace().collect();
    versions.dedup();
    match versions.as_slice() {
        [one] => Ok(one),
        mixed => Err(format!("{mixed:?}")),
    }
}

/// What the load saw.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    calls: AtomicUsize,
    slowest_micros: AtomicUsize,
}

/// Calls without a pause, whole and streamed in turn. Every one must be answered by one version.
async fn load(client: Client, tally: Arc<Tally>) -> Result<(), String> {
    let mut turn = 0;
    while !tally.stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        let text = if turn % 2 == 0 {
            let answer = client.chat("model", "hi").await;
            if answer.status != 200 {
                return Err(format!("{}: {}", answer.status, answer.text()));
            }
            answer.content()
        } else {
            let transcript = client.stream("model", "hi").await.transcript().await;
            if !transcript.done {
                return Err(format!("cut: {transcript:?}"));
            }
            transcript.meaning().text
        };
        version_of(&text)?;
        let micros = usize::try_from(began.elapsed().as_micros()).unwrap_or(usize::MAX);
        tally.slowest_micros.fetch_max(micros, Ordering::SeqCst);
        tally.calls.fetch_add(1, Ordering::SeqCst);
        turn += 1;
    }
    Ok(())
}

/// Ends a stream, which must be whole and of the version that it began with.
async fn finish(mut stream: LiveStream, began_with: String) -> Result<(), String> {
    let transcript = stream.transcript().await;
    let text = transcript.meaning().text;
    let version = version_of(&text)?;
    // The first piece was read before; the others and the end come now.
    let whole = transcript.done && text.split_whitespace().count() == PIECES + 1;
    if whole && version == began_with { Ok(()) } else { Err(format!("began with {began_with}: {text}")) }
}

async fn listed(client: &Client) -> Value {
    client.get("/plugins").await.ok()
}

async fn serves(client: &Client, version: &str) {
    eventually_async(&format!("{version} to serve"), async || {
        let list = listed(client).await;
        let plugins = list["data"].as_array().expect("a list");
        plugins.iter().any(|p| p["name"] == "acme" && p["version"] == version).then_some(())
    })
    .await;
}

async fn has_model(client: &Client, name: &str) {
    eventually_async(&format!("the model {name}"), async || {
        (client.get(&format!("/v1/models/{name}")).await.status == 200).then_some(())
    })
    .await;
}

/// How many versions of the plugin are alive, a number of the metrics.
async fn versions_alive(client: &Client) -> usize {
    let metrics = client.get("/metrics").await.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("ai_api_plugin_versions_alive{plugin=\"acme\"} "));
    line.expect("it is counted").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_of_plugin_and_configuration_under_load_fail_no_call_and_mix_no_stream() {
    let home = TempDir::new();
    let folder = home.path().join("plugins.d");
    fs::create_dir(&folder).expect("a folder can be made");
    let (plugin, file) = (folder.join("acme.wasm"), home.path().join("config.yml"));
    let versions: Vec<_> = (0..VERSIONS).map(|turn| versioned("acme", &marker(turn))).collect();
    let gates: Arc<Vec<Gate>> = Arc::new((0..PIECES).map(|_| Gate::closed()).collect());
    let upstream = provider(gates.clone());
    replace(&plugin, &versions[0]);
    replace(&file, config(0, &upstream));
    let gateway = Gateway::with_file(&file, KEY).env("LITELLM_LOG", "WARNING").start().await;
    let client = gateway.client();
    serves(&client, &marker(0)).await;

    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = client.stream_with("model", "hi", json!({"user": "slow"})).await;
        let version = stream.next_text().await.trim().to_owned();
        streams.push((stream, version));
    }
    let tally = Arc::new(Tally::default());
    let callers: Vec<_> = (0..2).map(|_| tokio::spawn(load(gateway.client(), tally.clone()))).collect();
    let mut resident_after_20 = 0;
    let mut slowest_swap = Duration::ZERO;
    for turn in 1..=SWAPS {
        let began = Instant::now();
        replace(&plugin, &versions[turn % VERSIONS]);
        replace(&file, config(turn, &upstream));
        serves(&client, &marker(turn)).await;
        slowest_swap = slowest_swap.max(began.elapsed());
        has_model(&client, &format!("turn-{turn}")).await;
        if turn == 20 {
            resident_after_20 = gateway.resident_kib();
        }
        if turn % (SWAPS / PIECES) == 0 {
            gates[turn / (SWAPS / PIECES) - 1].open();
        }
    }
    let resident_after_all = gateway.resident_kib();
    let alive_with_streams = versions_alive(&client).await;
    let mut failures = Vec::new();
    for (stream, version) in streams {
        failures.extend(finish(stream, version).await.err());
    }
    tally.stop.store(true, Ordering::SeqCst);
    for caller in callers {
        failures.extend(caller.await.expect("no caller panics").err());
    }

    assert!(failures.is_empty(), "{} failures: {failures:#?}", failures.len());
    let calls = tally.calls.load(Ordering::SeqCst);
    assert!(calls > SWAPS, "there was load: {calls} calls");
    eventually_async("old versions to be dropped", async || (versions_alive(&client).await == 1).then_some(())).await;
    assert!((2..=4).contains(&alive_with_streams), "streams keep their own version only: {alive_with_streams}");
    let grown = i64::try_from(resident_after_all).unwrap_or(0) - i64::try_from(resident_after_20).unwrap_or(0);
    println!(
        "{calls} calls, the slowest {} ms; the slowest swap {slowest_swap:?}; resident {resident_after_20} KiB after 20 \
         swaps, {resident_after_all} KiB after {SWAPS}",
        tally.slowest_micros.load(Ordering::SeqCst) / 1000
    );
    assert!(grown < 24 * 1024, "memory grew by {grown} KiB in the last 80 swaps");
    assert_eq!(gateway.log().matches("ERROR").count(), 0, "{}", gateway.log());
}
