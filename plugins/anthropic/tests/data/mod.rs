//! Data that lives beside the checkout, and what answers mean.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

/// The JSON files of a folder of shared data. Where there is none, the test passes with a message, except in CI.
pub(crate) fn json_files(folder: &str) -> Vec<Value> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(folder);
    let Ok(entries) = std::fs::read_dir(&path) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", path.display());
        println!("skipped: {} is missing", path.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let json = files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "json"));
    json.map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}

/// What a whole answer says, in the words of the recordings.
pub(crate) fn meaning_of_answer(answer: &Value) -> Value {
    assert_eq!(answer["object"], "chat.completion");
    let choice = &answer["choices"][0];
    let message = &choice["message"];
    let citations = message["provider_specific_fields"]["citations"].as_array();
    let mut found = meaning_of_usage(&answer["usage"]);
    found.extend(fields(json!({
        "text": message["content"].as_str().unwrap_or_default(),
        "reasoning": message.get("reasoning_content"),
        "thinking_blocks": message.get("thinking_blocks").cloned().unwrap_or_else(|| json!([])),
        "tool_calls": message["tool_calls"].as_array().into_iter().flatten().map(meaning_of_call).collect::<Vec<_>>(),
        "finish_reason": choice["finish_reason"],
        "citations": citations.into_iter().flatten().filter_map(Value::as_array).map(Vec::len).sum::<usize>(),
    })));
    Value::Object(found)
}

/// What a stream says, put together; fails where the stream breaks a rule of OpenAI's.
pub(crate) fn meaning_of_chunks(id: &str, chunks: &[Value]) -> Value {
    let (mut text, mut reasoning) = (String::new(), None::<String>);
    let mut calls: Vec<Value> = Vec::new();
    let (mut roles, mut citations, mut finish, mut usage) = (0, 0, Vec::new(), Map::new());
    let mut thinking_blocks: Vec<Value> = Vec::new();
    for chunk in chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk", "{id}");
        assert_eq!(chunk["id"], chunks[0]["id"], "{id}");
        if let Some(found) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            usage = meaning_of_usage(found);
            assert_eq!(chunk["choices"], json!([]), "{id}: usage stands alone");
        }
        for choice in chunk["choices"].as_array().unwrap() {
            let delta = &choice["delta"];
            roles += usize::from(delta.get("role").is_some());
            text.push_str(delta["content"].as_str().unwrap_or_default());
            if let Some(piece) = delta.get("reasoning_content").and_then(Value::as_str) {
                reasoning.get_or_insert_default().push_str(piece);
            }
            citations += usize::from(delta["provider_specific_fields"].get("citation").is_some());
            let lists = delta["provider_specific_fields"]["citations"].as_array().into_iter().flatten();
            citations += lists.filter_map(Value::as_array).map(Vec::len).sum::<usize>();
            for block in delta["thinking_blocks"].as_array().into_iter().flatten() {
                merge_thinking(&mut thinking_blocks, block);
            }
            for piece in delta["tool_calls"].as_array().into_iter().flatten() {
                let index = piece["index"].as_u64().unwrap() as usize;
                if piece.get("id").is_some() {
                    assert_eq!(index, calls.len(), "{id}: calls count up from 0");
                    calls.push(piece.clone());
                } else {
                    let arguments = &mut calls[index]["function"]["arguments"];
                    let longer =
                        arguments.as_str().unwrap().to_owned() + piece["function"]["arguments"].as_str().unwrap();
                    *arguments = json!(longer);
                }
            }
            finish.extend(choice.get("finish_reason").filter(|reason| !reason.is_null()).cloned());
        }
    }
    assert_eq!(roles, 1, "{id}: the role comes once");
    assert_eq!(finish.len(), 1, "{id}: one reason to finish");
    usage.extend(fields(json!({
        "text": text,
        "reasoning": reasoning,
        "thinking_blocks": thinking_blocks,
        "tool_calls": calls.iter().map(meaning_of_call).collect::<Vec<_>>(),
        "finish_reason": finish[0],
        "citations": citations,
    })));
    Value::Object(usage)
}

/// LiteLLM streams a block in pieces, we stream it whole.
fn merge_thinking(blocks: &mut Vec<Value>, piece: &Value) {
    let mut piece = piece.clone();
    let index = piece.as_object_mut().unwrap().remove("index");
    let last = blocks.last_mut().filter(|last| {
        index.is_some() && last["type"] == "thinking" && piece["type"] == "thinking" && last.get("signature").is_none()
    });
    match last {
        Some(last) => {
            last["thinking"] =
                json!(last["thinking"].as_str().unwrap().to_owned() + piece["thinking"].as_str().unwrap());
            if let Some(signature) = piece.get("signature") {
                last["signature"] = signature.clone();
            }
        }
        None => blocks.push(piece),
    }
}

fn meaning_of_call(call: &Value) -> Value {
    let text = call["function"]["arguments"].as_str().unwrap();
    // LiteLLM leaves the arguments of a call without input empty in streams.
    let text = if text.is_empty() { "{}" } else { text };
    let arguments = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    json!({"id": call["id"], "name": call["function"]["name"], "arguments": arguments})
}

fn meaning_of_usage(usage: &Value) -> Map<String, Value> {
    fields(json!({
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "total_tokens": usage["total_tokens"],
        "cached_tokens": usage["prompt_tokens_details"]["cached_tokens"],
        "reasoning_tokens": usage["completion_tokens_details"]["reasoning_tokens"],
        "cache_creation_tokens": usage["cache_creation_input_tokens"],
    }))
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}
