//! `mock_response`: a canned answer from the config, without a provider.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, StreamReply};
use super::relay::End;
use super::request::Request;
use super::{GatewayError, unix_seconds};
use crate::plugin::Operation;
use crate::stream::{DONE, push_data_frame};
use crate::usage::Usage;

/// What LiteLLM's mocks claim to have used.
const PROMPT_TOKENS: u64 = 10;
const COMPLETION_TOKENS: u64 = 20;

/// Answers a request with `text`.
pub(super) fn answer(text: &str, request: &Request, spent: &mut Option<Usage>) -> Result<Answer, GatewayError> {
    let model = &request.model;
    if request.operation != Operation::ChatCompletions {
        let reason = "mock_response answers chat completions only".to_owned();
        return Err(GatewayError::Unusable { model: model.clone(), reason });
    }
    let used = Usage { prompt_tokens: PROMPT_TOKENS, completion_tokens: COMPLETION_TOKENS, ..Usage::default() };
    *spent = Some(used);
    let created = unix_seconds();
    let id = format!("chatcmpl-{}", request.id);
    let usage = json!({"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS, "total_tokens": used.total_tokens()});
    if !request.streaming {
        let message = json!({"role": "assistant", "content": text, "refusal": null});
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
        let whole = json!({"id": id, "object": "chat.completion", "created": created, "model": model, "choices": [choice], "usage": usage});
        return Ok(Answer::whole(whole.to_string().into()));
    }
    let mut out = Vec::new();
    let mut push = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({"id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": choices});
        if let (Some(usage), Some(chunk)) = (usage, chunk.as_object_mut()) {
            chunk.insert("usage".to_owned(), usage);
        }
        push_data_frame(&mut out, chunk.to_string().as_bytes());
    };
    let choice =
        |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    push(choice(json!({"role": "assistant", "content": ""}), Value::Null), None);
    for word in text.split_inclusive(' ') {
        push(choice(json!({"content": word}), Value::Null), None);
    }
    push(choice(json!({}), json!("stop")), None);
    if request.include_usage {
        push(json!([]), Some(usage));
    }
    out.extend_from_slice(DONE);
    Ok(Answer::stream(StreamReply::new(Bytes::from(out), Some(End::Complete), None)))
}
