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

use ai_api_plugin_sdk::legacy::canonical::{ChatRequest, ChunkWriter, EmbeddingRequest};
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, FailureKind, Header, HttpRequest,
    HttpResponse, Manifest, Operation, Provider, Support, export_provider, failure,
};

use crate::answer::Asked;
use crate::model::Model;
use crate::stream::Stream;

/// One call to the Gemini API.
#[derive(Debug)]
pub struct Gemini {
    call: Call,
    awaited: Awaited,
}

/// What kind of answer the call waits for.
#[derive(Debug)]
enum Awaited {
    Chat(Asked),
    Stream(Box<Stream>),
    Embeddings { inputs: usize, base64: bool },
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
        // Nobody needs the body again, and it may hold many megabytes of images.
        let body = std::mem::take(&mut call.body);
        let (verb, translated, awaited) = match call.operation {
            Operation::ChatCompletions => {
                let chat = ChatRequest::parse(&body)?;
                let include_usage = chat.include_usage;
                let (translated, asked) = request::translate(chat, &model)?;
                if call.streaming {
                    let stream = Stream::new(ChunkWriter::new(&call), &call, asked, include_usage);
                    ("streamGenerateContent", translated, Awaited::Stream(Box::new(stream)))
                } else {
                    ("generateContent", translated, Awaited::Chat(asked))
                }
            }
            Operation::Embeddings => {
                let request = EmbeddingRequest::parse(&body)?;
                let awaited = Awaited::Embeddings { inputs: request.input.len(), base64: request.base64 };
                ("batchEmbedContents", embedding::translate(request, &model)?, awaited)
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
            body: serde_json::Value::Object(translated.body).to_string().into_bytes(),
        };
        let begun = Begun::Send(request);
        Ok(Begin { exchange: Self { call, awaited }, begun, warnings: translated.warnings.into_vec() })
    }

    fn streaming(&self) -> bool {
        matches!(self.awaited, Awaited::Stream(_))
    }

    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure> {
        if !(200..300).contains(&response.status) {
            return Err(error::from_response(&response));
        }
        match &self.awaited {
            Awaited::Chat(asked) => response::translate(&self.call, asked, &response),
            Awaited::Embeddings { inputs, base64 } => embedding::answer(&self.call, *inputs, *base64, &response),
            Awaited::Stream(_) => Err(failure::malformed("gemini sent one answer where events were asked for")),
        }
    }

    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        match &mut self.awaited {
            Awaited::Stream(stream) => stream.events(events),
            _ => Err(failure::malformed("gemini sent events where one answer was asked for")),
        }
    }

    fn end(&mut self, ending: Ending) -> Result<Batch, Failure> {
        match &mut self.awaited {
            Awaited::Stream(stream) => stream.end(ending),
            _ => Err(failure::malformed("gemini sent events where one answer was asked for")),
        }
    }
}

export_provider!(Gemini);
