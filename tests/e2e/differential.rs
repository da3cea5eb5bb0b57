//! What LiteLLM does with a call, this gateway does too, unless it is listed with the reason why not.
//!
//! The translators have their own differential tests, natively and for every case; here a sample goes through the
//! real components, and everything of OpenAI's through the way that enters no component.

use std::sync::{Arc, Mutex};

use ai_api_e2e::{Answer, Client, FakeUpstream, Gateway, Received, Reply, Wire, shared_json};
use serde_json::{Value, json};

use crate::exceptions::Findings;
use crate::trio::caught;

/// All cases of these.
const GROUPS: [&str; 9] =
    ["openai", "openai_err", "ostream", "emb", "img", "anthropic_err", "anthropic_stop", "gemini_err", "gemini_stop"];
/// And these of others.
const SAMPLE: [&str; 18] = [
    "anthropic/sys",
    "anthropic/tools",
    "anthropic/tool_choice_named",
    "anthropic/tool_choice_none",
    "anthropic/image_b64",
    "anthropic/file_b64_pdf",
    "anthropic/params_drop",
    "anthropic/n2",
    "anthropic/max_completion_tokens",
    "anthropic/top_k",
    "gemini/sys",
    "gemini/params",
    "gemini/stop_str",
    "gemini/tool_roundtrip",
    "gemini/tool_choice_named",
    "gemini/file_b64_pdf",
    "gemini/max_completion_tokens",
    "gemini/effort_low",
];

#[tokio::test]
async fn a_call_means_to_the_provider_and_to_the_client_what_it_means_with_litellm() {
    let Some(cases) = cases() else { return };
    let reply = Arc::new(Mutex::new(Reply::status(500)));
    let script = Arc::clone(&reply);
    let upstream = FakeUpstream::answering(move |_| script.lock().expect("no test panics inside").clone());
    let builder = [Wire::OpenAi, Wire::Anthropic, Wire::Gemini].iter().fold(Gateway::builder(), |builder, wire| {
        let every = format!("{}/*", wire.model().split('/').next().expect("a prefix"));
        let base = wire.base_of(&upstream.origin());
        builder.model(&every, &every, &base).model_with(
            &format!("dropping/{every}"),
            &every,
            &base,
            json!({"drop_params": true}),
        )
    });
    let gateway = builder.start().await;
    let table = include_str!("differential_differences.tsv");
    let mut findings = Findings::new("tests/e2e/differential_differences.tsv", table);
    for case in cases {
        let name = case["name"].as_str().expect("a name").to_owned();
        *reply.lock().expect("no test panics inside") = upstream_reply(&case);
        let before = upstream.hits();
        let outcome = caught(call(gateway.client(), case.clone())).await;
        let sent = upstream.requests().split_off(before);
        let problems = match outcome {
            Ok(answered) => requests(&case, &sent).into_iter().chain(answered).collect(),
            Err(panic) => vec![panic],
        };
        findings.note(&name, problems);
    }
    findings.conclude();
}

fn cases() -> Option<Vec<Value>> {
    let mut all = Vec::new();
    for group in GROUPS.into_iter().chain(["anthropic", "gemini"]) {
        let cases = shared_json(&format!("golden/litellm/{group}.json"))?;
        let wanted = |case: &&Value| GROUPS.contains(&group) || SAMPLE.iter().any(|name| case["name"] == *name);
        all.extend(cases.as_array().expect("a list").iter().filter(wanted).cloned());
    }
    Some(all)
}

/// Makes the case's call and compares what the client gets.
async fn call(client: Client, case: Value) -> Vec<String> {
    let (path, body) = request(&case);
    if body["stream"] == true {
        return streamed(&client, &case, &body).await;
    }
    let answer = client.post(path, &body).await;
    match case.get("error") {
        Some(error) => failed(&answer, error),
        None => answered(&answer.ok(), &case["response"]),
    }
}

async fn streamed(client: &Client, case: &Value, body: &Value) -> Vec<String> {
    let transcript = client.open("/v1/chat/completions", body).await.transcript().await;
    if case.get("error").is_some() {
        let fine = transcript.error.is_some() && !transcript.done;
        return if fine { Vec::new() } else { vec![format!("no error: {transcript:?}")] };
    }
    let chunks = case["chunks"].as_array().cloned().unwrap_or_default();
    let deltas = |chunks: &[Value]| -> String {
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
    };
    let (got, wanted) = (deltas(&transcript.chunks), deltas(&chunks));
    let mut problems = transcript.flaws(false);
    if got != wanted {
        problems.push(format!("text {got:?}, LiteLLM {wanted:?}"));
    }
    problems
}

fn failed(answer: &Answer, error: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if error["status"] != answer.status {
        problems.push(format!("status {}, LiteLLM {}", answer.status, error["status"]));
    }
    let words = words(error["message"].as_str().unwrap_or_default());
    let message = answer.message();
    let told = match &words {
        Some(words) => message.contains(words.as_str()),
        // LiteLLM's own words, as `anthropic does not support parameters: ['n']`: the parameter has to be named.
        None => error["message"]
            .as_str()
            .is_some_and(|theirs| named_in_quotes(theirs).is_none_or(|name| message.contains(name))),
    };
    if !told {
        problems.push(format!("message {message:?}, LiteLLM {}", error["message"]));
    }
    problems
}

fn answered(got: &Value, theirs: &Value) -> Vec<String> {
    let pointers = [
        "/choices/0/message/content",
        "/choices/0/finish_reason",
        "/usage/prompt_tokens",
        "/usage/completion_tokens",
        "/usage/total_tokens",
        "/data/0/embedding",
        "/data/0/url",
        "/data/0/b64_json",
        "/data/0/revised_prompt",
    ];
    let differs = |pointer: &&str| {
        let wanted = theirs.pointer(pointer).filter(|value| !value.is_null() && **value != json!(0));
        wanted.is_some_and(|wanted| got.pointer(pointer) != Some(wanted))
    };
    let differing = pointers.into_iter().filter(differs);
    differing.map(|at| format!("answer{at}: {:?}, LiteLLM {:?}", got.pointer(at), theirs.pointer(at))).collect()
}

/// Compares what reached the provider.
fn requests(case: &Value, sent: &[Received]) -> Vec<String> {
    let theirs = case["upstream"].as_array().cloned().unwrap_or_default();
    let ([ours], [theirs]) = (sent, theirs.as_slice()) else {
        let fine = sent.len() == theirs.len();
        return if fine { Vec::new() } else { vec![format!("{} requests, LiteLLM {}", sent.len(), theirs.len())] };
    };
    let mut problems = Vec::new();
    let target = if ours.query.is_empty() { ours.path.clone() } else { format!("{}?{}", ours.path, ours.query) };
    // LiteLLM's Gemini cases were recorded with a base URL without /v1beta.
    if target.trim_start_matches("/v1beta") != theirs["path"] {
        problems.push(format!("path {target}, LiteLLM {}", theirs["path"]));
    }
    let (mut body, mut wanted) = (camel_case(&ours.json()), camel_case(&theirs["body"]));
    let kwargs = &case["kwargs"];
    let given = ["max_tokens", "max_completion_tokens", "thinking", "reasoning_effort"];
    if given.iter().all(|name| kwargs.get(name).is_none()) {
        // Ours is the model's real limit, LiteLLM's 128000.
        take(&mut body, "maxTokens");
        take(&mut wanted, "maxTokens");
    }
    if kwargs["stream"] == true && kwargs.get("stream_options").is_none() && theirs["path"] == "/v1/chat/completions" {
        // Usage is always asked for, for accounting.
        if take(&mut body, "streamOptions") != Some(json!({"includeUsage": true})) {
            problems.push("usage was not asked for".to_owned());
        }
    }
    if body != wanted {
        problems.push(format!("sent {body}, LiteLLM {wanted}"));
    }
    problems
}

/// The client's call: its path and its body.
fn request(case: &Value) -> (&'static str, Value) {
    let mut body = case["kwargs"].clone();
    let fields = body.as_object_mut().expect("an object");
    // LiteLLM's own arguments, and what its test run left in `metadata`.
    fields.shift_remove("max_retries");
    if fields.shift_remove("drop_params") == Some(json!(true)) {
        let model = fields["model"].as_str().expect("a model").to_owned();
        fields["model"] = json!(format!("dropping/{model}"));
    }
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("llm_api_timing_windows");
    }
    let path = match () {
        () if fields.contains_key("input") => "/v1/embeddings",
        () if fields.contains_key("prompt") => "/v1/images/generations",
        () => "/v1/chat/completions",
    };
    (path, body)
}

/// What the provider answers, made from what LiteLLM gave its caller.
fn upstream_reply(case: &Value) -> Reply {
    let name = case["name"].as_str().expect("a name");
    let wire = match case["kwargs"]["model"].as_str().expect("a model").split('/').next() {
        Some("anthropic") => Wire::Anthropic,
        Some("gemini") => Wire::Gemini,
        _ => Wire::OpenAi,
    };
    match name {
        "ostream/text" => return wire.stream_reply(&["Hel", "lo"]),
        "ostream/err_mid" => {
            return Reply::events(wire.opening()).send(wire.text("Hel")).send(wire.error_event("server had an error"));
        }
        _ => {}
    }
    let parts: Vec<&str> = name.split('/').collect();
    if let (Some(error), Some(status)) = (case.get("error"), parts.get(1).and_then(|status| status.parse().ok())) {
        let message = error["message"].as_str().unwrap_or_default();
        let body = match (wire, words(message)) {
            (Wire::OpenAi, Some(words)) => {
                let code = parts.get(2).filter(|code| **code != "None");
                json!({"error": {"message": words, "type": "invalid_request_error", "param": null, "code": code}})
            }
            _ => embedded(message).unwrap_or_default(),
        };
        return Reply::json(status, &body);
    }
    let response = &case["response"];
    if response["data"].is_array() {
        return Reply::json(200, response);
    }
    let text = response["choices"][0]["message"]["content"].as_str().unwrap_or("x");
    let mut answer = wire.answer(text);
    let (tokens, reason) = (&response["usage"], if name.contains("_stop/") { parts[1] } else { "" });
    match wire {
        Wire::OpenAi => answer["usage"] = tokens.clone(),
        Wire::Anthropic => {
            answer["usage"] =
                json!({"input_tokens": tokens["prompt_tokens"], "output_tokens": tokens["completion_tokens"]});
            if !reason.is_empty() {
                answer["stop_reason"] = json!(reason);
            }
        }
        Wire::Gemini => {
            answer["usageMetadata"] = json!({"promptTokenCount": tokens["prompt_tokens"],
                "candidatesTokenCount": tokens["completion_tokens"], "totalTokenCount": tokens["total_tokens"]});
            if !reason.is_empty() {
                answer["candidates"][0]["finishReason"] = json!(reason);
            }
        }
    }
    Reply::json(200, &answer)
}

/// The provider's message inside LiteLLM's.
fn words(message: &str) -> Option<String> {
    if let Some(body) = embedded(message) {
        return body["error"]["message"].as_str().map(str::to_owned);
    }
    message.rsplit_once("OpenAIException - ").map(|(_, words)| words.to_owned())
}

/// The provider's body inside LiteLLM's message.
fn embedded(message: &str) -> Option<Value> {
    let json = message.get(message.find('{')?..=message.rfind('}')?)?;
    serde_json::from_str(json).ok()
}

fn named_in_quotes(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("parameters: ['")?;
    rest.split('\'').next()
}

/// Gemini takes both spellings of a field; so do its own examples.
fn camel_case(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (camel(key), camel_case(value))).collect(),
        Value::Array(items) => items.iter().map(camel_case).collect(),
        other => other.clone(),
    }
}

fn camel(key: &str) -> String {
    let mut words = key.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| format!("{text}{}{}", word[..1].to_uppercase(), &word[1..]))
}

fn take(body: &mut Value, key: &str) -> Option<Value> {
    body.as_object_mut().and_then(|fields| fields.shift_remove(key))
}
