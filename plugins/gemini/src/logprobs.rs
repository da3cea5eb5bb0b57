//! Probabilities of tokens: Google's form to OpenAI's.

use serde_json::{Value, json};

use crate::wire::{LogprobsResult, Token};

/// OpenAI's `logprobs`: the tokens that were chosen, each with those that could have been.
/// The alternatives of the n-th token stand n-th in Google's second list.
pub(crate) fn translate(result: LogprobsResult) -> Option<Value> {
    let chosen = result.chosen_candidates?;
    let mut alternatives = result.top_candidates.unwrap_or_default().into_iter();
    let content: Vec<Value> = chosen
        .iter()
        .map(|token| {
            let top: Vec<Value> = match alternatives.next().and_then(|top| top.candidates) {
                Some(candidates) => candidates.iter().map(entry).collect(),
                None => Vec::new(),
            };
            let mut entry = entry(token);
            if let Value::Object(fields) = &mut entry {
                fields.insert("top_logprobs".to_owned(), Value::Array(top));
            }
            entry
        })
        .collect();
    Some(json!({"content": content, "refusal": null}))
}

fn entry(token: &Token) -> Value {
    let text = token.token.as_deref().unwrap_or_default();
    // A probability of zero has no number in JSON; OpenAI's stand-in is -9999.
    let logprob = token.log_probability.unwrap_or(-9999.0);
    json!({"token": text, "logprob": logprob, "bytes": text.as_bytes()})
}
