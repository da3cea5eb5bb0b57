//! Canonical to the Anthropic Messages API (<https://platform.claude.com/docs/en/api/messages>) and back.
//!
//! `request` makes the provider's request, `response` reads a whole answer, `stream` and `event` a streamed one, `error`
//! what the provider refused. What differs between models is in `model`.

mod error;
mod event;
mod model;
mod names;
mod request;
mod response;
mod schema;
mod stream;
mod usage;
mod wire;

use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, HttpResponse, Manifest, Operation,
    Provider, Support, export_provider, failure,
};

use crate::request::Memory;
use crate::stream::Stream;

/// One call to the Messages API.
#[derive(Debug)]
pub struct Anthropic {
    call: Call,
    memory: Memory,
    /// For a streamed answer.
    stream: Option<Stream>,
}

impl Provider for Anthropic {
    fn manifest() -> Manifest {
        Manifest {
            name: "anthropic".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: "https://api.anthropic.com".to_owned(),
            credential: Credential::Header("x-api-key".to_owned()),
            operations: vec![Support { operation: Operation::ChatCompletions, native: None, translated: Vec::new() }],
            parameters: Vec::new(),
            reusable: false,
        }
    }

    fn begin(mut call: Call) -> Result<Begin<Self>, Failure> {
        if call.operation != Operation::ChatCompletions {
            return Err(failure::unsupported("model", "Anthropic serves chat completions only."));
        }
        let (http, warnings, memory) = request::translate(&call)?;
        call.body = Vec::new();
        Ok(Begin { exchange: Self { call, memory, stream: None }, begun: Begun::Send(http), warnings })
    }

    fn streaming(&self) -> bool {
        self.call.streaming
    }

    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure> {
        if !(200..300).contains(&response.status) {
            return Err(error::of_response(&response));
        }
        response::translate(&self.call, &self.memory, &response.body)
    }

    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        self.stream.get_or_insert_with(|| Stream::new(&self.call, &self.memory)).events(&events, &self.memory)
    }

    fn end(&mut self, ending: Ending) -> Result<Batch, Failure> {
        self.stream.get_or_insert_with(|| Stream::new(&self.call, &self.memory)).end(ending)
    }
}

export_provider!(Anthropic);
