//! Calls and answers that everything here is measured with: made up, always the same, of the shapes that providers
//! document.

use serde_json::{Value, json};

/// One call through a plugin, and what its provider answers.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The plugin's name.
    pub plugin: &'static str,
    /// What kind of call it is.
    pub name: &'static str,
    /// The provider's model.
    pub model: &'static str,
    /// Canonical JSON.
    pub body: Vec<u8>,
    /// The provider's answer.
    pub answer: Answer,
}

/// What a provider answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// JSON.
    Whole(Vec<u8>),
    /// Names and data of a stream's events.
    Events(Vec<(Option<&'static str>, Vec<u8>)>),
}

impl Scenario {
    /// Whether it is a stream.
    pub fn is_streaming(&self) -> bool {
        matches!(self.answer, Answer::Events(_))
    }

    /// The headers of its answer.
    pub fn headers(&self) -> [(&'static str, &'static str); 4] {
        let kind = if self.is_streaming() { "text/event-stream; charset=utf-8" } else { "application/json" };
        [
            ("content-type", kind),
            ("date", "Mon, 05 Jan 2026 16:04:30 GMT"),
            ("request-id", "req_011CWoXxvB2m1nWJ5h1dYvqe"),
            ("cache-control", "no-cache"),
        ]
    }

    /// The answer's body as it comes over the wire.
    pub fn wire(&self) -> Vec<u8> {
        match &self.answer {
            Answer::Whole(body) => body.clone(),
            Answer::Events(events) => sse(events),
        }
    }
}

/// Events in the framing of server-sent events.
pub fn sse(events: &[(Option<&'static str>, Vec<u8>)]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (name, data) in events {
        if let Some(name) = name {
            wire.extend_from_slice(format!("event: {name}\n").as_bytes());
        }
        wire.extend_from_slice(b"data: ");
        wire.extend_from_slice(data);
        wire.extend_from_slice(b"\n\n");
    }
    wire
}

/// Every call that is measured.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (plugin, model) in [("anthropic", "claude-sonnet-4-5"), ("gemini", "gemini-2.5-flash")] {
        let mut add = |name, body: &Value, answer| {
            all.push(Scenario { plugin, name, model, body: bytes(body), answer });
        };
        let is_anthropic = plugin == "anthropic";
        let whole = |called| Answer::Whole(bytes(&if is_anthropic { messages(called) } else { generated(called) }));
        add("small chat", &small_chat(), whole(false));
        add("chat with tools", &chat_with_tools(), whole(true));
        add("100 KB prompt", &long_prompt(100), whole(false));
        add("400 KB prompt", &long_prompt(400), whole(false));
        let stream = if is_anthropic { anthropic_stream() } else { gemini_stream() };
        add("stream of 64", &streamed(small_chat()), Answer::Events(stream));
    }
    all
}

/// A question and its setting.
pub fn small_chat() -> Value {
    json!({
        "model": "the-model",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant. Answer briefly and in plain words."},
            {"role": "user", "content": "Why is the sky blue? I have heard \"because of the sea\", which can't be right."}
        ],
        "temperature": 0.7,
        "max_tokens": 256
    })
}

/// The same request, to be streamed.
pub fn streamed(mut body: Value) -> Value {
    if let Some(body) = body.as_object_mut() {
        body.insert("stream".to_owned(), true.into());
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    body
}

/// An agent's turn: eight tools, two of which were called before.
pub fn chat_with_tools() -> Value {
    let tools: Vec<Value> = (0..8).map(tool).collect();
    let mut messages = vec![
        json!({"role": "system", "content": "You work in a repository. Use the tools; explain what you do."}),
        json!({"role": "user", "content": [{"type": "text", "text": "Find out why the build fails."}]}),
    ];
    for turn in 0..2 {
        let (id, name) = (format!("call_{turn}_a1b2c3d4e5"), format!("read_file_{turn}"));
        let arguments = json!({"path": "src/main.rs", "from": 1, "to": 40 + turn}).to_string();
        let call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        messages.push(json!({"role": "assistant", "content": "Let me look.", "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": prose(1200)}));
    }
    json!({
        "model": "the-model", "messages": messages, "tools": tools, "tool_choice": "auto",
        "parallel_tool_calls": true, "max_completion_tokens": 4096
    })
}

fn tool(number: usize) -> Value {
    json!({"type": "function", "function": {
        "name": format!("read_file_{number}"),
        "description": "Reads lines of a file in the repository. Say which lines; without them it reads them all.",
        "parameters": {
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Relative to the repository's root"},
                "from": {"type": "integer", "description": "The first line, counted from 1", "minimum": 1},
                "to": {"type": "integer", "description": "The last line"},
                "encoding": {"type": "string", "enum": ["utf-8", "latin-1"]}
            },
            "required": ["path"], "additionalProperties": false
        }
    }})
}

/// A conversation of so many kilobytes, in turns of about 4 KB.
pub fn long_prompt(kilobytes: usize) -> Value {
    let mut messages = vec![json!({"role": "system", "content": "Summarise what was said."})];
    for turn in 0..kilobytes / 4 {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        messages.push(json!({"role": role, "content": prose(3900)}));
    }
    messages.push(json!({"role": "user", "content": "Go on."}));
    json!({"model": "the-model", "messages": messages, "max_tokens": 1024})
}

/// Text as people and models write it: with line ends, quotation marks and a letter beyond ASCII now and then.
pub fn prose(length: usize) -> String {
    const PARAGRAPH: &str = "The build fails because the linker can't find the symbol \"main\"; it was renamed in the \
        last change, and nobody has told the script. A clean build would have shown it \u{2013} incremental ones don't.\n";
    PARAGRAPH.chars().cycle().take(length).collect()
}

/// An answer of the Messages API.
fn messages(called: bool) -> Value {
    let mut content = vec![json!({"type": "text", "text": prose(600)})];
    if called {
        let input = json!({"path": "build.rs", "from": 1, "to": 80});
        content.push(
            json!({"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "read_file_3", "input": input}),
        );
    }
    json!({
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": content, "stop_reason": if called { "tool_use" } else { "end_turn" }, "stop_sequence": null,
        "usage": {"input_tokens": 351, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 152, "service_tier": "standard"}
    })
}

/// An answer of Gemini's API.
fn generated(called: bool) -> Value {
    let mut parts = vec![json!({"text": prose(600)})];
    if called {
        parts.push(json!({"functionCall": {"name": "read_file_3", "args": {"path": "build.rs", "from": 1, "to": 80}}}));
    }
    json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 351, "candidatesTokenCount": 152, "totalTokenCount": 503,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 351}]},
        "modelVersion": "gemini-2.5-flash", "responseId": "jphgababHteez7IP_Om04A8"
    })
}

/// How many pieces of text a stream has.
pub const PIECES: usize = 64;

fn anthropic_stream() -> Vec<(Option<&'static str>, Vec<u8>)> {
    let mut message = messages(false);
    if let Some(message) = message.as_object_mut() {
        message.insert("content".to_owned(), json!([]));
        message.insert("stop_reason".to_owned(), Value::Null);
    }
    let mut events = Vec::new();
    let mut push = |name: &'static str, mut event: Value| {
        if let Some(event) = event.as_object_mut() {
            event.insert("type".to_owned(), name.into());
        }
        events.push((Some(name), bytes(&event)));
    };
    push("message_start", json!({"message": message}));
    push("content_block_start", json!({"index": 0, "content_block": {"type": "text", "text": ""}}));
    for piece in 0..PIECES {
        push("content_block_delta", json!({"index": 0, "delta": {"type": "text_delta", "text": word(piece)}}));
    }
    push("content_block_stop", json!({"index": 0}));
    let usage = json!({"output_tokens": 152});
    push("message_delta", json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": usage}));
    push("message_stop", json!({}));
    events
}

fn gemini_stream() -> Vec<(Option<&'static str>, Vec<u8>)> {
    let chunk = |piece: usize| {
        let mut candidate = json!({"content": {"parts": [{"text": word(piece)}], "role": "model"}, "index": 0});
        if let Some(candidate) = candidate.as_object_mut().filter(|_| piece + 1 == PIECES) {
            candidate.insert("finishReason".to_owned(), "STOP".into());
        }
        let usage = json!({"promptTokenCount": 351, "candidatesTokenCount": 2 * piece + 1, "totalTokenCount": 352 + 2 * piece,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 351}]});
        json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash",
            "responseId": "jphgababHteez7IP_Om04A8"})
    };
    (0..PIECES).map(|piece| (None, bytes(&chunk(piece)))).collect()
}

/// A canonical stream, as a provider of OpenAI's own wire sends it.
pub fn canonical_stream() -> Vec<(Option<&'static str>, Vec<u8>)> {
    let chunk = |piece: usize| {
        let finish = if piece + 1 == PIECES { json!("stop") } else { Value::Null };
        let choice = json!({"index": 0, "delta": {"content": word(piece)}, "logprobs": null, "finish_reason": finish});
        json!({"id": "chatcmpl-CEo1u3xQ9cFz0b6c4wD7o2rY", "object": "chat.completion.chunk", "created": 1_757_606_894,
            "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_f33640a400",
            "choices": [choice], "usage": null})
    };
    let mut events: Vec<_> = (0..PIECES).map(|piece| (None, bytes(&chunk(piece)))).collect();
    events.push((None, b"[DONE]".to_vec()));
    events
}

/// A canonical answer.
pub fn canonical_answer() -> Value {
    let message = json!({"role": "assistant", "content": prose(600), "refusal": null, "annotations": []});
    json!({
        "id": "chatcmpl-CEo1u3xQ9cFz0b6c4wD7o2rY", "object": "chat.completion", "created": 1_757_606_894,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 351, "completion_tokens": 152, "total_tokens": 503,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}},
        "service_tier": "default", "system_fingerprint": "fp_f33640a400"
    })
}

fn word(piece: usize) -> &'static str {
    ["The", " sky", " is", " blue", ",\n", " for", " \"air\"", " scatters"].get(piece % 8).copied().unwrap_or_default()
}

/// JSON's bytes.
pub fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
