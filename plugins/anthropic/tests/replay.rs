//! Our own answers, sent back as OpenAI's clients send them: nothing is lost, so that nothing is told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail with a panic, helpers too")]

mod client;

use ai_api_plugin_anthropic::Anthropic;
use ai_api_plugin_sdk::testing::{Upstream, call, request, run};
use ai_api_plugin_sdk::{Header, Operation};
use serde_json::{Value, json};

/// Anthropic's answer `content` to `body` as the client holds it.
fn answer(body: &Value, content: &[Value]) -> Value {
    let streaming = body["stream"] == true;
    let (media, text) =
        if streaming { ("text/event-stream", stream(content)) } else { ("application/json", whole(content)) };
    let headers = vec![Header { name: "content-type".to_owned(), value: media.to_owned() }];
    let upstream = Upstream { status: 200, headers, body: text.into_bytes() };
    let model = body["model"].as_str().unwrap();
    let outcome = run::<Anthropic>(call(Operation::ChatCompletions, model, body), &upstream, 3);
    assert_eq!(outcome.failure.map(|failure| failure.message), None);
    assert!(outcome.warnings.is_empty(), "{:?}", outcome.warnings);
    let mut message = match outcome.answer {
        Some(answer) => answer["choices"][0]["message"].clone(),
        None => client::message(&outcome.chunks),
    };
    // OpenAI's SDKs write these into what they send back.
    for key in ["refusal", "audio", "function_call"] {
        message[key] = json!(null);
    }
    if message.get("annotations").is_none() {
        message["annotations"] = json!([]);
    }
    message["parsed"] = json!({"anything": 1});
    for (index, call) in message["tool_calls"].as_array_mut().into_iter().flatten().enumerate() {
        call["index"] = json!(index);
        call["function"]["parsed_arguments"] = json!({"anything": 1});
    }
    message
}

fn whole(content: &[Value]) -> String {
    json!({"type": "message", "content": content, "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 1}})
    .to_string()
}

fn stream(content: &[Value]) -> String {
    let mut events = vec![json!({"type": "message_start", "message": {"usage": {"input_tokens": 1}}})];
    for (index, block) in content.iter().enumerate() {
        let mut start = block.clone();
        let mut deltas = Vec::new();
        for (field, delta) in [("text", "text"), ("thinking", "thinking"), ("signature", "signature")] {
            if let Some(text) = start.get_mut(field) {
                deltas.push(json!({(delta): text.take()}));
                *text = json!("");
            }
        }
        if let Some(input) = start.get_mut("input") {
            // With spaces, as models write it.
            deltas.push(json!({"partial_json": serde_json::to_string_pretty(&input.take()).unwrap()}));
            *input = json!({});
        }
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        events
            .extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn thinking(text: &str) -> Value {
    json!({"type": "thinking", "thinking": text, "signature": format!("signature of {text}")})
}

fn tool_use(id: &str, name: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": {"city": "Paris"}})
}

fn result(id: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": "20C"})
}

/// What `body` becomes; it must lose nothing.
fn sent(body: &Value) -> Value {
    let model = body["model"].as_str().unwrap();
    let (http, warnings) = request::<Anthropic>(call(Operation::ChatCompletions, model, body)).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    serde_json::from_slice(&http.body).unwrap()
}

#[test]
fn an_agents_loop_loses_nothing() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": false});
    let function = json!({"name": "get_weather", "description": "Weather.", "parameters": schema, "strict": true});
    for streaming in [false, true] {
        let mut body = json!({"model": "claude-sonnet-4-6", "reasoning_effort": "high", "stream": streaming,
            "tools": [{"type": "function", "function": function}], "tool_choice": "auto",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]});
        let first = vec![
            thinking("one"),
            json!({"type": "redacted_thinking", "data": "zz"}),
            json!({"type": "text", "text": "I'll look."}),
            tool_use("toolu_1", "get_weather"),
            tool_use("toolu_2", "get_weather"),
        ];
        let second = vec![thinking("two"), thinking("three"), tool_use("toolu_3", "get_weather")];
        let messages = |body: &mut Value, more: Vec<Value>| body["messages"].as_array_mut().unwrap().extend(more);
        let message = answer(&body, &first);
        messages(&mut body, vec![message, result("toolu_1"), result("toolu_2")]);
        let message = answer(&body, &second);
        messages(&mut body, vec![message, result("toolu_3")]);
        let body = sent(&body);
        assert_eq!(body["messages"][1]["content"], json!(first), "streaming: {streaming}");
        assert_eq!(body["messages"][3]["content"], json!(second), "streaming: {streaming}");
    }
}

#[test]
fn reasoning_between_texts_goes_back_where_it_was() {
    for streaming in [false, true] {
        let mut body = json!({"model": "claude-sonnet-4-6", "reasoning_effort": "low", "stream": streaming,
            "messages": [{"role": "user", "content": "q"}]});
        let text = |text: &str| json!({"type": "text", "text": text});
        let content = [thinking("one"), text("a"), thinking("two"), text("b")];
        let message = answer(&body, &content);
        body["messages"].as_array_mut().unwrap().extend([message, json!({"role": "user", "content": "more"})]);
        assert_eq!(sent(&body)["messages"][1]["content"], json!(content), "streaming: {streaming}");
    }
}

#[test]
fn an_answer_in_a_tool_after_a_search_can_be_sent_back() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": false});
    for streaming in [false, true] {
        let mut body = json!({"model": "claude-sonnet-4-20250514", "web_search_options": {}, "stream": streaming,
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
            "messages": [{"role": "user", "content": "q"}]});
        let search = [
            json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}),
            json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
        ];
        let talk = json!({"type": "text", "text": "Here it is:"});
        let mut content = search.to_vec();
        content.extend([talk, tool_use("toolu_1", "json_tool_call")]);
        let mut message = answer(&body, &content);
        message["cache_control"] = json!({"type": "ephemeral"});
        let text = message["content"].clone();
        assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), json!({"city": "Paris"}));
        body["messages"].as_array_mut().unwrap().extend([message, json!({"role": "user", "content": "more"})]);
        let mut expected = search.to_vec();
        expected.push(json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}));
        assert_eq!(sent(&body)["messages"][1]["content"], json!(expected), "streaming: {streaming}");
    }
}
