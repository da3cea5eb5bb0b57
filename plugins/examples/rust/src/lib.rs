//! Canonical to Acme's "talk" API and back.

use ai_api_plugin_sdk::canonical::{
    AssistantMessage, ChatCompletion, ChatRequest, ChunkWriter, Delta, FinishReason, Message, PartKind, ResponseFormat,
    Role, UsageBody,
};
use ai_api_plugin_sdk::json::{Json, Object, Path, Warnings};
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, Header, HttpRequest, HttpResponse,
    Manifest, Operation, Provider, Support, Usage, export_provider, failure, object,
};

/// One call, as far as it has to be remembered until the answer is complete.
#[derive(Debug)]
pub struct Acme {
    call: Call,
    include_usage: bool,
    chunks: ChunkWriter,
}

impl Provider for Acme {
    fn manifest() -> Manifest {
        Manifest {
            name: "acme".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: "https://api.acme.example/v2".to_owned(),
            credential: Credential::Header("acme-key".to_owned()),
            operations: vec![Support { operation: Operation::ChatCompletions, native: None, translated: Vec::new() }],
            parameters: Vec::new(),
            reusable: false,
        }
    }

    fn begin(mut call: Call) -> Result<Begin<Self>, Failure> {
        let request = ChatRequest::parse(&call.body)?;
        let include_usage = request.include_usage;
        let (body, warnings) = translate(&call, request)?;
        let send = HttpRequest {
            method: "POST".to_owned(),
            path: "talk".to_owned(),
            query: Vec::new(),
            headers: vec![Header { name: "acme-version".to_owned(), value: "3".to_owned() }],
            body,
        };
        // The request is on its way: its bytes needn't be kept for as long as a stream runs.
        call.body = Vec::new();
        let exchange = Self { chunks: ChunkWriter::new(&call), call, include_usage };
        Ok(Begin { exchange, begun: Begun::Send(send), warnings: warnings.into_vec() })
    }

    fn streaming(&self) -> bool {
        self.call.streaming
    }

    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure> {
        let body = Json::parse(&response.body).unwrap_or_default();
        if !(200..300).contains(&response.status) {
            let why = body.get("trouble").and_then(|trouble| trouble.get("why")).and_then(Json::as_str);
            let message = why.map_or_else(|| format!("acme answered {}", response.status), str::to_owned);
            return Err(failure::from_status(response.status, message, &response.headers));
        }
        let text = body
            .get("reply")
            .and_then(Json::as_str)
            .ok_or_else(|| failure::malformed("acme answered without a reply"))?;
        let usage = usage(&body);
        let message = AssistantMessage { content: Some(text.into()), ..AssistantMessage::default() };
        let usage_body = usage.as_ref().map(UsageBody::new);
        Ok(ChatCompletion::new(&self.call, message, finish_reason(&body), usage_body).into_completion(usage))
    }

    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        let (mut used, mut done) = (None, false);
        for event in events {
            let data =
                Json::parse(&event.data).map_err(|_| failure::malformed("acme sent an event that is not JSON"))?;
            match event.name.as_deref() {
                Some("word") => {
                    self.chunks.delta(0, Delta::content(data.get("text").and_then(Json::as_str).unwrap_or_default()))
                }
                Some("end") => {
                    self.chunks.finish(0, finish_reason(&data), Object::new());
                    used = usage(&data);
                    if let Some(used) = used.filter(|_| self.include_usage) {
                        self.chunks.usage(&UsageBody::new(&used));
                    }
                    done = true;
                }
                Some("trouble") => {
                    let why = data.get("why").and_then(Json::as_str).unwrap_or("acme failed in the stream");
                    return Err(failure::malformed(why));
                }
                // Events that came after this was written.
                _ => {}
            }
        }
        Ok(Batch { chunks: self.chunks.take(), usage: used, done })
    }

    fn end(&mut self, _ending: Ending) -> Result<Batch, Failure> {
        Err(failure::malformed("acme ended the stream before the answer was complete"))
    }
}

/// `{"engine", "instructions", "turns": [{"who", "says"}], "limit", "heat", "stream"}`
fn translate(call: &Call, request: ChatRequest<'_>) -> Result<(Vec<u8>, Warnings), Failure> {
    let mut warnings = request.lost;
    let mut body = object! {"engine": call.model.as_str()};
    let mut instructions = Vec::new();
    let mut turns = Vec::new();
    let messages_at = Path::Root.key("messages");
    for (index, message) in request.messages.into_iter().enumerate() {
        let at = messages_at.index(index);
        let says = text_of(&message, &at)?;
        let who = match message.role {
            Role::System | Role::Developer => {
                instructions.push(says);
                continue;
            }
            Role::User => "human",
            Role::Assistant if message.tool_calls.is_empty() => "bot",
            _ => return Err(failure::unsupported(&at, "Acme has no tools.")),
        };
        if message.name.is_some() {
            warnings.dropped(at.key("name"));
        }
        turns.push(object! {"who": who, "says": says});
    }
    body.insert("turns", turns);
    if !instructions.is_empty() {
        body.insert("instructions", instructions.join("\n"));
    }
    if let Some(limit) = request.max_tokens {
        body.insert("limit", limit);
    }
    if let Some(heat) = request.temperature {
        body.insert("heat", heat);
    }
    if call.streaming {
        body.insert("stream", true);
    }
    // What Acme lacks. `drop_params` decides whether that is an error.
    for (name, given) in [
        ("tools", !request.tools.is_empty()),
        ("tool_choice", request.tool_choice.is_some()),
        ("parallel_tool_calls", request.parallel_tool_calls.is_some()),
        ("response_format", request.response_format.is_some_and(|format| format != ResponseFormat::Text)),
        ("reasoning_effort", request.reasoning_effort.is_some()),
        ("stop", !request.stop.is_empty()),
        ("top_p", request.top_p.is_some()),
    ] {
        if given {
            warnings.unsupported(name);
        }
    }
    let mut rest = request.rest;
    if rest.take("user").is_some() {
        warnings.dropped("user");
    }
    // One answer is what there is anyway.
    if rest.take("n").is_some_and(|n| n.as_u64() != Some(1)) {
        warnings.unsupported("n");
    }
    rest.left().for_each(|name| warnings.unsupported(name));
    Ok((Json::from(body).to_vec(), warnings))
}

/// Acme reads text only. An image can't be left out without changing what the request means, so it is refused.
fn text_of(message: &Message<'_>, at: &Path<'_>) -> Result<String, Failure> {
    for (index, part) in message.content.iter().enumerate() {
        if !matches!(part.kind, PartKind::Text(_)) {
            return Err(failure::unsupported(at.key("content").index(index), "Acme reads text only."));
        }
    }
    Ok(message.text())
}

fn finish_reason(body: &Json<'_>) -> FinishReason {
    match body.get("ended").and_then(Json::as_str) {
        Some("limit") => FinishReason::Length,
        _ => FinishReason::Stop,
    }
}

fn usage(body: &Json<'_>) -> Option<Usage> {
    let counted = body.get("counted")?;
    Some(Usage {
        prompt_tokens: counted.get("in")?.as_u64()?,
        completion_tokens: counted.get("out")?.as_u64()?,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
    })
}

export_provider!(Acme);

#[cfg(test)]
mod tests {
    use ai_api_plugin_sdk::serde_json::{self, Value, json};
    use ai_api_plugin_sdk::testing::{Upstream, call, request, run};

    use super::*;

    fn chat(body: Value) -> Call {
        call(Operation::ChatCompletions, "acme-large", &body)
    }

    #[test]
    fn a_conversation_becomes_turns() {
        let (sent, warnings) = request::<Acme>(chat(json!({
            "model": "x", "temperature": 0.7, "max_tokens": 9, "seed": 1,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi", "name": "ann"}],
        })))
        .unwrap();
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(
            body,
            json!({"engine": "acme-large", "turns": [{"who": "human", "says": "Hi"}],
                "instructions": "Be brief.", "limit": 9, "heat": 0.7})
        );
        let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, ["messages[1].name", "seed"]);
    }

    #[test]
    fn a_stream_becomes_chunks_however_it_is_cut() {
        let body = "event: word\ndata: {\"text\": \"Hel\"}\n\nevent: word\ndata: {\"text\": \"lo\"}\n\n\
                    event: end\ndata: {\"ended\": \"done\", \"counted\": {\"in\": 3, \"out\": 2}}\n\n";
        for events_per_read in 1..4 {
            let upstream = Upstream { status: 200, headers: Vec::new(), body: body.into() };
            let ask = chat(json!({"stream": true, "messages": [{"role": "user", "content": "Hi"}]}));
            let outcome = run::<Acme>(ask, &upstream, events_per_read);
            assert_eq!(outcome.chunks[1]["choices"][0]["delta"]["content"], "lo");
            assert_eq!(outcome.chunks[2]["choices"][0]["finish_reason"], "stop");
            assert_eq!(outcome.usage.unwrap().completion_tokens, 2);
        }
    }

    #[test]
    fn a_refusal_keeps_acmes_words_and_status() {
        let body = br#"{"trouble": {"why": "slow down"}}"#.to_vec();
        let upstream = Upstream { status: 429, headers: Vec::new(), body };
        let outcome = run::<Acme>(chat(json!({"messages": [{"role": "user", "content": "Hi"}]})), &upstream, 1);
        let failure = outcome.failure.unwrap();
        assert_eq!((failure.status, failure.message.as_str()), (429, "slow down"));
    }

    #[test]
    fn a_stream_that_is_cut_is_a_failure() {
        let upstream = Upstream { status: 200, headers: Vec::new(), body: b"event: word\ndata: {}\n\n".to_vec() };
        let ask = chat(json!({"stream": true, "messages": [{"role": "user", "content": "Hi"}]}));
        assert!(run::<Acme>(ask, &upstream, 1).failure.is_some());
    }
}
