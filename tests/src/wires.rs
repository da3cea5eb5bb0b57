//! The three providers' own formats, as small as their clients accept them.

use serde_json::{Value, json};

use crate::fake_upstream::FakeUpstream;
use crate::reply::Reply;

/// A provider's wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Passed through.
    OpenAi,
    /// Translated.
    Anthropic,
    /// Translated.
    Gemini,
}

impl Wire {
    /// All of them.
    pub const ALL: [Wire; 3] = [Wire::OpenAi, Wire::Anthropic, Wire::Gemini];

    /// `provider/model` of a deployment.
    pub fn model(self) -> &'static str {
        match self {
            Self::OpenAi => "openai/gpt-4o-mini",
            Self::Anthropic => "anthropic/claude-sonnet-4-6",
            Self::Gemini => "gemini/gemini-2.5-flash",
        }
    }

    /// `api_base` with LiteLLM's meaning.
    pub fn base(self, upstream: &FakeUpstream) -> String {
        self.base_of(&upstream.origin())
    }

    /// The same for any origin, which may have a path.
    pub fn base_of(self, origin: &str) -> String {
        match self {
            Self::OpenAi => format!("{origin}/v1"),
            Self::Anthropic => origin.to_owned(),
            Self::Gemini => format!("{origin}/v1beta"),
        }
    }

    /// Where a chat call of [`Self::model`] must arrive.
    pub fn path(self, streaming: bool) -> &'static str {
        match (self, streaming) {
            (Self::OpenAi, _) => "/v1/chat/completions",
            (Self::Anthropic, _) => "/v1/messages",
            (Self::Gemini, false) => "/v1beta/models/gemini-2.5-flash:generateContent",
            (Self::Gemini, true) => "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        }
    }

    /// The header that carries the key, and its value for `key`.
    pub fn credential(self, key: &str) -> (&'static str, String) {
        match self {
            Self::OpenAi => ("authorization", format!("Bearer {key}")),
            Self::Anthropic => ("x-api-key", key.to_owned()),
            Self::Gemini => ("x-goog-api-key", key.to_owned()),
        }
    }

    /// A whole answer: 5 tokens in, 2 out.
    pub fn answer(self, text: &str) -> Value {
        match self {
            Self::OpenAi => json!({
                "id": "chatcmpl-up1", "object": "chat.completion", "created": 1_700_000_000,
                "model": "gpt-4o-mini-2024-07-18", "system_fingerprint": "fp_1",
                "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                    "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []}}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
            }),
            Self::Anthropic => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 5, "output_tokens": 2},
            }),
            Self::Gemini => json!({
                "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
                "modelVersion": "gemini-2.5-flash", "responseId": "r1",
            }),
        }
    }

    /// A reply with that answer.
    pub fn reply(self, text: &str) -> Reply {
        Reply::json(200, &self.answer(text))
    }

    /// The event that begins a stream; `None` where the first text does.
    pub fn opening(self) -> Option<String> {
        match self {
            Self::OpenAi => Some(chunk(&json!({"role": "assistant", "content": ""}), None)),
            Self::Anthropic => {
                let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6",
                    "content": [], "stop_reason": null, "stop_sequence": null,
                    "usage": {"input_tokens": 5, "output_tokens": 1}});
                let start = named("message_start", &json!({"type": "message_start", "message": message}));
                let block =
                    json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
                Some(format!("{start}{}", named("content_block_start", &block)))
            }
            Self::Gemini => None,
        }
    }

    /// An event with a piece of text.
    pub fn text(self, text: &str) -> String {
        match self {
            Self::OpenAi => chunk(&json!({"content": text}), None),
            Self::Anthropic => named(
                "content_block_delta",
                &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
            ),
            Self::Gemini => data(&json!({
                "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}],
                "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
                "modelVersion": "gemini-2.5-flash", "responseId": "r1",
            })),
        }
    }

    /// The events that end a stream properly, usage (5 in, 2 out) included.
    pub fn ending(self) -> Vec<String> {
        match self {
            Self::OpenAi => vec![chunk(&json!({}), Some("stop")), self.usage_chunk(), "data: [DONE]\n\n".to_owned()],
            Self::Anthropic => vec![
                named("content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
                named(
                    "message_delta",
                    &json!({"type": "message_delta",
                    "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 2}}),
                ),
                named("message_stop", &json!({"type": "message_stop"})),
            ],
            Self::Gemini => vec![data(&json!({
                "candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
                "modelVersion": "gemini-2.5-flash", "responseId": "r1",
            }))],
        }
    }

    /// A whole stream, one piece an event.
    pub fn stream(self, texts: &[&str]) -> Vec<String> {
        let texts = texts.iter().map(|text| self.text(text));
        self.opening().into_iter().chain(texts).chain(self.ending()).collect()
    }

    /// A reply with that stream.
    pub fn stream_reply(self, texts: &[&str]) -> Reply {
        Reply::events(self.stream(texts))
    }

    /// An error's body.
    pub fn error(self, status: u16, message: &str) -> Value {
        match self {
            Self::OpenAi => json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}}),
            Self::Anthropic => {
                let kind = match status {
                    429 => "rate_limit_error",
                    529 => "overloaded_error",
                    _ => "api_error",
                };
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
            }
            Self::Gemini => json!({"error": {"code": status, "message": message, "status": "UNAVAILABLE"}}),
        }
    }

    /// The event of a stream that fails at the provider.
    pub fn error_event(self, message: &str) -> String {
        match self {
            Self::OpenAi | Self::Gemini => data(&self.error(503, message)),
            Self::Anthropic => named("error", &self.error(529, message)),
        }
    }

    fn usage_chunk(self) -> String {
        data(&json!({"id": "chatcmpl-up1", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": "gpt-4o-mini-2024-07-18", "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}))
    }
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> String {
    data(&json!({"id": "chatcmpl-up1", "object": "chat.completion.chunk", "created": 1_700_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}))
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn named(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}
