//! An application that calls the gateway as it would call OpenAI.

use std::collections::VecDeque;
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::eventually::within;
use crate::sse::{Decoder, Event};
use crate::transcript::Transcript;

static CRYPTO: Once = Once::new();

/// A client with a base URL and a key.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// All of them.
    pub headers: HeaderMap,
    /// As it came.
    pub body: Bytes,
}

/// An answer that is read piece by piece.
#[derive(Debug)]
pub struct LiveStream {
    /// HTTP status.
    pub status: u16,
    /// All of them.
    pub headers: HeaderMap,
    response: Response,
    decoder: Decoder,
    waiting: VecDeque<Event>,
    bytes: Vec<u8>,
}

// === impl Client ===

impl Client {
    /// A client of `base`, which is `http://127.0.0.1:PORT`, perhaps with a prefix.
    pub fn new(base: &str, key: &str) -> Self {
        Self { http: http().build().expect("a plain client builds"), base: base.to_owned(), key: key.to_owned() }
    }

    /// The same, over HTTP/2 without TLS and without asking first.
    pub fn http2(&self) -> Self {
        Self { http: http().http2_prior_knowledge().build().expect("a plain client builds"), ..self.clone() }
    }

    /// The same, with an answer's first `bytes` only while nobody reads them.
    pub fn http2_with_window(&self, bytes: u32) -> Self {
        let http = http().http2_prior_knowledge().http2_initial_stream_window_size(bytes);
        Self { http: http.build().expect("a plain client builds"), ..self.clone() }
    }

    /// The same below a path prefix.
    pub fn below(&self, prefix: &str) -> Self {
        Self { base: format!("{}{prefix}", self.base), ..self.clone() }
    }

    /// The same with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// A request without any key.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// A request with the key as OpenAI clients send it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("authorization", format!("Bearer {}", self.key))
    }

    /// `GET path`
    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::to(with_json(self.request(Method::POST, path), body.to_string())).await
    }

    /// `POST path` with a body that may be anything.
    pub async fn post_raw(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        Answer::to(with_json(self.request(Method::POST, path), body.into())).await
    }

    /// One user message, answered whole.
    pub async fn chat(&self, model: &str, prompt: &str) -> Answer {
        self.post("/v1/chat/completions", &chat_body(model, prompt, json!({}))).await
    }

    /// The same with more fields in the body.
    pub async fn chat_with(&self, model: &str, prompt: &str, more: Value) -> Answer {
        self.post("/v1/chat/completions", &chat_body(model, prompt, more)).await
    }

    /// One user message, answered as a stream.
    pub async fn stream(&self, model: &str, prompt: &str) -> LiveStream {
        self.stream_with(model, prompt, json!({})).await
    }

    /// The same with more fields in the body.
    pub async fn stream_with(&self, model: &str, prompt: &str, more: Value) -> LiveStream {
        let mut body = chat_body(model, prompt, more);
        body["stream"] = json!(true);
        self.open("/v1/chat/completions", &body).await
    }

    /// `POST path`, the answer piece by piece.
    pub async fn open(&self, path: &str, body: &Value) -> LiveStream {
        let request = with_json(self.request(Method::POST, path), body.to_string());
        let response = within("the head of a stream", request.send()).await.expect("the gateway answers");
        LiveStream {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            response,
            decoder: Decoder::default(),
            waiting: VecDeque::new(),
            bytes: Vec::new(),
        }
    }
}

// === impl Answer ===

impl Answer {
    /// Sends a request and reads its whole answer.
    pub async fn to(request: RequestBuilder) -> Self {
        let response = within("an answer", request.send()).await.expect("the gateway answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = within("the rest of an answer", response.bytes()).await.expect("a whole body");
        Self { status, headers, body }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        text_header(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("status {}, no JSON: {error}: {}", self.status, self.text()))
    }

    /// The body of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// The text of the first choice.
    pub fn content(&self) -> String {
        self.ok()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// The `error` object of a failure, which must have OpenAI's shape.
    pub fn error(&self) -> Value {
        assert!(self.status >= 400, "expected an error, got {}: {}", self.status, self.text());
        let content_type = self.header("content-type").unwrap_or_default();
        assert!(
            content_type.starts_with("application/json"),
            "an error is JSON, not {content_type:?}: {}",
            self.text()
        );
        let error = self.json()["error"].clone();
        check_error(&error);
        error
    }

    /// The message of a failure.
    pub fn message(&self) -> String {
        self.error()["message"].as_str().unwrap_or_default().to_owned()
    }
}

// === impl LiveStream ===

impl LiveStream {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        text_header(&self.headers, name)
    }

    /// Some more bytes, of whatever it is that comes; nothing at the end.
    pub async fn piece(&mut self) -> Option<Bytes> {
        within("more bytes", self.response.chunk()).await.expect("it comes whole")
    }

    /// The next event, as soon as it is here; nothing at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let piece = within("the next event", self.response.chunk()).await;
            let Some(piece) = piece.expect("a stream ends in order, even after an error") else {
                assert!(self.decoder.rest().is_empty(), "half an event at the end: {:?}", self.text());
                return None;
            };
            self.bytes.extend_from_slice(&piece);
            self.waiting.extend(self.decoder.push(&piece));
        }
    }

    /// The next event's JSON.
    pub async fn next_chunk(&mut self) -> Value {
        let event = self.next().await.expect("another event");
        serde_json::from_str(&event.data).unwrap_or_else(|error| panic!("no JSON: {error}: {}", event.data))
    }

    /// Reads on to the next text; gives it.
    pub async fn next_text(&mut self) -> String {
        loop {
            let chunk = self.next_chunk().await;
            assert!(chunk["error"].is_null(), "{chunk}");
            if let Some(text) = chunk["choices"][0]["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
                return text.to_owned();
            }
        }
    }

    /// Reads to the end and puts everything together.
    pub async fn transcript(&mut self) -> Transcript {
        let content_type = self.header("content-type").unwrap_or_default().to_owned();
        if self.status != 200 || !content_type.starts_with("text/event-stream") {
            while let Ok(Some(piece)) = self.response.chunk().await {
                self.bytes.extend_from_slice(&piece);
            }
            panic!("no stream: status {}, {content_type}: {}", self.status, self.text());
        }
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        Transcript::of(events)
    }

    /// Reads the answer to a stream that never began.
    pub async fn answer(self) -> Answer {
        let body = within("the rest of an answer", self.response.bytes()).await.expect("a whole body");
        Answer { status: self.status, headers: self.headers, body }
    }

    /// All bytes read so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All bytes read so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Panics unless `error` is an OpenAI error object.
pub fn check_error(error: &Value) {
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "no message: {error}");
    assert!(error["type"].is_string(), "no type: {error}");
    for key in ["param", "code"] {
        assert!(error.as_object().is_some_and(|error| error.contains_key(key)), "no {key}: {error}");
        assert!(error[key].is_null() || error[key].is_string(), "{key} is neither null nor text: {error}");
    }
}

fn http() -> reqwest::ClientBuilder {
    // Never used, but a client doesn't build without.
    CRYPTO.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(none).no_proxy().timeout(Duration::from_secs(60))
}

fn with_json(request: RequestBuilder, body: impl Into<reqwest::Body>) -> RequestBuilder {
    request.header("content-type", "application/json").body(body)
}

fn chat_body(model: &str, prompt: &str, more: Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": prompt}]});
    for (key, value) in more.as_object().expect("more fields are an object") {
        body[key.as_str()] = value.clone();
    }
    body
}

fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().expect("a header is text"))
}
