//! Answers with what it was asked: the smallest complete plugin, and the one to copy when starting another.
//!
//! It needs no provider, so that a gateway without any key still does its job. A real plugin returns
//! [`Begun::Send`] from `begin` and reads the provider's answer in `whole`, `events` and `end`.

use ai_api_plugin_sdk::canonical::{
    AssistantMessage, ChatCompletion, ChatRequest, ChunkWriter, Delta, FinishReason, Role, UsageBody,
};
use ai_api_plugin_sdk::json::{Object, Path};
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, HttpResponse, Manifest, Operation,
    Provider, Support, Usage, Warning, export_provider, failure,
};

/// Every call is answered in `begin`; nothing has to be remembered.
#[derive(Debug)]
pub struct Echo;

impl Provider for Echo {
    fn manifest() -> Manifest {
        Manifest {
            name: "echo".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: String::new(),
            credential: Credential::None,
            operations: vec![Support { operation: Operation::ChatCompletions, native: None, translated: Vec::new() }],
            parameters: Vec::new(),
            reusable: false,
        }
    }

    fn begin(call: Call) -> Result<Begin<Self>, Failure> {
        let request = ChatRequest::parse(&call.body)?;
        let text = last_user_text(&request);
        let usage = count_words(&request, &text);
        let begun = if call.streaming {
            Begun::ReplyStream(stream(&call, &text, &usage, request.include_usage))
        } else {
            Begun::Reply(whole(&call, &text, usage))
        };
        let warnings = losses(request);
        Ok(Begin { exchange: Self, begun, warnings })
    }

    fn streaming(&self) -> bool {
        false
    }

    fn whole(&mut self, _response: HttpResponse) -> Result<Completion, Failure> {
        Err(failure::malformed("echo asks no provider"))
    }

    fn events(&mut self, _events: Vec<Event>) -> Result<Batch, Failure> {
        Err(failure::malformed("echo asks no provider"))
    }

    fn end(&mut self, _ending: Ending) -> Result<Batch, Failure> {
        Err(failure::malformed("echo asks no provider"))
    }
}

/// Everything beside the messages, which an echo has no use for. A real translator carries over what its provider has.
fn losses(request: ChatRequest<'_>) -> Vec<Warning> {
    let unused = [
        ("tools", !request.tools.is_empty()),
        ("tool_choice", request.tool_choice.is_some()),
        ("parallel_tool_calls", request.parallel_tool_calls.is_some()),
        ("response_format", request.response_format.is_some()),
        ("reasoning_effort", request.reasoning_effort.is_some()),
        ("stop", !request.stop.is_empty()),
        ("max_tokens", request.max_tokens.is_some()),
        ("temperature", request.temperature.is_some()),
        ("top_p", request.top_p.is_some()),
    ];
    let mut warnings = request.lost;
    for (name, _) in unused.into_iter().filter(|(_, given)| *given) {
        warnings.dropped(name);
    }
    warnings.dropped_fields(&request.rest, &Path::Root);
    warnings.into_vec()
}

/// What is said back: the last thing that the user said.
fn last_user_text(request: &ChatRequest<'_>) -> String {
    request.messages.iter().rev().find(|message| message.role == Role::User).map(|user| user.text()).unwrap_or_default()
}

/// A word is a token here; there is no tokenizer behind an echo.
fn count_words(request: &ChatRequest<'_>, answer: &str) -> Usage {
    let words = |text: &str| text.split_whitespace().count() as u64;
    Usage {
        prompt_tokens: request.messages.iter().map(|message| words(&message.text())).sum(),
        completion_tokens: words(answer),
        cache_read_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
    }
}

fn whole(call: &Call, text: &str, usage: Usage) -> Completion {
    let message = AssistantMessage { content: Some(text.into()), ..AssistantMessage::default() };
    ChatCompletion::new(call, message, FinishReason::Stop, Some(UsageBody::new(&usage))).into_completion(Some(usage))
}

/// One chunk for each word, so that a stream looks like one.
fn stream(call: &Call, text: &str, usage: &Usage, include_usage: bool) -> Batch {
    let mut chunks = ChunkWriter::new(call);
    for word in text.split_inclusive(' ') {
        chunks.delta(0, Delta::content(word));
    }
    chunks.finish(0, FinishReason::Stop, Object::new());
    if include_usage {
        chunks.usage(&UsageBody::new(usage));
    }
    Batch { chunks: chunks.take(), usage: Some(*usage), done: true }
}

export_provider!(Echo);

#[cfg(test)]
mod tests {
    use ai_api_plugin_sdk::testing::{Upstream, call, run};
    use serde_json::json;

    use super::*;

    const NO_UPSTREAM: Upstream = Upstream { status: 500, headers: Vec::new(), body: Vec::new() };

    #[test]
    fn the_last_user_message_comes_back() {
        let body = json!({"model": "echo", "messages": [
            {"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}, {"role": "user", "content": "three four"},
        ]});
        let outcome = run::<Echo>(call(Operation::ChatCompletions, "echo", &body), &NO_UPSTREAM, 1);
        let answer = outcome.answer.expect("echo answers");
        assert_eq!(answer["choices"][0]["message"]["content"], "three four");
        assert_eq!(answer["usage"]["prompt_tokens"], 4);
    }

    #[test]
    fn a_stream_has_a_chunk_for_each_word_and_usage_if_asked_for() {
        let mut body = json!({"model": "echo", "stream": true, "messages": [{"role": "user", "content": "a b c"}]});
        let run_with =
            |body: &serde_json::Value| run::<Echo>(call(Operation::ChatCompletions, "echo", body), &NO_UPSTREAM, 1);
        assert_eq!(run_with(&body).chunks.len(), 4);
        body["stream_options"] = json!({"include_usage": true});
        let chunks = run_with(&body).chunks;
        assert_eq!(chunks.last().expect("a chunk")["usage"]["completion_tokens"], 3);
    }

    #[test]
    fn what_an_echo_has_no_use_for_is_told() {
        let body = json!({"messages": [{"role": "user", "content": "x"}], "temperature": 1, "seed": 2});
        let outcome = run::<Echo>(call(Operation::ChatCompletions, "echo", &body), &NO_UPSTREAM, 1);
        assert_eq!(outcome.warnings.iter().map(|warning| &*warning.path).collect::<Vec<_>>(), ["temperature", "seed"]);
    }
}
