//! Streams as OpenAI's own clients put them together.

use serde_json::{Map, Value, json};

/// The message that a client ends up with. Both helpers must agree on all but the reasoning's text, of which
/// openai-node's keeps the last piece.
pub(crate) fn message(chunks: &[Value]) -> Value {
    let message = message_of_python(chunks);
    for (key, value) in unknown_fields_of_node(chunks) {
        assert!(key == "reasoning_content" || message[&key] == value, "{key} differs");
    }
    message
}

/// The message that openai-python's `chat.completions.stream()` hands over (`lib/streaming/_deltas.py`).
fn message_of_python(chunks: &[Value]) -> Value {
    let mut message = Map::new();
    for delta in deltas(chunks) {
        accumulate(&mut message, delta);
    }
    Value::Object(message)
}

/// What openai-node's helper keeps of fields that it doesn't know (`lib/ChatCompletionStream.ts`): the last value.
fn unknown_fields_of_node(chunks: &[Value]) -> Map<String, Value> {
    let known = ["role", "content", "refusal", "function_call", "tool_calls"];
    let fields = deltas(chunks).flatten().filter(|(key, _)| !known.contains(&key.as_str()));
    fields.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn deltas(chunks: &[Value]) -> impl Iterator<Item = &Map<String, Value>> {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"].as_object())
}

fn accumulate(all: &mut Map<String, Value>, delta: &Map<String, Value>) {
    for (key, more) in delta {
        match (all.get_mut(key), more) {
            (None | Some(Value::Null), _) => drop(all.insert(key.clone(), more.clone())),
            (Some(old), _) if key == "index" || key == "type" => *old = more.clone(),
            (Some(Value::String(old)), Value::String(more)) => old.push_str(more),
            (Some(Value::Object(old)), Value::Object(more)) => accumulate(old, more),
            (Some(Value::Array(old)), Value::Array(more)) => {
                for entry in more {
                    let index = entry.get("index").and_then(Value::as_u64);
                    let index = index.expect("Expected list delta entry to have an `index` key") as usize;
                    match old.get_mut(index) {
                        Some(old) => accumulate(old.as_object_mut().unwrap(), entry.as_object().unwrap()),
                        None => old.insert(index, entry.clone()),
                    }
                }
            }
            (Some(old), more) => assert_eq!(&json!(old), more, "{key} can't be accumulated"),
        }
    }
}
