//! What was asked and answered, read for those who are told of it: off the path of calls.

use serde_json::{Map, Value, json};

use crate::usage::Messages;

/// The request's JSON, or its text where it was cut.
pub(super) fn request(messages: &Messages) -> Value {
    value(&messages.request)
}

/// What of the request is the prompt: `messages`, `prompt` or `input`.
pub(super) fn prompt(messages: &Messages) -> Value {
    match request(messages) {
        Value::Object(mut body) => {
            ["messages", "prompt", "input"].iter().find_map(|key| body.remove(*key)).unwrap_or_default()
        }
        other => other,
    }
}

/// The answer's JSON; of a stream, the answer that it comes to.
pub(super) fn response(messages: &Messages) -> Value {
    let bytes = &messages.response;
    match bytes.first() {
        None => Value::Null,
        Some(b'{') => value(bytes),
        Some(_) => put_together(bytes),
    }
}

/// The messages of the answer, one a choice.
pub(super) fn answers(response: &Value) -> Vec<Value> {
    let choices = response.get("choices").and_then(Value::as_array);
    choices.into_iter().flatten().map(|choice| choice.get("message").unwrap_or(choice).clone()).collect()
}

/// OpenTelemetry's form of messages: `[{"role", "parts": [{"type": "text", "content"}]}]`.
pub(super) fn parts(messages: &[Value]) -> Value {
    Value::Array(messages.iter().map(with_parts).collect())
}

/// The prompt as a list of messages.
pub(super) fn as_messages(prompt: Value) -> Vec<Value> {
    match prompt {
        Value::Array(messages) if messages.iter().all(|one| one.get("role").is_some()) => messages,
        Value::Null => Vec::new(),
        other => vec![json!({"role": "user", "content": other})],
    }
}

fn with_parts(message: &Value) -> Value {
    let mut parts = Vec::new();
    let role = message.get("role").and_then(Value::as_str).unwrap_or("assistant");
    match message.get("content").or_else(|| message.get("text")) {
        Some(Value::String(text)) if role == "tool" => {
            parts.push(json!({"type": "tool_call_response", "id": message.get("tool_call_id"), "response": text}));
        }
        Some(Value::String(text)) => parts.push(json!({"type": "text", "content": text})),
        Some(Value::Array(list)) => parts.extend(list.iter().map(|part| match part.get("text") {
            Some(text) => json!({"type": "text", "content": text}),
            None => part.clone(),
        })),
        Some(Value::Null) | None => {}
        Some(other) => parts.push(json!({"type": "text", "content": other.to_string()})),
    }
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let function = call.get("function");
        parts.push(json!({
            "type": "tool_call",
            "id": call.get("id"),
            "name": function.and_then(|function| function.get("name")),
            "arguments": function.and_then(|function| function.get("arguments")),
        }));
    }
    json!({"role": role, "parts": parts})
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

/// What the events of a stream come to: texts and arguments one after the other, and the rest as it came last.
fn put_together(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut whole = Map::new();
    let mut choices: Vec<Map<String, Value>> = Vec::new();
    for event in events.filter_map(|event| serde_json::from_str::<Map<String, Value>>(event.trim()).ok()) {
        for (key, value) in event {
            match (key.as_str(), value) {
                ("choices", Value::Array(list)) => list.into_iter().for_each(|choice| add_choice(&mut choices, choice)),
                (_, Value::Null) => {}
                (_, value) => drop(whole.insert(key, value)),
            }
        }
    }
    whole.insert("choices".to_owned(), choices.into_iter().map(Value::Object).collect());
    Value::Object(whole)
}

/// No answer has more choices, and no message more calls of tools.
const MOST: usize = 128;

fn add_choice(choices: &mut Vec<Map<String, Value>>, choice: Value) {
    let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0) as usize;
    let Some(known) = at(choices, index) else { return };
    let Value::Object(fields) = choice else { return };
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("delta", Value::Object(delta)) => {
                let message = known.entry("message").or_insert_with(|| json!({}));
                if let Value::Object(message) = message {
                    add_delta(message, delta);
                }
            }
            ("text", Value::String(more)) => append(known, "text", &more),
            (_, Value::Null) => {}
            (_, value) => drop(known.insert(key, value)),
        }
    }
}

fn add_delta(message: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (key, value) in delta {
        match (key.as_str(), value) {
            ("role", value) => drop(message.insert(key, value)),
            ("tool_calls", Value::Array(calls)) => {
                let list = message.entry("tool_calls").or_insert_with(|| json!([]));
                let Value::Array(list) = list else { continue };
                for call in calls {
                    add_tool_call(list, &call);
                }
            }
            (_, Value::String(more)) => append(message, &key, &more),
            _ => {}
        }
    }
}

fn add_tool_call(list: &mut Vec<Value>, call: &Value) {
    let index = call.get("index").and_then(Value::as_u64).unwrap_or(0) as usize;
    while list.len() <= index && list.len() < MOST {
        list.push(json!({"type": "function", "function": {}}));
    }
    let Some(Value::Object(known)) = list.get_mut(index) else { return };
    if let Some(id) = call.get("id").filter(|id| id.is_string()) {
        known.insert("id".to_owned(), id.clone());
    }
    if let Some(Value::Object(function)) = known.get_mut("function") {
        for key in ["name", "arguments"] {
            if let Some(more) = call.get("function").and_then(|function| function.get(key)?.as_str()) {
                append(function, key, more);
            }
        }
    }
}

fn at(choices: &mut Vec<Map<String, Value>>, index: usize) -> Option<&mut Map<String, Value>> {
    while choices.len() <= index && choices.len() < MOST {
        let mut choice = Map::new();
        choice.insert("index".to_owned(), choices.len().into());
        choices.push(choice);
    }
    choices.get_mut(index)
}

fn append(object: &mut Map<String, Value>, key: &str, more: &str) {
    match object.get_mut(key) {
        Some(Value::String(text)) => text.push_str(more),
        _ => drop(object.insert(key.to_owned(), more.into())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn messages(request: &'static str, response: &'static str) -> Messages {
        Messages::new(Bytes::from_static(request.as_bytes()), Bytes::from_static(response.as_bytes()))
    }

    #[test]
    fn a_stream_is_put_together() {
        let stream = concat!(
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}]}\n\n",
            ": a comment\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n"
        );
        let whole = response(&messages("{}", stream));
        assert_eq!(whole["choices"][0]["message"]["content"], "Hello");
        assert_eq!(
            whole["choices"][0]["message"]["tool_calls"][0]["function"],
            json!({"name": "f", "arguments": "{}"})
        );
        assert_eq!(
            (&whole["choices"][0]["finish_reason"], &whole["usage"]["prompt_tokens"]),
            (&json!("stop"), &json!(1))
        );
    }

    #[test]
    fn messages_have_opentelemetrys_form() {
        let asked = messages(
            r#"{"messages":[{"role":"user","content":"hi"},{"role":"user","content":[{"type":"text","text":"you"}]}]}"#,
            "",
        );
        let told = parts(&as_messages(prompt(&asked)));
        assert_eq!(told[0], json!({"role": "user", "parts": [{"type": "text", "content": "hi"}]}));
        assert_eq!(told[1]["parts"][0]["content"], "you");
        assert_eq!(
            parts(&as_messages(json!("once"))),
            json!([{"role": "user", "parts": [{"type": "text", "content": "once"}]}])
        );
    }

    #[test]
    fn what_was_cut_or_is_odd_is_a_text_or_nothing() {
        let cut = messages(r#"{"messages":[{"ro"#, r#"{"choices":[{"mess"#);
        assert!(prompt(&cut).is_string() && response(&cut).is_string());
        for odd in [
            "data: {\"choices\":[{\"index\":99999999,\"delta\":{\"content\":\"x\"}}]}\n\n",
            "data: [1]\n\n",
            "x",
            "data: {\"choices\":[7]}\n\n",
        ] {
            assert!(response(&messages("", odd)).is_object(), "{odd}");
        }
    }
}
