//! What an agent sends back of our own answers loses nothing: its operator may have said `strict`.

use ai_api_plugin_gemini::Gemini;
use ai_api_plugin_sdk::{Operation, testing};
use serde_json::{Value, json};

use crate::{assemble, run, sse, upstream};

#[test]
fn an_agents_second_step_has_no_warnings() {
    let call = |city: &str| json!({"functionCall": {"name": "get_weather", "args": {"city": city}}});
    let mut signed = call("Oslo");
    signed["thoughtSignature"] = json!("c2ln");
    let parts = json!([{"text": "hmm", "thought": true, "thoughtSignature": "dGg="}, {"text": "One moment."},
        signed, call("Rome")]);
    let event = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]});
    for (model, streaming) in [
        ("gemini-2.5-flash", false),
        ("gemini-2.5-flash", true),
        ("gemini-3-flash-preview", false),
        ("gemini-3-flash-preview", true),
    ] {
        let user = json!({"role": "user", "content": "How warm is it in Oslo and in Rome?"});
        let first = body(json!([user]), streaming);
        let call = testing::call(Operation::ChatCompletions, model, &first);
        let mut message = if streaming {
            let outcome = run(call, &upstream(200, "text/event-stream", sse(std::slice::from_ref(&event))), 1);
            assemble(&outcome.chunks)["choices"][0]["message"].clone()
        } else {
            let outcome = run(call, &upstream(200, "application/json", event.to_string()), 1);
            outcome.answer.unwrap()["choices"][0]["message"].clone()
        };
        for (key, value) in [("annotations", json!([])), ("refusal", json!(null)), ("parsed", json!(null))] {
            message[key] = value;
        }
        assert_eq!(message["reasoning_content"], "hmm");
        assert_eq!(message["thinking_blocks"][0]["signature"], "dGg=");
        let result = |index: usize| {
            let id = message["tool_calls"][index]["id"].clone();
            json!({"role": "tool", "tool_call_id": id, "content": "{\"degrees\": 3}"})
        };
        let results = [result(1), result(0)];
        let second = body(json!([user, message, results[0], results[1]]), streaming);
        let (request, warnings) =
            testing::request::<Gemini>(testing::call(Operation::ChatCompletions, model, &second)).unwrap();
        assert!(warnings.is_empty(), "{model}, streaming {streaming}: {warnings:?}");
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(sent["contents"][1]["parts"][1]["thoughtSignature"], "c2ln");
        assert_eq!(sent["toolConfig"]["functionCallingConfig"]["mode"], "VALIDATED");
    }
}

#[test]
fn thoughts_whose_signature_is_lost_are_told_where_gemini_wants_it() {
    for (model, paths) in [
        ("gemini-2.5-flash", vec![]),
        ("gemini-3-flash-preview", vec!["messages[1].reasoning_content", "messages[1].thinking_blocks"]),
    ] {
        let call = json!({"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}});
        let block = json!({"type": "thinking", "thinking": "hmm", "signature": "of another provider"});
        let answer = json!({"role": "assistant", "reasoning_content": "hmm", "thinking_blocks": [block],
            "tool_calls": [call]});
        let result = json!({"role": "tool", "tool_call_id": "a", "content": "3"});
        let body = body(json!([{"role": "user", "content": "x"}, answer, result]), false);
        let (_, warnings) =
            testing::request::<Gemini>(testing::call(Operation::ChatCompletions, model, &body)).unwrap();
        let found: Vec<_> = warnings.into_iter().map(|warning| warning.path).collect();
        assert_eq!(found, paths, "{model}");
    }
}

fn body(messages: Value, streaming: bool) -> Value {
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": false});
    let tool = json!({"type": "function", "function": {"name": "get_weather", "strict": true, "parameters": city}});
    json!({"messages": messages, "tools": [tool], "stream": streaming})
}
