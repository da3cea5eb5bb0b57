//! A whole chat answer, canonical.

use ai_api_plugin_sdk::legacy::canonical::{AssistantMessage, ChatCompletion, Choice, FinishReason, ToolCall};
use ai_api_plugin_sdk::{Call, Completion, Failure, HttpResponse, failure};
use serde_json::{Map, Value, json};

use crate::answer::{self, Asked, CallIds, GEMINI_PARTS, Piece};
use crate::wire::{Answer, Candidate, PromptFeedback};
use crate::{error, grounding, logprobs, usage};

/// Translates the answer to `call`.
///
/// # Errors
/// It is no `GenerateContentResponse`, or one that neither answers nor says why not.
pub(crate) fn translate(call: &Call, asked: &Asked, response: &HttpResponse) -> Result<Completion, Failure> {
    let answer: Answer = serde_json::from_slice(&response.body)
        .map_err(|_| failure::malformed("gemini answered with something that is no GenerateContentResponse"))?;
    if let Some(error) = &answer.error {
        return Err(error::from_event(error));
    }
    let candidates = answer.candidates.unwrap_or_default();
    let blocked = answer.prompt_feedback.filter(|feedback| feedback.block_reason.is_some());
    if candidates.is_empty() && blocked.is_none() {
        return Err(failure::malformed("gemini answered without a candidate"));
    }

    let searched =
        candidates.iter().filter_map(|candidate| candidate.grounding_metadata.as_ref()).any(grounding::searched);
    let used = answer.usage_metadata.map(|metadata| usage::translate(&metadata, searched));
    let (usage, body) = used.map(|used| (used.usage, used.body)).unzip();
    let mut completion = ChatCompletion::new(call, AssistantMessage::default(), FinishReason::ContentFilter, body);
    completion.extra = extra(&candidates);
    match blocked {
        Some(feedback) if candidates.is_empty() => {
            if let Some(choice) = completion.choices.first_mut() {
                choice.provider_specific_fields = blocked_fields(feedback);
            }
        }
        _ => {
            let mut ids = CallIds::new(call);
            let choices = candidates.into_iter().enumerate();
            completion.choices =
                choices.map(|(place, candidate)| choice(call, asked, place, candidate, &mut ids)).collect();
        }
    }
    Ok(completion.into_completion(usage))
}

/// Why Google refused the prompt, for the choice that stands in for an answer.
fn blocked_fields(feedback: PromptFeedback) -> Map<String, Value> {
    answer::finish_fields(feedback.block_reason.as_deref(), feedback.block_reason_message.as_deref())
}

fn choice(call: &Call, asked: &Asked, place: usize, candidate: Candidate, ids: &mut CallIds) -> Choice {
    let mut message = AssistantMessage::default();
    let (mut content, mut reasoning) = (String::new(), String::new());
    let (mut signatures, mut others) = (Vec::new(), Vec::new());
    let mut json_answer = None;
    let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
    for piece in parts.into_iter().filter_map(Piece::sort) {
        match piece {
            Piece::Thought { text, signature } => {
                message.thinking_blocks.extend(signature.map(|signature| answer::thinking_block(&text, &signature)));
                reasoning.push_str(&text);
            }
            Piece::Text { text, signature } => {
                content.push_str(&text);
                signatures.extend(signature.map(Value::String));
            }
            Piece::Call { name, arguments, .. } if asked.json_tool.as_ref() == Some(&name) => {
                json_answer.get_or_insert(arguments);
            }
            Piece::Call { id, name, arguments, signature } => {
                let mut call = ToolCall::new(ids.id(id), asked.names.client(&name).to_owned(), arguments);
                (call.provider_specific_fields, call.extra_content) = answer::signature_fields(signature);
                message.tool_calls.push(call);
            }
            Piece::Image { url, signature } => {
                message.images.push(answer::image(url, message.images.len(), signature));
            }
            Piece::Audio { data, media_type } if message.audio.is_none() => {
                message.audio = Some(answer::audio(call, data, media_type));
            }
            Piece::Audio { data, media_type } => {
                others.push(json!({"inlineData": {"mimeType": media_type, "data": data}}));
            }
            Piece::Other(part) => others.push(Value::Object(part)),
        }
    }
    // One that came with other calls is a guess at what they will bring.
    if let Some(answer) = json_answer.filter(|_| message.tool_calls.is_empty()) {
        content = answer;
    }
    if let Some(metadata) = &candidate.grounding_metadata {
        message.annotations = grounding::annotations(metadata, &content);
    }
    message.content = Some(content).filter(|text| !text.is_empty());
    message.reasoning_content = Some(reasoning).filter(|text| !text.is_empty());
    for (key, list) in [("thought_signatures", signatures), (GEMINI_PARTS, others)] {
        if !list.is_empty() {
            message.provider_specific_fields.insert(key.to_owned(), Value::Array(list));
        }
    }

    let native = candidate.finish_reason.as_deref();
    Choice {
        index: candidate.index.unwrap_or_else(|| u32::try_from(place).unwrap_or(u32::MAX)),
        finish_reason: answer::finish_reason(native.unwrap_or("STOP"), !message.tool_calls.is_empty()),
        message,
        logprobs: candidate.logprobs_result.and_then(logprobs::translate),
        provider_specific_fields: answer::finish_fields(native, candidate.finish_message.as_deref()),
    }
}

/// What LiteLLM shows beside the answer under these names, one entry for each candidate that has it.
fn extra(candidates: &[Candidate]) -> Map<String, Value> {
    let mut extra = Map::new();
    for candidate in candidates {
        for (key, value) in [
            ("vertex_ai_grounding_metadata", &candidate.grounding_metadata),
            ("vertex_ai_url_context_metadata", &candidate.url_context_metadata),
            ("vertex_ai_safety_results", &candidate.safety_ratings),
            ("vertex_ai_citation_metadata", &candidate.citation_metadata),
        ] {
            if let (Some(value), Value::Array(list)) = (value, extra.entry(key).or_insert_with(|| json!([]))) {
                list.push(value.clone());
            }
        }
    }
    extra.retain(|_, list| list.as_array().is_some_and(|list| !list.is_empty()));
    extra
}
