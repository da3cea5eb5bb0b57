//! The promise of hot swap: a plugin and the configuration replaced a hundred times under load, and nobody notices.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ai_api_e2e::{
    Client, FakeUpstream, Gate, Gateway, LiveStream, Reply, Step, TempDir, eventually, eventually_async, versioned,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const KEY: &str = "sk-e2e-swap-5d1e";
const SWAPS: usize = 100;
/// So many streams are opened before each of the first swaps, so that long streams of as many versions are open at once.
const BATCH: usize = 4;
const BATCHES: usize = 50;
/// At these swaps all streams get another piece, the last with the end.
const PIECES: [usize; 4] = [60, 75, 90, SWAPS];
/// What is allowed to be left in memory when all is over, beside what the same load took before the first swap. A version
/// that stayed would take 0.3 MiB, and all of them 30; what the allocator keeps of the busiest moment was 7 to 14.
const LEFT_KIB: i64 = 24 * 1024;
/// Calls after which memory is looked at.
const SETTLE: usize = 200;
/// How soon a file serves, with two callers on the same processors, in a debug build. Half of them, and every one.
const USUALLY: Duration = Duration::from_secs(1);
const AT_LAST: Duration = Duration::from_secs(10);
const EVENT: &str = "data: {}\n\n";

/// Gates of streams that wait for each of their pieces.
type Gates = Arc<Vec<Gate>>;

fn gates() -> Gates {
    Arc::new(PIECES.iter().map(|_| Gate::closed()).collect())
}

/// Answers streams; those of the users `before` and `during` piece by piece, each piece when its gate is opened.
fn provider(before: Gates, during: Gates) -> FakeUpstream {
    FakeUpstream::answering(move |request| {
        let body = request.json();
        if body["stream"] != true {
            return Reply::json(200, &json!({}));
        }
        let first = Reply::events([EVENT]);
        let later = match body["user"].as_str() {
            Some("before") => before.as_slice(),
            Some("during") => during.as_slice(),
            _ => &[],
        };
        later.iter().fold(first, |reply, gate| reply.step(Step::Wait(gate.clone())).send(EVENT))
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
    let whole = transcript.done && text.split_whitespace().count() == PIECES.len() + 1;
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

/// Streams that are open, each with the version that it began with.
#[derive(Default)]
struct Open(Vec<(LiveStream, String)>);

impl Open {
    async fn more(&mut self, client: &Client, user: &str, version: &str) {
        for _ in 0..BATCH {
            let mut stream = client.stream_with("model", "hi", json!({"user": user})).await;
            assert_eq!(stream.next_text().await.trim(), version, "what is listed as serving serves");
            self.0.push((stream, version.to_owned()));
        }
    }

    /// Reads all to their ends; says what was wrong.
    async fn finish(self) -> Vec<String> {
        let mut failures = Vec::new();
        for (stream, version) in self.0 {
            failures.extend(finish(stream, version).await.err());
        }
        failures
    }
}

/// Callers without a pause, until they are stopped.
struct Callers {
    tally: Arc<Tally>,
    tasks: Vec<JoinHandle<Result<(), String>>>,
}

impl Callers {
    fn start(gateway: &Gateway) -> Self {
        let tally = Arc::new(Tally::default());
        let tasks = (0..2).map(|_| tokio::spawn(load(gateway.client(), tally.clone()))).collect();
        Self { tally, tasks }
    }

    fn calls(&self) -> usize {
        self.tally.calls.load(Ordering::SeqCst)
    }

    /// Waits until they have made so many calls from now on.
    async fn make(&self, calls: usize) {
        let until = self.calls() + calls;
        let stopped = || self.tasks.iter().any(JoinHandle::is_finished);
        eventually("the callers to go on", || (self.calls() >= until || stopped()).then_some(())).await;
    }

    async fn stop(self) -> Vec<String> {
        self.tally.stop.store(true, Ordering::SeqCst);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.expect("no caller panics").err());
        }
        failures
    }
}

/// Of a sorted list.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent).div_ceil(100) - 1]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_of_plugin_and_configuration_under_load_fail_no_call_and_mix_no_stream() {
    let home = TempDir::new();
    let folder = home.path().join("plugins.d");
    fs::create_dir(&folder).expect("a folder can be made");
    let (plugin, file) = (folder.join("acme.wasm"), home.path().join("config.yml"));
    let versions: Vec<_> = (0..VERSIONS).map(|turn| versioned("acme", &marker(turn))).collect();
    let (before, during) = (gates(), gates());
    let upstream = provider(before.clone(), during.clone());
    replace(&plugin, &versions[0]);
    replace(&file, config(0, &upstream));
    let gateway = Gateway::with_file(&file, KEY).env("LITELLM_LOG", "WARNING").start().await;
    let client = gateway.client();
    serves(&client, &marker(0)).await;
    let callers = Callers::start(&gateway);

    // The same load without a swap: as many streams, and calls beside them.
    let mut streams = Open::default();
    for _ in 0..BATCHES {
        streams.more(&client, "before", &marker(0)).await;
    }
    callers.make(SETTLE).await;
    before.iter().for_each(Gate::open);
    let mut failures = streams.finish().await;
    callers.make(SETTLE).await;
    let resident_before = gateway.resident_kib();

    let mut streams = Open::default();
    let mut times = Vec::new();
    let (mut alive_at_most, mut resident_at_most) = (0, 0);
    for turn in 1..=SWAPS {
        if turn <= BATCHES {
            streams.more(&client, "during", &marker(turn - 1)).await;
        }
        let began = Instant::now();
        replace(&plugin, &versions[turn % VERSIONS]);
        replace(&file, config(turn, &upstream));
        serves(&client, &marker(turn)).await;
        times.push(began.elapsed());
        has_model(&client, &format!("turn-{turn}")).await;
        if let Some(piece) = PIECES.iter().position(|at| *at == turn) {
            alive_at_most = alive_at_most.max(versions_alive(&client).await);
            resident_at_most = resident_at_most.max(gateway.resident_kib());
            during[piece].open();
        }
    }
    failures.extend(streams.finish().await);
    eventually_async("old versions to be dropped", async || (versions_alive(&client).await == 1).then_some(())).await;
    callers.make(SETTLE).await;
    let resident_after = gateway.resident_kib();
    let (calls, slowest) = (callers.calls(), callers.tally.slowest_micros.load(Ordering::SeqCst) / 1000);
    failures.extend(callers.stop().await);

    times.sort();
    let (p50, p99, last) = (percentile(&times, 50), percentile(&times, 99), percentile(&times, 100));
    println!(
        "{calls} calls, the slowest {slowest} ms; from file to serving p50 {p50:?}, p99 {p99:?}, at most {last:?}; up to \
         {alive_at_most} versions at once; resident {resident_before} KiB before the first swap, {resident_at_most} KiB \
         with all streams, {resident_after} KiB after them"
    );
    assert!(failures.is_empty(), "{} failures: {failures:#?}", failures.len());
    assert!(calls > SWAPS + 3 * SETTLE, "there was load during the swaps: {calls} calls");
    // Those that the callers have just left may not be gone yet.
    let expected = BATCHES + 1..=BATCHES + 4;
    assert!(expected.contains(&alive_at_most), "streams keep their own version only: {alive_at_most}");
    let left = i64::try_from(resident_after).unwrap_or(0) - i64::try_from(resident_before).unwrap_or(0);
    assert!(left < LEFT_KIB, "{left} KiB are left of {SWAPS} swaps");
    assert!(p50 < USUALLY && last < AT_LAST, "from file to serving: p50 {p50:?}, at most {last:?}");
    assert_eq!(gateway.log().matches("ERROR").count(), 0, "{}", gateway.log());
}
