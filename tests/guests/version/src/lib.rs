//! A tiny provider that marks its request and every piece of its answer with its version.
//!
//! Tests make other versions of it by replacing the marker in the component's bytes: one build, as many versions as
//! they like, each compiled in a blink. `tests/e2e/swap.rs` counts on a stream having one marker throughout.

use std::hint::black_box;

use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, FailureKind, Header, HttpRequest,
    HttpResponse, Manifest, Operation, Provider, Support, failure,
};

/// What tests replace, by something of the same length.
const MARKER: &str = "VERSION-AAAA";

/// The name by which models are prefixed; replaced in the same way. Dots at the end don't count, for shorter ones.
const NAME: &str = "versioned-aa";

/// One call.
#[derive(Debug)]
pub struct Versioned {
    streaming: bool,
}

ai_api_plugin_sdk::export_provider!(Versioned);

/// Read from the data section, where it can be replaced, and not folded into the code.
fn marker() -> &'static str {
    black_box(MARKER)
}

impl Provider for Versioned {
    fn manifest() -> Manifest {
        Manifest {
            name: black_box(NAME).trim_end_matches('.').to_owned(),
            version: marker().to_owned(),
            base_url: String::new(),
            credential: Credential::Bearer,
            operations: vec![Support { operation: Operation::ChatCompletions, native: None, translated: Vec::new() }],
            parameters: Vec::new(),
            reusable: false,
        }
    }

    fn begin(call: Call) -> Result<Begin<Self>, Failure> {
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: format!("chat/{}", marker()),
            query: Vec::new(),
            headers: vec![Header { name: "content-type".to_owned(), value: "application/json".to_owned() }],
            body: call.body,
        };
        let exchange = Self { streaming: call.streaming };
        Ok(Begin { exchange, begun: Begun::Send(request), warnings: Vec::new() })
    }

    fn streaming(&self) -> bool {
        self.streaming
    }

    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure> {
        if response.status != 200 {
            return Err(failure::failure(FailureKind::Upstream, "the provider refused"));
        }
        let body = format!(
            r#"{{"id":"chatcmpl-v","object":"chat.completion","created":1,"model":"v","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}]}}"#,
            marker()
        );
        Ok(Completion { body: body.into_bytes(), usage: None })
    }

    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        Ok(Batch { chunks: events.iter().map(|_| chunk(marker(), "null")).collect(), usage: None, done: false })
    }

    fn end(&mut self, ending: Ending) -> Result<Batch, Failure> {
        match ending {
            Ending::Complete => Ok(Batch { chunks: vec![chunk(marker(), r#""stop""#)], usage: None, done: true }),
            _ => Err(failure::malformed("the stream broke off")),
        }
    }
}

fn chunk(text: &str, finish_reason: &str) -> Vec<u8> {
    format!(
        r#"{{"id":"chatcmpl-v","object":"chat.completion.chunk","created":1,"model":"v","choices":[{{"index":0,"delta":{{"content":"{text} "}},"finish_reason":{finish_reason}}}]}}"#
    )
    .into_bytes()
}
