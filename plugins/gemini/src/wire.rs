//! Google's answers, as far as they are looked at. Every field is optional: an answer is often nothing but a
//! reason why there is none, and proto JSON leaves out what has its default.

use serde::Deserialize;
use serde_json::{Map, Value};

/// <https://ai.google.dev/api/generate-content#generatecontentresponse>, whole or one event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    pub(crate) candidates: Option<Vec<Candidate>>,
    pub(crate) prompt_feedback: Option<PromptFeedback>,
    pub(crate) usage_metadata: Option<Map<String, Value>>,
    /// A stream that has begun tells a failure so.
    pub(crate) error: Option<Value>,
}

/// One of the answers to choose from.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidate {
    pub(crate) index: Option<u32>,
    pub(crate) content: Option<Content>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) finish_message: Option<String>,
    pub(crate) grounding_metadata: Option<Value>,
    pub(crate) url_context_metadata: Option<Value>,
    pub(crate) citation_metadata: Option<Value>,
    pub(crate) safety_ratings: Option<Value>,
    pub(crate) logprobs_result: Option<LogprobsResult>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Content {
    /// A part has one of many fields, some of which are passed on as they are.
    pub(crate) parts: Option<Vec<Map<String, Value>>>,
}

/// Why the prompt was refused.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptFeedback {
    pub(crate) block_reason: Option<String>,
    pub(crate) block_reason_message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogprobsResult {
    pub(crate) top_candidates: Option<Vec<TopCandidates>>,
    pub(crate) chosen_candidates: Option<Vec<Token>>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct TopCandidates {
    pub(crate) candidates: Option<Vec<Token>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    pub(crate) token: Option<String>,
    pub(crate) log_probability: Option<f64>,
}

/// <https://ai.google.dev/api/embeddings#batchembedcontentsresponse>
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Embeddings {
    pub(crate) embeddings: Option<Vec<Embedding>>,
    pub(crate) usage_metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Embedding {
    pub(crate) values: Option<Vec<f32>>,
}
