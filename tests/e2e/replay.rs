//! What providers really answered reaches an OpenAI client with its meaning, however the network cuts it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ai_api_e2e::{Answer, Client, Event, FakeUpstream, Gateway, Meaning, Recording, Reply, Rng, Wire, recordings};
use serde_json::{Value, json};

use crate::exceptions::Findings;
use crate::trio::caught;

const VENDORS: [&str; 9] =
    ["groq", "mistral", "deepseek", "openrouter", "together", "xai", "perplexity", "cerebras", "ollama"];
const OPERATIONS: [&str; 8] = [
    "chat",
    "completions",
    "embeddings",
    "images",
    "messages",
    "generateContent",
    "streamGenerateContent",
    "batchEmbedContents",
];

#[tokio::test]
async fn openai_answers_reach_the_client_unchanged() {
    replay(&["openai"]).await;
}

#[tokio::test]
async fn anthropic_answers_reach_the_client_with_their_meaning() {
    replay(&["anthropic"]).await;
}

#[tokio::test]
async fn gemini_answers_reach_the_client_with_their_meaning() {
    replay(&["gemini"]).await;
}

#[tokio::test]
async fn answers_of_openai_compatible_vendors_reach_the_client_unchanged() {
    replay(&VENDORS).await;
}

#[tokio::test]
async fn a_stream_means_the_same_wherever_the_network_cuts_it() {
    // Pieces of up to so many bytes; every other run has a client that doesn't ask for usage.
    for (seed, longest) in [(1, 7), (2, 60), (3, 700), (4, 9000)] {
        let usage_asked = seed % 2 == 0;
        replay_streams(usage_asked, |body| {
            (longest > 20 || body.len() < 30_000).then(|| Rng::new(seed).pieces(body, longest))
        })
        .await;
    }
}

#[tokio::test]
async fn a_stream_means_the_same_when_it_comes_byte_by_byte() {
    replay_streams(true, |body| (body.len() < 5_000).then(|| body.iter().map(|byte| vec![*byte]).collect())).await;
}

/// Serves each recording of `providers` whole and compares what the client gets.
async fn replay(providers: &[&str]) {
    let Some(stage) = Stage::new(|recording| providers.contains(&recording.provider.as_str())).await else { return };
    let mut findings = known();
    for recording in stage.recordings.values() {
        stage.serve(recording, vec![recording.body()]);
        findings.note(&recording.id, stage.check(recording, true).await);
    }
    findings.conclude();
}

/// Serves each recorded stream in the pieces that `cut` makes of it, where it makes any.
async fn replay_streams(usage_asked: bool, cut: impl Fn(&[u8]) -> Option<Vec<Vec<u8>>>) {
    let Some(stage) = Stage::new(Recording::answers_with_stream).await else { return };
    let mut findings = known();
    for recording in stage.recordings.values().filter(|recording| !known().is_known(&recording.id)) {
        if let Some(pieces) = cut(&recording.body()) {
            stage.serve(recording, pieces);
            findings.note(&recording.id, stage.check(recording, usage_asked).await);
        }
    }
    findings.conclude();
}

/// Whether this gateway serves what was recorded.
pub(crate) fn in_scope(recording: &Recording) -> bool {
    let provider = recording.provider.as_str();
    let served = ["openai", "anthropic", "gemini"].contains(&provider) || VENDORS.contains(&provider);
    served && OPERATIONS.contains(&recording.operation.as_str())
}

pub(crate) fn known() -> Findings {
    Findings::new("tests/e2e/replay_exceptions.tsv", include_str!("replay_exceptions.tsv"))
}

/// One gateway with a deployment for each recording, and one upstream that tells them apart by path.
struct Stage {
    recordings: BTreeMap<String, Recording>,
    replies: Arc<Mutex<BTreeMap<String, Reply>>>,
    upstream: FakeUpstream,
    client: Client,
    _gateway: Gateway,
}

impl Stage {
    async fn new(wanted: impl Fn(&Recording) -> bool) -> Option<Self> {
        let recordings: BTreeMap<String, Recording> = recordings()?
            .into_iter()
            .filter(|recording| in_scope(recording) && wanted(recording))
            .map(|recording| (recording.id.clone(), recording))
            .collect();
        let replies: Arc<Mutex<BTreeMap<String, Reply>>> = Arc::default();
        let script = Arc::clone(&replies);
        let upstream = FakeUpstream::answering(move |request| {
            let id = request.path.split('/').nth(1).unwrap_or_default();
            script.lock().expect("no test panics inside").get(id).cloned().unwrap_or_else(|| Reply::status(404))
        });
        let builder = recordings.values().fold(Gateway::builder(), |builder, recording| {
            let base = wire(recording).base_of(&format!("{}/{}", upstream.origin(), recording.id));
            builder.model(&recording.id, &deployed(recording), &base)
        });
        let gateway = builder.start().await;
        Some(Self { recordings, replies, upstream, client: gateway.client(), _gateway: gateway })
    }

    fn serve(&self, recording: &Recording, pieces: Vec<Vec<u8>>) {
        let mut replies = self.replies.lock().expect("no test panics inside");
        replies.insert(recording.id.clone(), recording.reply(pieces));
    }

    /// Calls the gateway and says what is wrong with the answer.
    async fn check(&self, recording: &Recording, usage_asked: bool) -> Vec<String> {
        let hits = self.upstream.hits();
        let problems = caught(call(self.client.clone(), recording.clone(), usage_asked)).await;
        let mut problems = problems.unwrap_or_else(|panic| vec![panic]);
        if problems.is_empty() && self.upstream.hits() != hits + 1 {
            problems.push(format!("{} requests reached the upstream", self.upstream.hits() - hits));
        }
        if problems.is_empty() && !self.upstream.last().path.ends_with(&arrives_at(recording)) {
            problems.push(format!("arrived at {}", self.upstream.last().path));
        }
        problems
    }
}

async fn call(client: Client, recording: Recording, usage_asked: bool) -> Vec<String> {
    let body = request(&recording, usage_asked);
    if recording.answers_with_stream() {
        return stream(&client, &recording, &body, usage_asked).await;
    }
    let answer = client.post(endpoint(&recording), &body).await;
    match recording.kind() {
        "error" => error(&answer, recording.expected()),
        "embeddings" => embeddings(&answer, &recording),
        _ if native(&recording) => unchanged(&answer, &recording),
        _ => Meaning::of_answer(&answer.ok()).differences(recording.expected()),
    }
}

async fn stream(client: &Client, recording: &Recording, body: &Value, usage_asked: bool) -> Vec<String> {
    let mut stream = client.open(endpoint(recording), body).await;
    let transcript = stream.transcript().await;
    if recording.kind() == "stream_error" {
        let message = transcript.error.unwrap_or_default()["message"].as_str().unwrap_or_default().to_owned();
        let expected = recording.expected()["message"].as_str().unwrap_or_default();
        let fine = message.contains(expected) && !transcript.done;
        return if fine { Vec::new() } else { vec![format!("error {message:?}, [DONE]: {}", transcript.done)] };
    }
    let mut expected = recording.expected().clone();
    if !usage_asked {
        for field in ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"] {
            expected[field] = Value::Null;
        }
    }
    let mut problems = transcript.meaning().differences(&expected);
    if !native(recording) {
        problems.extend(transcript.flaws(usage_asked));
    } else if recording.provider == "openai" && usage_asked {
        if without_cost(&stream.text()).as_bytes() != recording.body() {
            problems.push(format!("the bytes are not the provider's: {}", stream.text()));
        }
    } else {
        let events = |bytes: &[u8]| -> Vec<Value> {
            Event::all(bytes).iter().filter_map(|event| shown(event, usage_asked)).collect()
        };
        // Perplexity ends its streams without `[DONE]`; the client gets one.
        if !transcript.done || events(stream.bytes()) != events(&recording.body()) {
            problems.push(format!("the events are not the provider's: {}", stream.text()));
        }
    }
    problems
}

/// The stream without what the gateway adds to its usage: what the call cost, where the model has a price.
fn without_cost(text: &str) -> String {
    match text.split_once(",\"cost\":") {
        Some((before, after)) => before.to_owned() + after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'),
        None => text.to_owned(),
    }
}

/// An event as a client sees it that asked for usage or didn't; nothing for the event that only carries usage, and
/// for `[DONE]`.
fn shown(event: &Event, usage_asked: bool) -> Option<Value> {
    if event.is_done() {
        return None;
    }
    let Ok(mut chunk) = serde_json::from_str::<Value>(&event.data) else { return Some(json!(event.data)) };
    if !usage_asked {
        let empty = chunk["choices"].as_array().is_some_and(Vec::is_empty) && chunk["usage"].is_object();
        if empty {
            return None;
        }
        chunk.as_object_mut()?.shift_remove("usage");
    }
    Some(chunk)
}

fn unchanged(answer: &Answer, recording: &Recording) -> Vec<String> {
    let recorded = &recording.file["response"]["body_json"];
    let mut problems = Vec::new();
    if answer.ok() != *recorded {
        problems.push(format!("changed: {}", answer.text()));
    }
    if recording.kind() == "chat" {
        problems.extend(Meaning::of_answer(&answer.json()).differences(recording.expected()));
    }
    problems
}

fn error(answer: &Answer, expected: &Value) -> Vec<String> {
    let statuses = [&expected["status"]].into_iter().chain(expected["also"]["status"].as_array().into_iter().flatten());
    let message = answer.message();
    let wanted = expected["message"].as_str().unwrap_or_default();
    let mut problems = Vec::new();
    if !statuses.into_iter().any(|status| *status == answer.status) {
        problems.push(format!("status {}, expected {}", answer.status, expected["status"]));
    }
    if !message.contains(wanted) {
        problems.push(format!("message {message:?} lacks {wanted:?}"));
    }
    problems
}

fn embeddings(answer: &Answer, recording: &Recording) -> Vec<String> {
    let (answer, expected) = (answer.ok(), recording.expected());
    let vectors = answer["data"].as_array().cloned().unwrap_or_default();
    let dimensions = vectors.first().map(|vector| match &vector["embedding"] {
        // Base64 of 4 bytes a number.
        Value::String(text) => text.trim_end_matches('=').len() * 6 / 8 / 4,
        numbers => numbers.as_array().map_or(0, Vec::len),
    });
    let found = [
        ("vectors", json!(vectors.len())),
        ("dimensions", json!(dimensions)),
        ("prompt_tokens", answer["usage"]["prompt_tokens"].clone()),
    ];
    let wrong = found.iter().filter(|(field, got)| !expected[field].is_null() && expected[field] != *got);
    let mut problems: Vec<String> = wrong.map(|(field, got)| format!("{field}: {got}")).collect();
    if native(recording) && answer != recording.file["response"]["body_json"] {
        problems.push("changed".to_owned());
    }
    problems
}

/// The OpenAI request that has the recorded answer: the recorded one where it is OpenAI's.
fn request(recording: &Recording, usage_asked: bool) -> Value {
    let mut body = if native(recording) {
        recording.request().clone()
    } else if recording.operation == "batchEmbedContents" {
        let count = recording.expected()["vectors"].as_u64().unwrap_or(1) as usize;
        json!({"input": vec!["x"; count]})
    } else {
        let mut body = json!({"messages": [{"role": "user", "content": "Hello"}], "stream": recording.stream});
        let tools = recording.tools();
        if !tools.is_empty() {
            body["tools"] = json!(tools);
        }
        body
    };
    body["model"] = json!(recording.id);
    let fields = body.as_object_mut().expect("a request is an object");
    fields.shift_remove("stream_options");
    if recording.stream && usage_asked {
        fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    body
}

fn endpoint(recording: &Recording) -> &'static str {
    match recording.operation.as_str() {
        "completions" => "/v1/completions",
        "embeddings" | "batchEmbedContents" => "/v1/embeddings",
        "images" => "/v1/images/generations",
        _ => "/v1/chat/completions",
    }
}

/// The end of the path at which the call must arrive.
fn arrives_at(recording: &Recording) -> String {
    match wire(recording) {
        Wire::OpenAi => endpoint(recording).to_owned(),
        Wire::Anthropic => "/v1/messages".to_owned(),
        Wire::Gemini => format!("/v1beta/models/{}:{}", recording.model, recording.operation),
    }
}

fn native(recording: &Recording) -> bool {
    wire(recording) == Wire::OpenAi
}

fn wire(recording: &Recording) -> Wire {
    match recording.provider.as_str() {
        "anthropic" => Wire::Anthropic,
        "gemini" => Wire::Gemini,
        _ => Wire::OpenAi,
    }
}

/// `provider/model` as an operator would write it.
fn deployed(recording: &Recording) -> String {
    let prefix = match recording.provider.as_str() {
        "together" => "together_ai",
        // Its own prefix means its own API.
        "ollama" => "openai",
        provider => provider,
    };
    format!("{prefix}/{}", recording.model)
}
