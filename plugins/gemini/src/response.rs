//! A whole chat answer, canonical.

use ai_api_plugin_sdk::canonical::{AssistantMessage, ChatCompletion, Choice, FinishReason, ToolCall};
use ai_api_plugin_sdk::json::{Json, Object, Text};
use ai_api_plugin_sdk::{Call, Completion, Failure, HttpResponse, failure};

use crate::answer::{self, Asked, CallIds, GEMINI_PARTS, Piece};
use crate::usage::Counts;
use crate::wire::{Answer, Candidate, PromptFeedback};
use crate::{error, grounding, logprobs};

/// Translates the answer to `call`.
///
/// # Errors
/// It is no `GenerateContentResponse`, or one that neither answers nor says why not.
pub(crate) fn translate(call: &Call, asked: &Asked, response: &HttpResponse) -> Result<Completion, Failure> {
    let answer = Json::parse(&response.body).ok().and_then(Answer::of);
    let Some(answer) = answer else {
        return Err(failure::malformed("gemini answered with something that is no GenerateContentResponse"));
    };
    if let Some(error) = &answer.error {
        return Err(error::from_event(error));
    }
    let mut candidates = answer.candidates;
    let blocked = answer.prompt_feedback.filter(|feedback| feedback.block_reason.is_some());
    if candidates.is_empty() && blocked.is_none() {
        return Err(failure::malformed("gemini answered without a candidate"));
    }

    let searched =
        candidates.iter().filter_map(|candidate| candidate.grounding_metadata.as_ref()).any(grounding::searched);
    let counts = answer.usage_metadata.as_ref().map(Counts::of);
    let body = counts.as_ref().map(|counts| counts.body(searched));
    let mut completion = ChatCompletion::new(call, AssistantMessage::default(), FinishReason::ContentFilter, body);
    match blocked {
        Some(feedback) if candidates.is_empty() => {
            if let Some(choice) = completion.choices.first_mut() {
                choice.provider_specific_fields = blocked_fields(feedback);
            }
        }
        _ => {
            let mut ids = CallIds::new(call);
            let choices = candidates.iter_mut().enumerate();
            completion.choices =
                choices.map(|(place, candidate)| choice(call, asked, place, candidate, &mut ids)).collect();
        }
    }
    completion.extra = extra(candidates);
    Ok(completion.into_completion(counts.map(|counts| counts.usage(searched))))
}

/// Why Google refused the prompt, for the choice that stands in for an answer.
fn blocked_fields(feedback: PromptFeedback<'_>) -> Object<'_> {
    answer::finish_fields(feedback.block_reason, feedback.block_reason_message)
}

/// What a candidate says. What `extra` shows of it is left in it.
fn choice<'a>(
    call: &Call,
    asked: &Asked,
    place: usize,
    candidate: &mut Candidate<'a>,
    ids: &mut CallIds,
) -> Choice<'a> {
    let mut message = AssistantMessage::default();
    let (mut content, mut reasoning) = (Text::default(), Text::default());
    let (mut signatures, mut others) = (Vec::new(), Vec::new());
    let mut json_answer = None;
    for piece in std::mem::take(&mut candidate.parts).into_iter().filter_map(Piece::sort) {
        match piece {
            Piece::Thought { text, signature } => {
                let block = signature.map(|signature| answer::thinking_block(text.clone(), signature));
                message.thinking_blocks.extend(block);
                answer::append(&mut reasoning, text);
            }
            Piece::Text { text, signature } => {
                answer::append(&mut content, text);
                signatures.extend(signature.map(Json::String));
            }
            Piece::Call { name, arguments, .. } if asked.answers_in(&name) => {
                json_answer.get_or_insert(arguments);
            }
            Piece::Call { id, name, arguments, signature } => {
                let mut call = ToolCall::new(ids.id(id), asked.names.to_client(name), arguments);
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
                others.push(Json::Object(answer::inline_data(media_type, data)));
            }
            Piece::Other(part) => others.push(Json::Object(part)),
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
            message.provider_specific_fields.insert(key, list);
        }
    }

    let native = candidate.finish_reason.take();
    Choice {
        index: candidate.index.unwrap_or_else(|| u32::try_from(place).unwrap_or(u32::MAX)),
        finish_reason: answer::finish_reason(native.as_deref().unwrap_or("STOP"), !message.tool_calls.is_empty()),
        message,
        logprobs: candidate.logprobs_result.take().and_then(logprobs::translate),
        provider_specific_fields: answer::finish_fields(native, candidate.finish_message.take()),
    }
}

/// What LiteLLM shows beside the answer under these names, one entry for each candidate that has it.
fn extra(candidates: Vec<Candidate<'_>>) -> Object<'_> {
    let mut extra = [
        ("vertex_ai_grounding_metadata", Vec::new()),
        ("vertex_ai_url_context_metadata", Vec::new()),
        ("vertex_ai_safety_results", Vec::new()),
        ("vertex_ai_citation_metadata", Vec::new()),
    ];
    for candidate in candidates {
        let Candidate { grounding_metadata, url_context_metadata, safety_ratings, citation_metadata, .. } = candidate;
        let told = [grounding_metadata, url_context_metadata, safety_ratings, citation_metadata];
        for ((_, list), value) in extra.iter_mut().zip(told) {
            list.extend(value);
        }
    }
    extra.into_iter().filter(|(_, list)| !list.is_empty()).collect()
}
