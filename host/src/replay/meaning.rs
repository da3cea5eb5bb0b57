//! A stream's chunks put together, as a client does it: how they were cut doesn't matter any more.

use serde_json::{Map, Value, json};

/// The whole answer that a stream amounts to.
pub fn merge(chunks: &[Value]) -> Value {
    let mut whole = Map::new();
    for chunk in chunks {
        let Some(fields) = chunk.as_object() else { continue };
        for (key, value) in fields {
            match (key.as_str(), value.as_array()) {
                ("choices", Some(choices)) => {
                    let all = whole.entry("choices").or_insert_with(|| json!([]));
                    choices.iter().for_each(|choice| merge_entry(all, choice));
                }
                _ if value.is_null() => {
                    whole.entry(key.clone()).or_insert(Value::Null);
                }
                _ => drop(whole.insert(key.clone(), value.clone())),
            }
        }
    }
    Value::Object(whole)
}

/// Adds `entry` to the entry of the same `index` in `list`, or to its end.
fn merge_entry(list: &mut Value, entry: &Value) {
    let Some(list) = list.as_array_mut() else { return };
    let index = entry.get("index").filter(|index| index.is_number());
    let known = list.iter_mut().find(|known| index.is_some() && known.get("index") == index);
    match known {
        Some(known) => add(known, entry),
        None => list.push(entry.clone()),
    }
}

/// Adds what a delta says: texts grow, lists get longer or merge by `index`, objects merge, the rest is replaced.
fn add(known: &mut Value, delta: &Value) {
    let (Value::Object(known), Value::Object(delta)) = (&mut *known, delta) else {
        *known = delta.clone();
        return;
    };
    for (key, value) in delta {
        let Some(before) = known.get_mut(key).filter(|before| !before.is_null()) else {
            known.insert(key.clone(), value.clone());
            continue;
        };
        // These name a thing; they come again and don't grow.
        let names = matches!(key.as_str(), "index" | "type" | "role" | "id" | "name" | "finish_reason");
        match (before, value) {
            (_, Value::Null) => {}
            (Value::String(before), Value::String(more)) if !names => before.push_str(more),
            (before @ Value::Array(_), Value::Array(more)) => more.iter().for_each(|entry| merge_entry(before, entry)),
            (before @ Value::Object(_), Value::Object(_)) => add(before, value),
            (before, _) => *before = value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_texts_and_of_tool_calls_come_together() {
        let chunk = |delta: Value, finish: Value| json!({"id": "a", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": null});
        let tool = |delta: Value| json!({"tool_calls": [delta]});
        let whole = merge(&[
            chunk(json!({"role": "assistant", "content": "Hel"}), Value::Null),
            chunk(json!({"content": "lo"}), Value::Null),
            chunk(tool(json!({"index": 0, "id": "t", "function": {"name": "f", "arguments": "{\"a\""}})), Value::Null),
            chunk(tool(json!({"index": 0, "function": {"arguments": ":1}"}})), json!("tool_calls")),
            json!({"id": "a", "choices": [], "usage": {"prompt_tokens": 1}}),
        ]);
        assert_eq!(
            whole,
            json!({
                "id": "a",
                "choices": [{
                    "index": 0,
                    "delta": {"role": "assistant", "content": "Hello", "tool_calls": [
                        {"index": 0, "id": "t", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                    ]},
                    "finish_reason": "tool_calls",
                }],
                "usage": {"prompt_tokens": 1},
            })
        );
    }
}
