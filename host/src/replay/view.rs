//! What became of a call, as JSON: to be shown, and to be compared.

use serde_json::{Map, Value, json};

use super::meaning::merge;
use super::{End, Played};
use crate::plugin::{Failure, HttpRequest, Loss, Usage, Warning};

impl Played {
    /// The requests, as JSON.
    pub fn requests_json(&self) -> Value {
        self.requests.iter().map(request).collect()
    }

    /// What the translation lost, as JSON.
    pub fn warnings_json(&self) -> Value {
        self.warnings.iter().map(warning).collect()
    }

    /// The chunks, as JSON.
    pub fn chunks_json(&self) -> Vec<Value> {
        self.chunks.iter().map(|chunk| body(chunk)).collect()
    }

    /// What the client gets: of a stream, what it amounts to.
    pub fn answer_json(&self) -> Value {
        let with_stream = |fields: Value| match (self.chunks.is_empty(), fields) {
            (false, Value::Object(mut fields)) => {
                fields.insert("after".to_owned(), merge(&self.chunks_json()));
                Value::Object(fields)
            }
            (_, fields) => fields,
        };
        match &self.end {
            End::Answer(answer) => body(answer),
            End::Stream => merge(&self.chunks_json()),
            End::Verbatim => json!({"ended": "the provider's answer goes on as it is"}),
            End::Sent => with_stream(json!({"ended": "no answer is recorded for its request"})),
            End::Left => with_stream(json!({"ended": "the client went away"})),
            End::Cut => with_stream(json!({"ended": "the provider broke off"})),
            End::Failed(told) => with_stream(json!({"failure": failure(told)})),
            End::Broke(what) => with_stream(json!({"broke": what})),
        }
    }

    /// What was used, as JSON.
    pub fn usage_json(&self) -> Value {
        self.usage.as_ref().map_or(Value::Null, usage)
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        json!({
            "requests": self.requests_json(),
            "warnings": self.warnings_json(),
            "chunks": self.chunks_json(),
            "answer": self.answer_json(),
            "usage": self.usage_json(),
        })
    }
}

/// A request to the provider.
pub fn request(request: &HttpRequest) -> Value {
    let mut headers = Map::new();
    for header in &request.headers {
        let value = headers.entry(header.name.clone()).or_insert(Value::Null);
        *value = match value.take() {
            Value::String(before) => format!("{before}, {}", header.value).into(),
            _ => header.value.clone().into(),
        };
    }
    json!({
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "body": body(&request.body),
    })
}

/// A failure in the plugin's words.
pub fn failure(failure: &Failure) -> Value {
    json!({
        "kind": kind(failure),
        "status": failure.status,
        "message": failure.message,
        "param": failure.param,
        "code": failure.code,
        "retry_after_ms": failure.retry_after_ms,
    })
}

/// A failure's kind in the WIT's spelling.
pub fn kind(failure: &Failure) -> String {
    let debug = format!("{:?}", failure.kind);
    let mut kind = String::new();
    for c in debug.trim_start_matches("FailureKind::").chars() {
        if c.is_ascii_uppercase() && !kind.is_empty() {
            kind.push('-');
        }
        kind.push(c.to_ascii_lowercase());
    }
    kind
}

fn warning(warning: &Warning) -> Value {
    let loss = match warning.loss {
        Loss::Unsupported => "unsupported",
        Loss::Dropped => "dropped",
        Loss::Approximated => "approximated",
    };
    json!({"path": warning.path, "loss": loss})
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    })
}

/// JSON where it is some, else the text.
pub fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}
