//! Google's answers, as far as they are looked at. Every field is optional: an answer is often nothing but a
//! reason why there is none, and proto JSON leaves out what has its default.
//!
//! They are taken out of [`Json`] by hand, for a text that went through `serde` would lose its escapes and need them
//! again. `None` is an answer of another shape.

use ai_api_plugin_sdk::json::{Json, Object, Text};
use serde::Deserialize;

/// <https://ai.google.dev/api/generate-content#generatecontentresponse>, whole or one event of a stream.
#[derive(Debug, Default)]
pub(crate) struct Answer<'a> {
    pub(crate) candidates: Vec<Candidate<'a>>,
    pub(crate) prompt_feedback: Option<PromptFeedback<'a>>,
    pub(crate) usage_metadata: Option<Object<'a>>,
    /// A stream that has begun tells a failure so.
    pub(crate) error: Option<Json<'a>>,
}

/// One of the answers to choose from.
#[derive(Debug, Default)]
pub(crate) struct Candidate<'a> {
    pub(crate) index: Option<u32>,
    /// A part has one of many fields, some of which are passed on as they are.
    pub(crate) parts: Vec<Object<'a>>,
    pub(crate) finish_reason: Option<Text<'a>>,
    pub(crate) finish_message: Option<Text<'a>>,
    pub(crate) grounding_metadata: Option<Json<'a>>,
    pub(crate) url_context_metadata: Option<Json<'a>>,
    pub(crate) citation_metadata: Option<Json<'a>>,
    pub(crate) safety_ratings: Option<Json<'a>>,
    pub(crate) logprobs_result: Option<LogprobsResult<'a>>,
}

/// Why the prompt was refused.
#[derive(Debug, Default)]
pub(crate) struct PromptFeedback<'a> {
    pub(crate) block_reason: Option<Text<'a>>,
    pub(crate) block_reason_message: Option<Text<'a>>,
}

#[derive(Debug, Default)]
pub(crate) struct LogprobsResult<'a> {
    /// For each token those that could have been.
    pub(crate) top_candidates: Vec<Vec<Token<'a>>>,
    pub(crate) chosen_candidates: Option<Vec<Token<'a>>>,
}

#[derive(Debug, Default)]
pub(crate) struct Token<'a> {
    pub(crate) token: Option<Text<'a>>,
    pub(crate) log_probability: Option<f64>,
}

/// <https://ai.google.dev/api/embeddings#batchembedcontentsresponse>, read into floats without a detour.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Embeddings<'a> {
    pub(crate) embeddings: Option<Vec<Embedding>>,
    #[serde(borrow)]
    pub(crate) usage_metadata: Option<Object<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Embedding {
    pub(crate) values: Option<Vec<f32>>,
}

// === impl Answer ===

impl<'a> Answer<'a> {
    pub(crate) fn of(value: Json<'a>) -> Option<Self> {
        let mut answer = Self::default();
        for (key, value) in value.into_object()? {
            match key.as_str() {
                "candidates" => answer.candidates = list(value, Candidate::of)?,
                "promptFeedback" => answer.prompt_feedback = some(value, PromptFeedback::of)?,
                "usageMetadata" => answer.usage_metadata = some(value, Json::into_object)?,
                "error" => answer.error = some(value, Some)?,
                _ => {}
            }
        }
        Some(answer)
    }
}

// === impl Candidate ===

impl<'a> Candidate<'a> {
    fn of(value: Json<'a>) -> Option<Self> {
        let mut candidate = Self::default();
        for (key, value) in value.into_object()? {
            match key.as_str() {
                "index" => candidate.index = some(value, |index| u32::try_from(index.as_u64()?).ok())?,
                "content" => candidate.parts = some(value, parts)?.unwrap_or_default(),
                "finishReason" => candidate.finish_reason = some(value, text)?,
                "finishMessage" => candidate.finish_message = some(value, text)?,
                "groundingMetadata" => candidate.grounding_metadata = some(value, Some)?,
                "urlContextMetadata" => candidate.url_context_metadata = some(value, Some)?,
                "citationMetadata" => candidate.citation_metadata = some(value, Some)?,
                "safetyRatings" => candidate.safety_ratings = some(value, Some)?,
                "logprobsResult" => candidate.logprobs_result = some(value, LogprobsResult::of)?,
                _ => {}
            }
        }
        Some(candidate)
    }
}

// === impl PromptFeedback ===

impl<'a> PromptFeedback<'a> {
    fn of(value: Json<'a>) -> Option<Self> {
        let mut feedback = Self::default();
        for (key, value) in value.into_object()? {
            match key.as_str() {
                "blockReason" => feedback.block_reason = some(value, text)?,
                "blockReasonMessage" => feedback.block_reason_message = some(value, text)?,
                _ => {}
            }
        }
        Some(feedback)
    }

    /// The feedback without anything borrowed, to be kept beyond its event.
    pub(crate) fn into_owned(self) -> PromptFeedback<'static> {
        PromptFeedback {
            block_reason: self.block_reason.map(Text::into_owned),
            block_reason_message: self.block_reason_message.map(Text::into_owned),
        }
    }
}

// === impl LogprobsResult ===

impl<'a> LogprobsResult<'a> {
    fn of(value: Json<'a>) -> Option<Self> {
        let mut result = Self::default();
        for (key, value) in value.into_object()? {
            match key.as_str() {
                "topCandidates" => result.top_candidates = list(value, top_candidates)?,
                "chosenCandidates" => result.chosen_candidates = some(value, |chosen| list(chosen, Token::of))?,
                _ => {}
            }
        }
        Some(result)
    }
}

// === impl Token ===

impl<'a> Token<'a> {
    fn of(value: Json<'a>) -> Option<Self> {
        let mut token = Self::default();
        for (key, value) in value.into_object()? {
            match key.as_str() {
                "token" => token.token = some(value, text)?,
                "logProbability" => token.log_probability = some(value, |number| number.as_f64())?,
                _ => {}
            }
        }
        Some(token)
    }
}

/// `content.parts`
fn parts(content: Json<'_>) -> Option<Vec<Object<'_>>> {
    match content.into_object()?.remove("parts") {
        Some(parts) => list(parts, Json::into_object),
        None => Some(Vec::new()),
    }
}

/// `topCandidates[].candidates`
fn top_candidates(top: Json<'_>) -> Option<Vec<Token<'_>>> {
    match top.into_object()?.remove("candidates") {
        Some(candidates) => list(candidates, Token::of),
        None => Some(Vec::new()),
    }
}

fn text(value: Json<'_>) -> Option<Text<'_>> {
    match value {
        Json::String(text) => Some(text),
        _ => None,
    }
}

/// A field's value; `null` counts as absent.
fn some<'a, T>(value: Json<'a>, read: impl FnOnce(Json<'a>) -> Option<T>) -> Option<Option<T>> {
    if value.is_null() { Some(None) } else { read(value).map(Some) }
}

/// The elements of an array; `null` has none.
fn list<'a, T>(value: Json<'a>, read: impl Fn(Json<'a>) -> Option<T>) -> Option<Vec<T>> {
    let values = match value {
        Json::Null => return Some(Vec::new()),
        Json::Array(values) => values,
        _ => return None,
    };
    // Mostly there is one, and room for four candidates is more than an event is long.
    let mut list = Vec::with_capacity(values.len());
    for value in values {
        list.push(read(value)?);
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_counts_as_absent_and_what_has_another_shape_is_no_answer() {
        for (document, is_answer) in [
            ("{}", true),
            (r#"{"candidates": null, "usageMetadata": null, "error": null, "promptFeedback": null}"#, true),
            (
                r#"{"candidates": [{"index": null, "content": null, "finishReason": null, "logprobsResult": null}]}"#,
                true,
            ),
            (
                r#"{"candidates": [{"content": {"parts": null, "role": 7}, "tokenCount": "x"}], "modelVersion": 3}"#,
                true,
            ),
            (r#"{"candidates": [{"logprobsResult": {"chosenCandidates": [{"logProbability": -1}]}}]}"#, true),
            ("[]", false),
            ("3", false),
            (r#"{"candidates": {}}"#, false),
            (r#"{"candidates": [null]}"#, false),
            (r#"{"candidates": [{"index": -1}]}"#, false),
            (r#"{"candidates": [{"index": "0"}]}"#, false),
            (r#"{"candidates": [{"finishReason": 1}]}"#, false),
            (r#"{"candidates": [{"content": []}]}"#, false),
            (r#"{"candidates": [{"content": {"parts": ["x"]}}]}"#, false),
            (r#"{"candidates": [{"logprobsResult": {"chosenCandidates": [{"logProbability": "x"}]}}]}"#, false),
            (r#"{"candidates": [{"logprobsResult": {"topCandidates": [{"candidates": 1}]}}]}"#, false),
            (r#"{"promptFeedback": {"blockReason": {}}}"#, false),
            (r#"{"usageMetadata": 1}"#, false),
        ] {
            let answer = Answer::of(Json::parse(document.as_bytes()).unwrap());
            assert_eq!(answer.is_some(), is_answer, "{document}");
        }
    }
}
