//! A recorded exchange: what a plugin was given and what it asked for, as one JSON file.
//!
//! A plugin sees no key, so there is none in here. What it was given is kept to the byte: JSON stands as JSON where
//! writing it gives the same bytes again, and as text otherwise.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::headers::Headers;
use super::payload::{EventData, Payload};
use crate::plugin::{self, Operation};

/// The version of this format.
pub const VERSION: u32 = 1;

/// One call and all that came of it, up to the provider's last byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// [`VERSION`].
    pub version: u32,
    /// Which plugin served it, as `name version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// What the plugin was asked.
    pub call: RecordedCall,
    /// What it asked its provider: none where it answered by itself, several where it had to ask again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RecordedRequest>,
    /// What the provider answered, one for each request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub responses: Vec<RecordedResponse>,
    /// What the call has to come to, where somebody wrote that down: `answer` or `chunks`, `usage`, `warnings`, `failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Value>,
}

/// What a plugin is asked: the WIT's `call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedCall {
    /// Unique for the call.
    pub id: String,
    /// Unix time in seconds.
    pub created: u64,
    /// Which endpoint.
    pub operation: RecordedOperation,
    /// The provider's name of the model.
    pub model: String,
    /// The client's name of it.
    pub requested_model: String,
    /// Whether the client wanted a stream.
    pub streaming: bool,
    /// What the gateway knows of the deployment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<(String, String)>,
    /// The canonical request.
    #[serde(flatten)]
    pub body: Payload,
}

/// What a plugin asked its provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// `POST`
    pub method: String,
    /// Relative to the base URL.
    pub path: String,
    /// Names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// Those that the plugin set.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// The body.
    #[serde(flatten)]
    pub body: Payload,
}

/// What a provider answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordedResponse {
    /// HTTP status.
    pub status: u16,
    /// Those that say something about the answer.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// A whole answer, or a stream's bytes where somebody wrote them by hand.
    #[serde(flatten)]
    pub body: Payload,
    /// A stream's events, as the plugin was given them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<RecordedEvent>>,
    /// How the stream ended.
    #[serde(default, skip_serializing_if = "RecordedEnding::is_complete")]
    pub ending: RecordedEnding,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedEvent {
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its data.
    #[serde(flatten)]
    pub data: EventData,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordedEnding {
    /// In order, or the plugin had said that the answer is complete.
    #[default]
    Complete,
    /// The connection broke.
    Cut,
    /// The provider fell silent.
    Stalled,
    /// Nobody asked for the rest: the client went away, or the call had failed.
    Left,
}

/// The WIT's `operation`, in the WIT's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedOperation {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/images/generations`
    ImagesGenerations,
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It can't be read.
    #[error("can't read it: {0}")]
    Read(#[from] std::io::Error),
    /// It isn't JSON of this form.
    #[error("it is no recording: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of a later version.
    #[error("it is a recording of version {0}; this gateway reads version {VERSION}")]
    Version(u32),
    /// Something in it isn't base64.
    #[error("{0} is not base64")]
    Base64(&'static str),
}

// === impl Recording ===

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, or is no recording of this version.
    pub fn read(file: &Path) -> Result<Self, FormatError> {
        Self::parse(&std::fs::read(file)?)
    }

    /// Reads a recording's JSON.
    ///
    /// # Errors
    /// It is no recording of this version.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(json)?;
        if head.version != VERSION {
            return Err(FormatError::Version(head.version));
        }
        Ok(serde_json::from_slice(json)?)
    }
}

// === impl RecordedEnding ===

impl RecordedEnding {
    fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

// === impl RecordedOperation ===

impl From<RecordedOperation> for Operation {
    fn from(operation: RecordedOperation) -> Self {
        match operation {
            RecordedOperation::ChatCompletions => Self::ChatCompletions,
            RecordedOperation::Completions => Self::Completions,
            RecordedOperation::Embeddings => Self::Embeddings,
            RecordedOperation::ImagesGenerations => Self::ImagesGenerations,
        }
    }
}

impl From<Operation> for RecordedOperation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::ChatCompletions => Self::ChatCompletions,
            Operation::Completions => Self::Completions,
            Operation::Embeddings => Self::Embeddings,
            Operation::ImagesGenerations => Self::ImagesGenerations,
        }
    }
}

// === impl RecordedCall ===

impl RecordedCall {
    /// What the plugin was asked.
    pub fn of(call: &plugin::Call<'_>) -> Self {
        Self {
            id: call.id.to_owned(),
            created: call.created,
            operation: call.operation.into(),
            model: call.model.to_owned(),
            requested_model: call.requested_model.to_owned(),
            streaming: call.streaming,
            params: call.params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: Payload::of(call.body),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn recording(body: &[u8], data: &[u8]) -> Recording {
        Recording {
            version: VERSION,
            plugin: Some("acme 1.0.0".to_owned()),
            call: RecordedCall {
                id: "a-1".to_owned(),
                created: 1,
                operation: RecordedOperation::ChatCompletions,
                model: "m".to_owned(),
                requested_model: "mine".to_owned(),
                streaming: true,
                params: vec![("max_output_tokens".to_owned(), "5".to_owned())],
                body: Payload::of(body),
            },
            requests: Vec::new(),
            responses: vec![RecordedResponse {
                status: 200,
                headers: Headers(vec![("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())]),
                events: Some(vec![RecordedEvent { name: None, data: EventData::of(data) }]),
                ending: RecordedEnding::Cut,
                ..RecordedResponse::default()
            }],
            expected: None,
        }
    }

    #[test]
    fn an_answer_that_somebody_wrote_down_is_read() {
        let response: RecordedResponse = serde_json::from_value(json!({
            "status": 200, "headers": {"Content-Type": "text/plain"}, "body_json": {"a": 1}, "recorded_encoding": "gzip",
        }))
        .unwrap();
        assert_eq!(response.headers.0, [("content-type".to_owned(), "text/plain".to_owned())]);
        assert_eq!(response.body.bytes().unwrap(), br#"{"a":1}"#);
    }

    #[test]
    fn a_recording_of_another_version_is_refused_by_its_number() {
        let error = Recording::parse(br#"{"version": 7, "call": "of the future"}"#).unwrap_err();
        assert!(error.to_string().contains("version 7"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_survive(body in any::<Vec<u8>>(), data in any::<Vec<u8>>()) {
            let recording = recording(&body, &data);
            let read = Recording::parse(&serde_json::to_vec(&recording).unwrap()).unwrap();
            prop_assert_eq!(&read, &recording);
            prop_assert_eq!(read.call.body.bytes().unwrap(), body);
        }
    }
}
