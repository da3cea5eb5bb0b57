//! A provider that shows what a plugin is given, and that searches its own memory for secrets.
//!
//! One component has one manifest, so there is a component for each kind of credential: `tests/guests/probe-*` say what
//! is special about theirs and take the rest from here. The model's name says what to do:
//!
//! - `echo`: asks the upstream and answers with all that was seen;
//! - `params`: answers at once with `call.params` and the body;
//! - `scan`: asks the upstream, then looks for what the prompt says, see [`scan`];
//! - `again:N`: asks N times more before it is content;
//! - `header:NAME`, `query:NAME`: asks with a header or a query parameter of that name.

pub mod scan;

use std::marker::PhantomData;

use ai_api_plugin_sdk::serde_json::{self, Value, json};
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, FollowUp, Framing, Header, HttpRequest,
    HttpResponse, Manifest, Operation, Provider, Reading, Settled, Support,
};

use scan::Needle;

/// What is special about one probe.
pub trait Kind: 'static {
    /// Its manifest's name.
    const NAME: &'static str;
    /// Its manifest's base URL.
    const BASE_URL: &'static str;
    /// Its manifest's parameters.
    const PARAMETERS: &'static [&'static str];
    /// How its upstream streams.
    const FRAMING: Framing;

    /// Its manifest's credential.
    fn credential() -> Credential;
}

/// One call.
#[derive(Debug)]
pub struct Probe<K> {
    task: String,
    prompt: String,
    seen: String,
    rounds_left: u32,
    streaming: bool,
    kind: PhantomData<K>,
}

impl<K: Kind> Provider for Probe<K> {
    fn manifest() -> Manifest {
        Manifest {
            name: K::NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: K::BASE_URL.to_owned(),
            credential: K::credential(),
            operations: vec![Support { operation: Operation::ChatCompletions, native: None, translated: Vec::new() }],
            parameters: K::PARAMETERS.iter().map(|&name| name.to_owned()).collect(),
            reusable: false,
        }
    }

    fn begin(call: Call) -> Result<Begin<Self>, Failure> {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let (task, argument) = call.model.split_once(':').unwrap_or((&call.model, ""));
        let exchange = Self {
            task: task.to_owned(),
            prompt: body.pointer("/messages/0/content").and_then(Value::as_str).unwrap_or_default().to_owned(),
            seen: format!("{:?}", call.params),
            rounds_left: argument.parse().unwrap_or(0),
            streaming: call.streaming,
            kind: PhantomData,
        };
        let begun = match task {
            "params" => {
                let params: serde_json::Map<String, Value> =
                    call.params.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
                Begun::Reply(completion(&json!({"params": params, "body": body}).to_string()))
            }
            _ => Begun::Send(request(task, argument, call.body)),
        };
        Ok(Begin { exchange, begun, warnings: Vec::new() })
    }

    fn head(&mut self, status: u16, headers: &[Header]) -> Result<Reading, Failure> {
        self.seen.push_str(&format!(" head {status} {headers:?}"));
        let streams = self.streaming && status == 200;
        Ok(if streams { Reading::Events(K::FRAMING) } else { Reading::Whole })
    }

    fn streaming(&self) -> bool {
        self.streaming
    }

    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure> {
        let body = String::from_utf8_lossy(&response.body);
        self.seen.push_str(&format!(" whole {} {:?} {body}", response.status, response.headers));
        Ok(completion(&self.findings()))
    }

    fn settle(&mut self, response: HttpResponse) -> Result<Settled, Failure> {
        if self.rounds_left == 0 {
            return self.whole(response).map(Settled::Done);
        }
        self.rounds_left -= 1;
        let again = request("GET", "", Vec::new());
        let request = HttpRequest { method: "GET".to_owned(), path: format!("jobs/{}", self.rounds_left), ..again };
        Ok(Settled::Again(FollowUp { request, after_ms: 0 }))
    }

    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        for event in &events {
            self.seen.push_str(&format!(" event {:?} {}", event.name, String::from_utf8_lossy(&event.data)));
        }
        Ok(Batch { chunks: vec![chunk(".", None)], usage: None, done: false })
    }

    fn end(&mut self, ending: Ending) -> Result<Batch, Failure> {
        self.seen.push_str(&format!(" end {ending:?}"));
        Ok(Batch { chunks: vec![chunk(&self.findings(), Some("stop"))], usage: None, done: true })
    }
}

impl<K> Probe<K> {
    /// What was seen; for `scan`, which of the prompt's needles, separated by commas, are in the memory.
    fn findings(&self) -> String {
        if self.task != "scan" {
            return self.seen.clone();
        }
        let needles = self.prompt.split(',').map(Needle::of_hex);
        let found: Vec<Value> = needles.map(|needle| needle.map(|needle| needle.is_in_memory()).into()).collect();
        json!({"found": found, "memory": scan::memory_bytes()}).to_string()
    }
}

fn request(task: &str, argument: &str, body: Vec<u8>) -> HttpRequest {
    let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
    let mut headers =
        vec![header("content-type", "application/json"), header("x-amzn-bedrock-trace", "ENABLED  please")];
    let mut query = vec![("mode".to_owned(), "a b+c/ü~*'".to_owned()), ("Alt".to_owned(), String::new())];
    match task {
        "header" => headers.push(header(argument, "smuggled")),
        "query" => query.push((argument.to_owned(), "smuggled".to_owned())),
        _ => {}
    }
    HttpRequest {
        method: "POST".to_owned(),
        path: "model/some.model-v1:0%20x/converse".to_owned(),
        query,
        headers,
        body,
    }
}

fn completion(text: &str) -> Completion {
    let answer = json!({
        "id": "chatcmpl-probe", "object": "chat.completion", "created": 1, "model": "probe",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    });
    Completion { body: answer.to_string().into_bytes(), usage: None }
}

fn chunk(text: &str, finish_reason: Option<&str>) -> Vec<u8> {
    let chunk = json!({
        "id": "chatcmpl-probe", "object": "chat.completion.chunk", "created": 1, "model": "probe",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
    });
    chunk.to_string().into_bytes()
}
