//! The gateway's own stages, from a client's bytes to the provider's and back, as far as no plugin runs in them.
//!
//! Each is a function that is set up once and then run many times: by divan for its time, under callgrind for its
//! instructions. A stage is what one call, or one read of a stream, costs.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ai_api::api::has_path;
use ai_api::auth::Authenticator as Keys;
use ai_api::canonical::{AnswerView, ChunkView, Edits, RequestBody};
use ai_api::config::Logging;
use ai_api::keys::Directory;
use ai_api::pipeline::outbound::outbound;
use ai_api::plugin::{HeaderResult, HttpRequest};
use ai_api::router::Router;
use ai_api::stream::{Decoder, push_data_frame};
use ai_api::telemetry;
use ai_api::upstream::{Authenticator, Base, Outbound, Placement, Redactor, Upstream, visible_headers};
use ai_api::usage::{Entry, ServedBy, Usage};
use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use tracing::Level;
use url::Url;

use crate::inputs::{self, bytes, canonical_answer, canonical_stream, long_prompt, prose, small_chat, streamed};
use crate::setup::{Connection, MASTER_KEY, PROVIDER_KEY, configuration, gateway_without_plugins, request, runtime};

/// What is measured, ready to be run again and again.
pub type Run = Box<dyn FnMut()>;

/// A stage.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// What it is called.
    pub name: &'static str,
    /// How often it is run for a count.
    pub times: u32,
    /// Sets it up.
    pub set_up: fn() -> anyhow::Result<Run>,
}

/// All of them, in the order in which a call meets them.
pub const STAGES: &[Stage] = &[
    stage("http: a path without a key or a model", 100, || {
        over_http(request("GET", "/health/liveliness", "", b""), "200")
    }),
    stage("http: a wrong key", 100, || over_http(chat("sk-wrong", &small_chat()), "401")),
    stage("http: chat, answer ready", 100, || over_http(chat(MASTER_KEY, &canned(small_chat())), "200")),
    stage("http: stream, answer ready", 100, || over_http(chat(MASTER_KEY, &canned(streamed(small_chat()))), "200")),
    stage("http: 100 KB prompt, answer ready", 20, || over_http(chat(MASTER_KEY, &canned(long_prompt(100))), "200")),
    stage("path", 1000, path),
    stage("key: right", 200, || key(MASTER_KEY, true)),
    stage("key: wrong", 200, || key("sk-wrong", false)),
    stage("current state", 1000, current_state),
    stage("model: by name", 1000, || model("anthropic")),
    stage("model: by pattern", 1000, || model("groq/llama-3.3-70b-versatile")),
    stage("request: read, small chat", 200, || read(small_chat())),
    stage("request: read, 100 KB", 20, || read(long_prompt(100))),
    stage("request: read, 400 KB", 10, || read(long_prompt(400))),
    stage("request: change, small chat", 200, || change(small_chat())),
    stage("request: change, 100 KB", 50, || change(long_prompt(100))),
    stage("plugin's request: check", 200, check),
    stage("credential: header", 200, || credential("native", Placement::Bearer, 0)),
    stage("credential: signature for AWS, 100 KB", 20, || {
        credential("signed", Placement::AwsSigV4 { service: "bedrock".to_owned() }, 100 << 10)
    }),
    stage("answer: headers a plugin may see", 200, seen_headers),
    stage("answer: look into", 200, look_into_answer),
    stage("secrets: look for, an event", 1000, || redact(100)),
    stage("secrets: look for, 100 KB", 20, || redact(100 << 10)),
    stage("stream: 1 event apart", 500, || decode(1)),
    stage("stream: 16 events apart", 100, || decode(16)),
    stage("stream: look into a chunk", 500, look_into_chunk),
    stage("stream: 16 chunks framed", 200, encode),
    stage("account: a line of the log", 100, account),
];

const fn stage(name: &'static str, times: u32, set_up: fn() -> anyhow::Result<Run>) -> Stage {
    Stage { name, times, set_up }
}

/// Runs what the compiler can't see through.
fn again<T>(mut run: impl FnMut() -> T + 'static) -> Run {
    Box::new(move || {
        black_box(run());
    })
}

fn chat(key: &str, body: &Value) -> Vec<u8> {
    request("POST", "/v1/chat/completions", key, &bytes(body))
}

/// The same call to a model whose answer is in the configuration.
fn canned(mut body: Value) -> Value {
    if let Some(body) = body.as_object_mut() {
        body.insert("model".to_owned(), "canned".into());
    }
    body
}

/// From a client's bytes to the answer's, over a connection that stays open; the client's own part is a few copies.
fn over_http(request: Vec<u8>, status: &'static str) -> anyhow::Result<Run> {
    start_log()?;
    let runtime = runtime()?;
    let mut connection = {
        let _inside = runtime.enter();
        Connection::open(gateway_without_plugins()?)
    };
    let mut ask = move || -> anyhow::Result<()> {
        let line = runtime.block_on(connection.ask(black_box(&request)))?;
        ensure!(line.contains(status), "answered {line} instead of {status}");
        Ok(())
    };
    ask()?;
    Ok(Box::new(move || ask().expect("it answers as it did before")))
}

fn path() -> anyhow::Result<Run> {
    ensure!(has_path(&Method::POST, "/v1/chat/completions"));
    Ok(again(|| has_path(black_box(&Method::POST), black_box("/v1/chat/completions"))))
}

fn key(key: &str, right: bool) -> anyhow::Result<Run> {
    let keys = Keys::new(&configuration("http://127.0.0.1:9")?.config.general);
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_static("gateway:4000"));
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))?);
    let directory = Directory::default();
    ensure!(keys.authenticate(&headers, &directory).now_or_never().is_some_and(|who| who.is_ok()) == right);
    Ok(again(move || keys.authenticate(black_box(&headers), &directory).now_or_never()))
}

fn current_state() -> anyhow::Result<Run> {
    let gateway = gateway_without_plugins()?;
    Ok(again(move || gateway.live.state()))
}

fn model(name: &'static str) -> anyhow::Result<Run> {
    let router = Router::new(&configuration("http://127.0.0.1:9")?.config, None);
    ensure!(router.resolve(name).is_ok());
    Ok(again(move || router.resolve(black_box(name))))
}

fn read(body: Value) -> anyhow::Result<Run> {
    let body = Bytes::from(bytes(&body));
    RequestBody::parse(body.clone())?;
    Ok(again(move || RequestBody::parse(black_box(body.clone()))))
}

/// As for every call to a provider: the model's name is another, and what is the gateway's own is left out.
fn change(body: Value) -> anyhow::Result<Run> {
    let body = RequestBody::parse(Bytes::from(bytes(&body)))?;
    let run = move || {
        let mut edits = Edits::default();
        edits.set("model", "\"gpt-4o-2024-08-06\"");
        ["timeout", "num_retries", "mock_response", "drop_params", "metadata"].iter().for_each(|key| edits.remove(key));
        edits.set_default("user", "\"team\"");
        edits.apply(black_box(&body))
    };
    ensure!(run().windows(8).any(|window| window == b"gpt-4o-2"));
    Ok(again(run))
}

fn check() -> anyhow::Result<Run> {
    let base = Base::new(Url::parse("https://api.anthropic.com")?);
    let placement = Placement::Header(HeaderName::from_static("x-api-key"));
    let header = |name: &str, value: &str| HeaderResult { name: name.to_owned(), value: value.to_owned() };
    let headers = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
    let run = move || {
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: "v1/messages".to_owned(),
            query: Vec::new(),
            headers: headers.map(|(name, value)| header(name, value)).to_vec(),
            body: Vec::new(),
        };
        outbound(black_box(&placement), black_box(&base), request)
    };
    run().map_err(anyhow::Error::msg)?;
    Ok(again(run))
}

fn credential(model: &str, placement: Placement, body: usize) -> anyhow::Result<Run> {
    let config = configuration("http://127.0.0.1:9")?.config;
    let deployment = config.deployments.iter().find(|deployment| deployment.model_name == model);
    let deployment = deployment.context("the configuration has the model")?;
    let url = Url::parse("http://127.0.0.1:9/openai/v1/chat/completions")?;
    let authenticator = Upstream::new(std::time::Duration::from_secs(10))?
        .authenticator(&placement, deployment, Some(&url))
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let (runtime, body) = (runtime()?, Bytes::from(prose(body)));
    let run = move || -> (HeaderMap, bool) {
        let mut request =
            Outbound { method: Method::POST, url: url.clone(), headers: HeaderMap::new(), body: body.clone() };
        let apply = Authenticator::apply(&authenticator, &mut request, Duration::from_secs(1));
        let applied = runtime.block_on(apply).is_ok();
        (request.headers, applied)
    };
    ensure!(matches!(run(), (headers, true) if headers.contains_key(header::AUTHORIZATION)));
    Ok(again(run))
}

/// A provider's headers: more than a dozen, as they send them.
fn answer_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("date", "Mon, 05 Jan 2026 16:04:30 GMT"),
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("server", "cloudflare"),
        ("request-id", "req_011CWoXxvB2m1nWJ5h1dYvqe"),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "2026-01-05T16:04:30Z"),
        ("anthropic-ratelimit-input-tokens-limit", "400000"),
        ("anthropic-ratelimit-input-tokens-remaining", "399000"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("set-cookie", "_cfuvid=abc; path=/; HttpOnly"),
        ("x-envoy-upstream-service-time", "512"),
        ("cf-ray", "9b93d7c6fd2a1e5c-SJC"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

fn seen_headers() -> anyhow::Result<Run> {
    let headers = answer_headers();
    Ok(Box::new(move || drop(black_box(visible_headers(black_box(&headers))))))
}

fn look_into_answer() -> anyhow::Result<Run> {
    let body = bytes(&canonical_answer());
    let run = move || AnswerView::parse(black_box(&body)).and_then(|view| view.usage());
    ensure!(run().is_some());
    Ok(again(run))
}

fn redact(length: usize) -> anyhow::Result<Run> {
    let redactor = Redactor::new([PROVIDER_KEY]);
    let text = Bytes::from(prose(length));
    ensure!(redactor.finds(PROVIDER_KEY.as_bytes()));
    Ok(again(move || redactor.clean(black_box(text.clone()))))
}

fn decode(events: usize) -> anyhow::Result<Run> {
    let stream: Vec<_> = canonical_stream().into_iter().take(events).collect();
    let wire = inputs::sse(&stream);
    let (mut decoder, mut out) = (Decoder::sse(), Vec::new());
    let mut run = move || {
        out.clear();
        let decoded = decoder.push(black_box(&wire), &mut out);
        decoded.map(|()| out.len())
    };
    ensure!(run() == Ok(events));
    Ok(again(run))
}

fn look_into_chunk() -> anyhow::Result<Run> {
    let (_, chunk) = canonical_stream().into_iter().next().context("a stream has chunks")?;
    let run = move || {
        let view = ChunkView::parse(black_box(&chunk))?;
        Some((view.usage(), view.is_error(), view.choices(), view.is_usage_only()))
    };
    ensure!(run().is_some());
    Ok(again(run))
}

fn encode() -> anyhow::Result<Run> {
    let chunks: Vec<Vec<u8>> = canonical_stream().into_iter().take(16).map(|(_, chunk)| chunk).collect();
    let mut out = Vec::new();
    Ok(again(move || {
        out.clear();
        chunks.iter().for_each(|chunk| push_data_frame(&mut out, black_box(chunk)));
        out.len()
    }))
}

/// The gateway's log, written to nowhere. A second stage finds the first one's.
fn start_log() -> anyhow::Result<()> {
    let logging = Logging { json: true, log_raw_request_response: false, level: Level::INFO };
    // It would wait for the last line when dropped, and there is always one more.
    std::mem::forget(telemetry::start_into(&logging, std::io::sink(), false)?);
    Ok(())
}

/// The log's line for a call.
fn account() -> anyhow::Result<Run> {
    start_log()?;
    let served_by = Arc::new(ServedBy {
        deployment: "0f6c3f5e9a7c".to_owned(),
        provider: "anthropic".to_owned(),
        model: "claude-sonnet-4-5".to_owned(),
    });
    let usage = json!({"usage": {"prompt_tokens": 351, "completion_tokens": 152}}).to_string();
    let usage: Option<Usage> = AnswerView::parse(usage.as_bytes()).and_then(|view| view.usage());
    let runtime = runtime()?;
    Ok(Box::new(move || {
        // Its clock is tokio's.
        let _inside = runtime.enter();
        let id = "8c5f3e1c-2b7a-4f0e-9d53-0a6a3f1f7c11".to_owned();
        let mut entry = Entry::new(id, "POST", "/v1/chat/completions");
        entry.model = Some("the-model".to_owned());
        entry.served_by = Some(ServedBy::clone(&served_by));
        (entry.status, entry.usage) = (200, usage);
        entry.mark_first_byte();
        entry.complete();
    }))
}
