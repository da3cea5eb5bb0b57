//! A small provider that does everything right but for one thing, which a word in its bytes names.
//!
//! Tests replace the word (`tests/src/versioned.rs`) and see that the conformance suite fails the check of that thing,
//! and no other. Its wire: the canonical request as it is; `{"text": …}` whole; events `{"text": …}` and, at the end,
//! `{"done": true}`.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ai_api_plugin_sdk::serde_json::{self, Value, json};
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, Header, HttpRequest, HttpResponse,
    Manifest, Operation, Provider, Support, Usage, export_provider, failure,
};

/// What it does carelessly; dots at the end don't count.
const WORD: &str = "CARELESS-NEVER........";
/// The name by which models are prefixed; dots at the end don't count.
const NAME: &str = "careless-guest";
/// Tokens of every answer, in digits.
const TOKENS: &str = "TOKENS-0002";

/// Calls that this instance has begun.
static BEGUN: AtomicU32 = AtomicU32::new(0);

/// One call.
#[derive(Debug)]
pub struct Careless {
    call: Call,
    /// Whether the stream has a chunk already: the role is in the first one.
    spoke: bool,
}

export_provider!(Careless);

/// Whether this is the thing.
fn is_careless(of: &str) -> bool {
    black_box(WORD).trim_start_matches("CARELESS-").trim_end_matches('.') == of
}

impl Provider for Careless {
    fn manifest() -> Manifest {
        let support = |native: Option<&str>, translated: &[&str]| Support {
            operation: Operation::ChatCompletions,
            native: native.map(str::to_owned),
            translated: translated.iter().map(|&prefix| prefix.to_owned()).collect(),
        };
        let operations = match () {
            () if is_careless("TWICE") => vec![support(None, &[]), support(None, &[])],
            () if is_careless("CLIMBS") => vec![support(Some("../admin"), &["own"])],
            () if is_careless("ALL-PREFIX") => vec![support(Some("chat"), &["own", ""])],
            () if is_careless("NO-NATIVE") => vec![support(None, &["own"])],
            () => vec![support(None, &[])],
        };
        Manifest {
            name: black_box(NAME).trim_end_matches('.').to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: String::new(),
            credential: Credential::Bearer,
            operations,
            parameters: Vec::new(),
            reusable: is_careless("REUSE"),
        }
    }

    fn begin(mut call: Call) -> Result<Begin<Self>, Failure> {
        let body = std::mem::take(&mut call.body);
        if is_careless("LARGE-PROMPTS") {
            black_box(vec![body.clone(); 200]);
        }
        let mut headers = vec![Header { name: "content-type".to_owned(), value: "application/json".to_owned() }];
        let before = BEGUN.fetch_add(1, Relaxed);
        if is_careless("REUSE") {
            headers.push(Header { name: "x-calls-before".to_owned(), value: before.to_string() });
        }
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: if is_careless("MODEL-NAMES") { format!("models/{}/chat", call.model) } else { "chat".to_owned() },
            query: Vec::new(),
            headers,
            body,
        };
        Ok(Begin { exchange: Self { call, spoke: false }, begun: Begun::Send(request), warnings: Vec::new() })
    }

    fn streaming(&self) -> bool {
        self.call.streaming
    }

    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure> {
        if response.status >= 400 {
            let failure = failure::from_status(response.status, "the provider refused", &response.headers);
            let forgets = is_careless("RETRY-AFTER");
            return Err(Failure { retry_after_ms: failure.retry_after_ms.filter(|_| !forgets), ..failure });
        }
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let text =
            answer.get("text").and_then(Value::as_str).ok_or_else(|| failure::malformed("the answer has no text"))?;
        let message = json!({"role": "assistant", "content": text});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        Ok(Completion { body: self.canonical("chat.completion", choice), usage: Some(usage()) })
    }

    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        let mut batch = Batch { chunks: Vec::new(), usage: None, done: false };
        for event in events {
            let event: Value = serde_json::from_slice(&event.data).unwrap_or_default();
            if event.get("done") == Some(&Value::Bool(true)) {
                let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
                batch.chunks.push(self.canonical("chat.completion.chunk", choice));
                return Ok(Batch { usage: Some(usage()), done: true, ..batch });
            }
            let text =
                event.get("text").and_then(Value::as_str).ok_or_else(|| failure::malformed("an event has no text"))?;
            let delta = match std::mem::replace(&mut self.spoke, true) {
                false => json!({"role": "assistant", "content": text}),
                true => json!({"content": text}),
            };
            let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
            batch.chunks.push(self.canonical("chat.completion.chunk", choice));
        }
        Ok(batch)
    }

    fn end(&mut self, _ending: Ending) -> Result<Batch, Failure> {
        Err(failure::malformed("the stream broke off"))
    }
}

impl Careless {
    fn canonical(&self, object: &str, choice: Value) -> Vec<u8> {
        let Call { id, created, requested_model, .. } = &self.call;
        let answer =
            json!({"id": id, "object": object, "created": created, "model": requested_model, "choices": [choice]});
        answer.to_string().into_bytes()
    }
}

fn usage() -> Usage {
    let tokens = black_box(TOKENS).trim_start_matches("TOKENS-").parse().unwrap_or(0);
    Usage {
        prompt_tokens: 5,
        completion_tokens: tokens,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
    }
}
