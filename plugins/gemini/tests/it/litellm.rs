//! What LiteLLM 1.109 sends for a request and makes of an answer: ours means the same, except where
//! `golden/differences.tsv` says that it differs, and why.

use std::collections::BTreeMap;

use ai_api_plugin_gemini::Gemini;
use ai_api_plugin_sdk::testing::{self, Outcome, Upstream};
use ai_api_plugin_sdk::{Loss, Operation};
use serde_json::{Map, Value, json};

use crate::{assemble, read_json, run, shared, sse, upstream};

#[test]
fn differences_from_litellm_are_all_intended() {
    let Some(folder) = shared("golden/litellm") else { return };
    let listed = listed();
    let mut differing = BTreeMap::new();
    let mut compared = 0;
    for group in ["gemini", "gemini_model", "gemini_err", "gemini_resp", "gemini_stop", "gstream"] {
        for case in read_json(&folder.join(format!("{group}.json"))).as_array().unwrap() {
            compared += 1;
            if let Err(difference) = compare(case) {
                differing.insert(case["name"].as_str().unwrap().to_owned(), difference);
            }
        }
    }
    let unlisted: Vec<_> = differing.iter().filter(|(name, _)| !listed.contains_key(*name)).collect();
    assert!(unlisted.is_empty(), "not listed: {unlisted:#?}");
    let gone: Vec<_> = listed.keys().filter(|name| !differing.contains_key(*name)).collect();
    assert!(gone.is_empty(), "no longer different: {gone:?}");
    assert!(compared >= 66, "{compared} cases");
}

/// Name and reason of each intended difference.
fn listed() -> BTreeMap<String, String> {
    let lines = include_str!("../../golden/differences.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, reason) = line.split_once('\t').unwrap_or_else(|| panic!("no reason: {line}"));
            assert!(!reason.trim().is_empty(), "no reason: {line}");
            (name.to_owned(), reason.to_owned())
        })
        .collect()
}

fn compare(case: &Value) -> Result<(), String> {
    let name = case["name"].as_str().unwrap();
    let mut body = case["kwargs"].clone();
    let drop_params = body.as_object_mut().unwrap().shift_remove("drop_params") == Some(json!(true));
    let model = body["model"].as_str().unwrap().strip_prefix("gemini/").unwrap().to_owned();
    let call = || testing::call(Operation::ChatCompletions, &model, &body);
    let upstream_path = case["upstream"][0]["path"].as_str();

    // What the gateway does with a parameter that the provider lacks.
    let refused = match testing::request::<Gemini>(call()) {
        Err(failure) => Some(failure.message),
        Ok((_, warnings)) if !drop_params => {
            warnings.into_iter().find(|warning| warning.loss == Loss::Unsupported).map(|warning| warning.path)
        }
        Ok(_) => None,
    };
    match (&refused, upstream_path) {
        (Some(_), None) => return Ok(()),
        (Some(reason), Some(_)) => return Err(format!("refused: {reason}")),
        (None, None) => return Err(format!("not refused: {}", case["error"]["message"])),
        (None, Some(path)) => {
            let (request, _) = testing::request::<Gemini>(call()).unwrap();
            let query: String = request.query.iter().map(|(name, value)| format!("?{name}={value}")).collect();
            same("path", &json!(format!("/{}{query}", request.path)), &json!(path))?;
            let ours: Value = serde_json::from_slice(&request.body).unwrap();
            same("request", &normal(ours), &normal(case["upstream"][0]["body"].clone()))?;
        }
    }
    let outcome = run(call(), &answered(name), 1);
    if let Some(error) = case.get("error") {
        let status = outcome.failure.as_ref().map(|failure| failure.status);
        return same("status", &json!(status), &error["status"]);
    }
    same_answer(case, &outcome)
}

fn same(what: &str, ours: &Value, theirs: &Value) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: ours {ours}, theirs {theirs}")) }
}

/// Proto JSON has two spellings of a name, and fields for two kinds of schema.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.into_iter().map(|(key, value)| match key.as_str() {
                "parametersJsonSchema" | "parameters" => ("parameters".to_owned(), value),
                _ => (camel(&key), normal(value)),
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(normal).collect()),
        other => other,
    }
}

fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name + &head.to_uppercase() + tail
    })
}

/// What the fake upstream answered LiteLLM: the golden cases tell only what became of it.
fn answered(name: &str) -> Upstream {
    let usage = |completion: u64| json!({"promptTokenCount": 4, "candidatesTokenCount": completion, "totalTokenCount": 4 + completion});
    let whole = |mut answer: Value, completion: u64| {
        answer["usageMetadata"] = usage(completion);
        answer["responseId"] = json!("rid1");
        upstream(200, "application/json", answer.to_string())
    };
    let text = |text: &str, reason: &str| {
        json!({"candidates": [{
            "content": {"role": "model", "parts": [{"text": text}]}, "finishReason": reason, "index": 0,
        }]})
    };
    let failed = |code: u16, status: &str, message: &str| {
        upstream(
            code,
            "application/json",
            json!({"error": {"code": code, "message": message, "status": status}}).to_string(),
        )
    };
    let streamed = |events: &[Value]| upstream(200, "text/event-stream", sse(events));
    match name.split_once('/').unwrap() {
        ("gemini_stop", reason) => whole(text("x", reason), 2),
        ("gemini_err", case) => {
            let (code, rest) = case.split_once('/').unwrap();
            let (status, words) = rest.split_once('/').unwrap();
            let message = match words {
                "API key no" => "API key not valid. Please pass a valid API key.",
                "The input " => {
                    "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."
                }
                other => other,
            };
            failed(code.parse().unwrap(), status, message)
        }
        ("gemini_resp", "blocked_prompt") => whole(json!({"promptFeedback": {"blockReason": "SAFETY"}}), 0),
        ("gemini_resp", "empty_content") => {
            whole(json!({"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}), 0)
        }
        ("gemini_resp", "grounding") => {
            let mut answer = text("x", "STOP");
            answer["candidates"][0]["groundingMetadata"] = json!({
                "webSearchQueries": ["q"],
                "groundingChunks": [{"web": {"uri": "https://e", "title": "E"}}],
                "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 1, "text": "x"}, "groundingChunkIndices": [0]}],
            });
            answer["candidates"][0]["safetyRatings"] =
                json!([{"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "NEGLIGIBLE"}]);
            whole(answer, 2)
        }
        ("gemini_resp", "image") => {
            let mut answer = text("pic", "STOP");
            let picture = json!({"inlineData": {"mimeType": "image/png", "data": "iVBO"}});
            answer["candidates"][0]["content"]["parts"].as_array_mut().unwrap().push(picture);
            whole(answer, 2)
        }
        ("gstream", "blocked") => streamed(&[json!({"promptFeedback": {"blockReason": "SAFETY"}})]),
        ("gstream", "err_mid") => streamed(&[
            text("x", "")["candidates"].take_reason(),
            json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
        ]),
        ("gstream", "text_usage") => {
            let mut last = text("lo", "STOP");
            last["usageMetadata"] = usage(2);
            streamed(&[text("Hel", "")["candidates"].take_reason(), last])
        }
        ("gstream", "thought") => streamed(&[
            json!({"candidates": [{"content": {"parts": [{"text": "hmm", "thought": true}]}}]}),
            json!({"candidates": [{"content": {"parts": [{"text": "42", "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}]}),
        ]),
        _ => whole(text("Hi", "STOP"), 2),
    }
}

trait TakeReason {
    /// The same event of a stream that goes on.
    fn take_reason(&self) -> Value;
}

impl TakeReason for Value {
    fn take_reason(&self) -> Value {
        let mut candidates = self.clone();
        candidates[0].as_object_mut().unwrap().shift_remove("finishReason");
        json!({"candidates": candidates})
    }
}

fn same_answer(case: &Value, outcome: &Outcome) -> Result<(), String> {
    let (ours, theirs) = match case["chunks"].as_array() {
        Some(chunks) => (assemble(&outcome.chunks), merge(chunks)),
        None => (outcome.answer.clone().unwrap_or_default(), case["response"].clone()),
    };
    let (our, their) = (&ours["choices"][0], &theirs["choices"][0]);
    for key in ["content", "reasoning_content"] {
        same(key, &our["message"][key], &their["message"][key])?;
    }
    same("finish_reason", &our["finish_reason"], &their["finish_reason"])?;
    for key in ["images", "annotations", "tool_calls"] {
        let list = |message: &Value| json!(message[key].as_array().cloned().unwrap_or_default());
        same(key, &list(&our["message"]), &list(&their["message"]))?;
    }
    let signatures = |choice: &Value| choice["message"]["provider_specific_fields"]["thought_signatures"].clone();
    same("signatures", &signatures(our), &signatures(their))?;
    let native = &their["provider_specific_fields"]["native_finish_reason"];
    if !native.is_null() {
        same("native_finish_reason", &our["provider_specific_fields"]["native_finish_reason"], native)?;
    }
    for key in ["vertex_ai_grounding_metadata", "vertex_ai_safety_results"] {
        let list = |answer: &Value| json!(answer[key].as_array().cloned().unwrap_or_default());
        same(key, &list(&ours), &list(&theirs))?;
    }
    for key in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        same(key, &ours["usage"][key], &theirs["usage"][key])?;
    }
    let searches = |answer: &Value| answer["usage"]["prompt_tokens_details"]["web_search_requests"].clone();
    same("web_search_requests", &searches(&ours), &searches(&theirs))
}

/// LiteLLM's chunks as one answer. It leaves out what is null.
fn merge(chunks: &[Value]) -> Value {
    let mut answer = json!({"choices": [{"message": {"content": null}, "finish_reason": null}], "usage": null});
    for chunk in chunks {
        if !chunk["usage"].is_null() {
            answer["usage"] = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        let whole = &mut answer["choices"][0];
        if !choice["finish_reason"].is_null() {
            whole["finish_reason"] = choice["finish_reason"].clone();
        }
        for key in ["content", "reasoning_content"] {
            if let Some(more) = choice["delta"][key].as_str() {
                whole["message"][key] = json!(format!("{}{more}", whole["message"][key].as_str().unwrap_or_default()));
            }
        }
        if !choice["delta"]["provider_specific_fields"].is_null() {
            whole["message"]["provider_specific_fields"] = choice["delta"]["provider_specific_fields"].clone();
        }
    }
    answer
}
