//! Probabilities of tokens: Google's form to OpenAI's.

use ai_api_plugin_sdk::json::{Json, Object};
use ai_api_plugin_sdk::object;

use crate::wire::{LogprobsResult, Token};

/// OpenAI's `logprobs`: the tokens that were chosen, each with those that could have been.
/// The alternatives of the n-th token stand n-th in Google's second list.
pub(crate) fn translate(result: LogprobsResult<'_>) -> Option<Json<'_>> {
    let chosen = result.chosen_candidates?;
    let mut alternatives = result.top_candidates.into_iter();
    let entries = chosen.into_iter().map(|token| {
        let top: Vec<Object<'_>> = alternatives.next().unwrap_or_default().into_iter().map(entry).collect();
        let mut entry = entry(token);
        entry.insert("top_logprobs", top);
        entry
    });
    let content: Vec<Object<'_>> = entries.collect();
    Some(object! {"content": content, "refusal": Json::Null}.into())
}

fn entry(token: Token<'_>) -> Object<'_> {
    let text = token.token.unwrap_or_default();
    let bytes: Vec<u32> = text.bytes().map(u32::from).collect();
    // A probability of zero has no number in JSON; OpenAI's stand-in is -9999.
    let logprob = serde_json::Value::from(token.log_probability.unwrap_or(-9999.0));
    object! {"token": text, "logprob": logprob, "bytes": bytes}
}
