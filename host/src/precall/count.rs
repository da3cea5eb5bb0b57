//! How many tokens a prompt has, for clients that ask: LiteLLM's `POST /utils/token_counter`.

use serde::Serialize;

use super::needs::Prompt;
use super::tokens::Counter;
use crate::canonical::{BadBody, RequestBody};
use crate::plugin::Operation;

/// So much text is counted exactly, which takes about 50 ms; of more, parts.
const COUNTED_BYTES: u64 = 1024 * 1024;

/// The answer, field by field LiteLLM's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenCount {
    /// Of the prompt.
    pub total_tokens: u64,
    /// The name that the client used.
    pub request_model: String,
    /// The provider's name of the model.
    pub model_used: String,
    /// Whose tokenizer counted. It is OpenAI's for all models, as LiteLLM's is for all but a few.
    pub tokenizer_type: &'static str,
}

/// Why nothing can be counted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncountable {
    /// There is neither, or both.
    #[error("Either 'prompt' or 'messages' must be given.")]
    NoPrompt,
    /// A field has the wrong type.
    #[error(transparent)]
    Type(#[from] BadBody),
    /// A value in it can't be read.
    #[error("'messages' can't be read.")]
    Unreadable,
}

/// Counts `{model, prompt}` or `{model, messages, tools}`; `model_used` is what the model's name was resolved to. It takes
/// up to 50 ms, and 0.2 s more at its first use, so that it is for a thread that may block.
///
/// # Errors
/// The body has no prompt that could be counted.
pub fn count(body: &RequestBody, model_used: &str) -> Result<TokenCount, Uncountable> {
    let request_model = body.string("model")?.unwrap_or_default().into_owned();
    let total_tokens = match (body.string("prompt")?, body.raw("messages")) {
        (Some(text), None) => {
            let mut counter = Counter::new(1, text.len() as u64, COUNTED_BYTES);
            counter.add(&text);
            counter.tokens()
        }
        (None, Some(messages)) => {
            if !messages.starts_with('[') {
                return Err(BadBody::Type { param: "messages", expected: "an array of messages" }.into());
            }
            let prompt = Prompt::read(body, Operation::ChatCompletions);
            if !prompt.whole {
                return Err(Uncountable::Unreadable);
            }
            prompt.count(body, Operation::ChatCompletions, COUNTED_BYTES)
        }
        _ => return Err(Uncountable::NoPrompt),
    };
    let model_used = model_used.to_owned();
    Ok(TokenCount { total_tokens, request_model, model_used, tokenizer_type: "openai_tokenizer" })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn of(text: &str) -> Result<u64, String> {
        let body = RequestBody::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        count(&body, "gpt-4o-mini").map(|count| count.total_tokens).map_err(|error| error.to_string())
    }

    #[test]
    fn a_prompt_and_messages_are_counted() {
        assert_eq!(of(r#"{"model": "m", "prompt": "hello world"}"#), Ok(2));
        // Three for the message, one for `user`, two for its text, three for the answer's lead.
        assert_eq!(of(r#"{"model": "m", "messages": [{"role": "user", "content": "hello world"}]}"#), Ok(9));
        let named =
            r#"{"messages": [{"role": "user", "name": "user", "content": [{"type": "text", "text": "hello world"}]}]}"#;
        assert_eq!(of(named), Ok(11));
        let picture = r#"{"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}"#;
        assert_eq!(of(picture), Ok(3 + 85 + 3));
    }

    #[test]
    fn the_answer_is_litellms() {
        let body = RequestBody::parse(Bytes::from_static(br#"{"model": "mini", "prompt": "hi"}"#)).unwrap();
        let answer = serde_json::to_value(count(&body, "gpt-4o-mini").unwrap()).unwrap();
        let expected = serde_json::json!({
            "total_tokens": 1, "request_model": "mini", "model_used": "gpt-4o-mini", "tokenizer_type": "openai_tokenizer"
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn what_cant_be_counted_is_told() {
        let neither = "Either 'prompt' or 'messages' must be given.".to_owned();
        assert_eq!(of(r#"{"model": "m"}"#), Err(neither.clone()));
        assert_eq!(of(r#"{"prompt": "a", "messages": []}"#), Err(neither));
        assert_eq!(of(r#"{"prompt": 1}"#), Err("Invalid type for 'prompt': expected a string.".to_owned()));
        let messages = "Invalid type for 'messages': expected an array of messages.".to_owned();
        assert_eq!(of(r#"{"messages": {}}"#), Err(messages));
        assert_eq!(of(r#"{"messages": [{"content": "\ud800"}]}"#), Err("'messages' can't be read.".to_owned()));
    }
}
