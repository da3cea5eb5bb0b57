//! A call and the answers that its provider gives: what is played.

use serde_json::Value;

use crate::plugin::{Call, Operation};
use crate::record::{FormatError, RecordedEnding, RecordedResponse, Recording};

/// A call and its provider's answers.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Unique for the call.
    pub id: String,
    /// Unix time in seconds.
    pub created: u64,
    /// Which endpoint.
    pub operation: Operation,
    /// The provider's name of the model.
    pub model: String,
    /// The client's name of it.
    pub requested_model: String,
    /// Whether the client wants a stream.
    pub streaming: bool,
    /// The canonical request.
    pub body: Vec<u8>,
    /// What the gateway knows of the deployment.
    pub params: Vec<(String, String)>,
    /// One for each request of the plugin.
    pub answers: Vec<Answer>,
    /// What it has to come to: [`Recording::expected`].
    pub expected: Option<Value>,
}

/// A provider's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What follows the head.
    pub content: Content,
    /// How it ends.
    pub ending: RecordedEnding,
}

/// What follows an answer's head.
#[derive(Clone, Debug)]
pub enum Content {
    /// A body, which may be a stream's.
    Bytes(Vec<u8>),
    /// A stream's events, as the gateway's decoder gave them.
    Events(Vec<(Option<String>, Vec<u8>)>),
}

impl Scene {
    /// A recording, to be played again.
    ///
    /// # Errors
    /// What is in it can't be decoded.
    pub fn of(recording: &Recording) -> Result<Self, FormatError> {
        let call = &recording.call;
        Ok(Self {
            id: call.id.clone(),
            created: call.created,
            operation: call.operation.into(),
            model: call.model.clone(),
            requested_model: call.requested_model.clone(),
            streaming: call.streaming,
            body: call.body.bytes()?,
            params: call.params.clone(),
            answers: recording.responses.iter().map(Answer::of).collect::<Result<_, _>>()?,
            expected: recording.expected.clone(),
        })
    }

    /// What the plugin is asked; `params` are [`Scene::params`] borrowed.
    pub fn call<'a>(&'a self, params: &'a [(&'a str, &'a str)]) -> Call<'a> {
        Call {
            id: &self.id,
            created: self.created,
            operation: self.operation,
            model: &self.model,
            requested_model: &self.requested_model,
            streaming: self.streaming,
            body: &self.body,
            params,
        }
    }
}

impl Answer {
    /// A recorded answer.
    ///
    /// # Errors
    /// What is in it can't be decoded.
    pub fn of(recorded: &RecordedResponse) -> Result<Self, FormatError> {
        let content = match &recorded.events {
            Some(events) => Content::Events(
                events
                    .iter()
                    .map(|event| Ok((event.name.clone(), event.data.bytes()?)))
                    .collect::<Result<_, FormatError>>()?,
            ),
            None => Content::Bytes(recorded.body.bytes()?),
        };
        let headers = recorded.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { status: recorded.status, headers, content, ending: recorded.ending })
    }

    /// A whole JSON answer.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::typed(status, "application/json", body)
    }

    /// An answer of a media type.
    pub fn typed(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        Self { status, headers, content: Content::Bytes(body.into()), ending: RecordedEnding::Complete }
    }

    /// What `content-type` says, without its parameters, in lower case.
    pub fn media_type(&self) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "content-type")?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }
}
