//! Canonical to the Gemini API (`generativelanguage.googleapis.com`, Google AI Studio's) and back.
//!
//! What is asked goes through `request` and `embedding`; what comes back through `response` and `stream`, which
//! share `answer`, `grounding`, `logprobs` and `usage`; refusals through `error`. The wire is proto JSON in its documented
//! form, camelCase: <https://ai.google.dev/api/generate-content>.

mod answer;
mod embedding;
mod error;
mod grounding;
mod logprobs;
mod model;
mod request;
mod response;
mod stream;
mod usage;
mod wire;

use ai_api_plugin_sdk::canonical::{ChatRequest, EmbeddingRequest};
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, FailureKind, Header, HttpRequest,
    HttpResponse, Manifest, Operation, Provider, Support, export_provider, failure,
};

use crate::answer::Asked;
use crate::model::Model;
use crate::stream::Stream;

/// One call to the Gemini API.
#[derive(Debug)]
pub struct Gemini(Awaited);

/// What kind of answer a call waits for.
#[derive(Debug)]
enum Awaited {
    Chat { call: Call, asked: Asked },
    Stream(Box<Stream>),
    Embeddings { call: Call, inputs: usize, base64: bool },
}

// === impl Gemini ===

impl Provider for Gemini {
    fn manifest() -> Manifest {
        let translated = |operation| Support { operation, native: None, translated: Vec::new() };
        Manifest {
            name: "gemini".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: "https://generativelanguage.googleapis.com/v1beta".to_owned(),
            credential: Credential::Header("x-goog-api-key".to_owned()),
            operations: vec![translated(Operation::ChatCompletions), translated(Operation::Embeddings)],
            parameters: Vec::new(),
            reusable: false,
        }
    }

    fn begin(mut call: Call) -> Result<Begin<Self>, Failure> {
        let model = Model::parse(&call.model)?;
        // Nobody needs the body once it is translated, and it may hold many megabytes of images.
        let body = std::mem::take(&mut call.body);
        let (verb, translated, awaited) = match call.operation {
            Operation::ChatCompletions => {
                let chat = ChatRequest::parse(&body)?;
                let include_usage = chat.include_usage;
                let (translated, asked) = request::translate(chat, &model)?;
                if call.streaming {
                    let stream = Stream::new(call, asked, include_usage);
                    ("streamGenerateContent", translated, Awaited::Stream(Box::new(stream)))
                } else {
                    ("generateContent", translated, Awaited::Chat { call, asked })
                }
            }
            Operation::Embeddings => {
                let request = EmbeddingRequest::parse(&body)?;
                let (inputs, base64) = (request.input.len(), request.base64);
                let translated = embedding::translate(request, &model)?;
                ("batchEmbedContents", translated, Awaited::Embeddings { call, inputs, base64 })
            }
            _ => return Err(failure::failure(FailureKind::Unsupported, "gemini serves chat and embeddings only.")),
        };
        let query = match awaited {
            Awaited::Stream(_) => vec![("alt".to_owned(), "sse".to_owned())],
            _ => Vec::new(),
        };
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: model.path(verb),
            query,
            headers: vec![Header { name: "content-type".to_owned(), value: "application/json".to_owned() }],
            body: translated.body,
        };
        let begun = Begun::Send(request);
        Ok(Begin { exchange: Self(awaited), begun, warnings: translated.warnings.into_vec() })
    }

    fn streaming(&self) -> bool {
        matches!(self.0, Awaited::Stream(_))
    }

    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure> {
        if !(200..300).contains(&response.status) {
            return Err(error::from_response(&response));
        }
        match &self.0 {
            Awaited::Chat { call, asked } => response::translate(call, asked, &response),
            Awaited::Embeddings { call, inputs, base64 } => embedding::answer(call, *inputs, *base64, &response),
            Awaited::Stream(_) => Err(failure::malformed("gemini sent one answer where events were asked for")),
        }
    }

    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        match &mut self.0 {
            Awaited::Stream(stream) => stream.events(events),
            _ => Err(failure::malformed("gemini sent events where one answer was asked for")),
        }
    }

    fn end(&mut self, ending: Ending) -> Result<Batch, Failure> {
        match &mut self.0 {
            Awaited::Stream(stream) => stream.end(ending),
            _ => Err(failure::malformed("gemini sent events where one answer was asked for")),
        }
    }
}

export_provider!(Gemini);
