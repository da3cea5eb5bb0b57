//! A provider that misbehaves in every way that a guest can. The model's name says how: `hostile/trap`.
//!
//! `tests/e2e/isolation.rs` names each behaviour. `hostile/fine` behaves, to show that the others fail for what
//! they do and not for what they are.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ai_api_plugin_sdk::serde_json::{Value, json};
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, FailureKind, Header, HttpRequest,
    HttpResponse, Level, Loss, Manifest, Operation, Provider, Reading, Support, Usage, Warning, export_provider,
    failure, log,
};

/// Where a request must not go. The test counts on the order only in that it tries all.
const PATHS: [&str; 12] = [
    "//evil.example/v1",
    "/v1/chat",
    "../admin",
    "v1/../../admin",
    "v1/%2e%2e/admin",
    "v1/./chat",
    "v1//chat",
    "v1/chat\r\nx-injected: 1",
    "http://evil.example/v1",
    "v1\\chat",
    "v1/chat?key=1",
    "v1/chat#top",
];

/// What `describe` does. Tests write another word over this one, of the same length, in the component's bytes.
const DESCRIBE: &str = "DESCRIBE-FINE....";

/// Calls that this instance has begun.
static BEGUN: AtomicU32 = AtomicU32::new(0);

/// The provider; its model is its behaviour.
#[derive(Debug)]
pub struct Hostile {
    behaviour: String,
    seen: String,
    streaming: bool,
}

export_provider!(Hostile);

impl Provider for Hostile {
    fn manifest() -> Manifest {
        let word = black_box(DESCRIBE).trim_start_matches("DESCRIBE-").trim_end_matches('.').to_lowercase();
        let name = if word == "odd-name" { "no name" } else { "hostile" };
        // What `misbehave` does in calls, here.
        Self { behaviour: word, seen: String::new(), streaming: false }.misbehave("begin");
        Manifest {
            name: name.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: String::new(),
            credential: Credential::Bearer,
            operations: vec![Support { operation: Operation::ChatCompletions, native: None, translated: Vec::new() }],
            parameters: Vec::new(),
            reusable: false,
        }
    }

    fn begin(call: Call) -> Result<Begin<Self>, Failure> {
        BEGUN.fetch_add(1, Relaxed);
        let exchange = Self {
            behaviour: call.model.clone(),
            seen: format!("{call:?} {}", String::from_utf8_lossy(&call.body)),
            streaming: call.streaming,
        };
        let begun = exchange.first(&call)?;
        let warnings = exchange.warnings();
        Ok(Begin { exchange, begun, warnings })
    }

    fn head(&mut self, status: u16, headers: &[Header]) -> Result<Reading, Failure> {
        self.seen.push_str(&format!(" head {status} {headers:?}"));
        self.misbehave("head");
        let framing = ai_api_plugin_sdk::Framing::Sse;
        let streams = self.streaming && self.behaviour != "whole-answer-late";
        Ok(if streams { Reading::Events(framing) } else { Reading::Whole })
    }

    fn streaming(&self) -> bool {
        self.streaming
    }

    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure> {
        let body = String::from_utf8_lossy(&response.body).into_owned();
        self.seen.push_str(&format!(" whole {} {:?} {body}", response.status, response.headers));
        self.misbehave("whole");
        if let Some(usage) = self.lie() {
            return Ok(Completion { usage: Some(usage), ..completion(answer("fine")) });
        }
        Ok(completion(answer(&self.seen)))
    }

    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure> {
        for event in &events {
            self.seen.push_str(&format!(" event {:?} {}", event.name, String::from_utf8_lossy(&event.data)));
        }
        self.misbehave("events");
        let chunk = match self.behaviour.as_str() {
            "bad-json-events" => b"{\"oops\": ".to_vec(),
            "bad-utf8-events" => b"{\"oops\": \"\xff\"}".to_vec(),
            _ => chunk(&self.seen, None),
        };
        if let Some(count) = self.behaviour.strip_prefix("chunks:").and_then(|count| count.parse().ok()) {
            return Ok(batch(vec![b"{}".to_vec(); count], false));
        }
        Ok(Batch { usage: self.lie(), ..batch(vec![chunk], false) })
    }

    fn end(&mut self, ending: Ending) -> Result<Batch, Failure> {
        self.seen.push_str(&format!(" end {ending:?}"));
        self.misbehave("end");
        Ok(batch(vec![chunk("", Some("stop"))], true))
    }
}

impl Hostile {
    /// What `begin` does. `trap-whole` and its like come later, in [`Self::misbehave`].
    fn first(&self, call: &Call) -> Result<Begun, Failure> {
        self.misbehave("begin");
        let (behaviour, argument) = self.behaviour.split_once(':').unwrap_or((self.behaviour.as_str(), ""));
        let reply = |body: Vec<u8>| Ok(Begun::Reply(Completion { body, usage: None }));
        match behaviour {
            "bad-json" => reply(b"{\"oops\": ".to_vec()),
            "bad-utf8" => reply(b"{\"oops\": \"\xff\xfe\"}".to_vec()),
            "no-object" => reply(b"[1, 2]".to_vec()),
            "huge" => {
                let mebibytes: usize = argument.parse().unwrap_or(200);
                reply(answer(&"x".repeat(mebibytes << 20)).to_string().into_bytes())
            }
            "blank-lines" => {
                // Valid JSON whose white space would end an event early.
                let text = String::from_utf8_lossy(&chunk("fine", None)).replacen('{', "{\n\n", 1);
                Ok(Begun::ReplyStream(batch(vec![text.into_bytes(), chunk("", Some("stop"))], true)))
            }
            "ready-chunks" => {
                let count = argument.parse().unwrap_or(0);
                Ok(Begun::ReplyStream(batch(vec![b"{}".to_vec(); count], true)))
            }
            "headers" => Ok(with_many_headers(argument.parse().unwrap_or(0))),
            "query" => Ok(match send("v1/chat", "x-note", "1") {
                Begun::Send(request) => {
                    let query = vec![("q".to_owned(), "x".repeat(argument.parse().unwrap_or(0)))];
                    Begun::Send(HttpRequest { query, ..request })
                }
                other => other,
            }),
            "long-failure" => Err(failure::failure(FailureKind::Upstream, "x".repeat(10 << 20))),
            "count" => reply(answer(&BEGUN.load(Relaxed).to_string()).to_string().into_bytes()),
            // Also where a stream was asked for.
            "whole-answer" => reply(answer("whole").to_string().into_bytes()),
            "lying-status" => {
                let status = argument.parse().unwrap_or(200);
                Err(Failure { status, ..failure::failure(FailureKind::Upstream, "all is well") })
            }
            "forge-log" => {
                log(Level::Error, "harmless\nFORGED LINE\r\u{1b}[2J");
                reply(answer("fine").to_string().into_bytes())
            }
            "flood-log" => {
                for _ in 0..200_000 {
                    log(Level::Error, "the same line again and again, to fill the operator's disk");
                }
                reply(answer("fine").to_string().into_bytes())
            }
            "fine" | "warn" | "flood-warnings" if !call.streaming => reply(answer("fine").to_string().into_bytes()),
            "header" => Ok(send("v1/chat", argument, "smuggled")),
            "header-value" => Ok(send("v1/chat", "x-note", "a\r\nx-injected: 1")),
            "header-name" => Ok(send("v1/chat", "x-note: a\r\nx-injected", "1")),
            "method" => Ok(match send("v1/chat", "x-note", "1") {
                Begun::Send(request) => {
                    let method = if argument == "smuggle" { "POST / HTTP/1.1\r\nx-injected: 1\r\n" } else { argument };
                    Begun::Send(HttpRequest { method: method.to_owned(), ..request })
                }
                other => other,
            }),
            "path" => {
                let path = argument.parse().ok().and_then(|index: usize| PATHS.get(index)).copied();
                path.map(|path| send(path, "x-note", "1"))
                    .ok_or_else(|| failure::invalid("model", format!("there are {} paths", PATHS.len())))
            }
            _ => Ok(send("v1/chat", "x-note", "1")),
        }
    }

    /// Usage that can't be.
    fn lie(&self) -> Option<Usage> {
        let of = |total, part| Usage {
            prompt_tokens: total,
            completion_tokens: total,
            cache_read_tokens: part,
            cache_write_tokens: part,
            reasoning_tokens: part,
        };
        match self.behaviour.as_str() {
            "absurd-usage" => Some(of(u64::MAX, 0)),
            "more-than-all" => Some(of(7, u64::MAX)),
            _ => None,
        }
    }

    /// Traps, loops, hoards or recurses at the stage that the name says; without one in `begin`.
    fn misbehave(&self, stage: &str) {
        let (behaviour, wanted) = self.behaviour.split_once('-').unwrap_or((&self.behaviour, "begin"));
        if wanted != stage {
            return;
        }
        match behaviour {
            "trap" => panic!("a guest that panics, with words that are not for the client"),
            "loop" => loop {
                black_box(());
            },
            "hoard" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 1 << 20]);
                    black_box(&hoard);
                }
            }
            "recurse" => {
                black_box(recurse(0));
            }
            _ => {}
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let warning = |path: String| Warning { path, loss: Loss::Dropped };
        match self.behaviour.as_str() {
            "warn" => vec![warning("a\r\nset-cookie: evil=1".to_owned()), warning("ü\u{0}".to_owned())],
            "flood-warnings" => (0..100_000).map(|index| warning(format!("messages[{index}].name"))).collect(),
            _ => Vec::new(),
        }
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame.iter().sum::<u64>()
}

fn send(path: &str, header: &str, value: &str) -> Begun {
    Begun::Send(HttpRequest {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: Vec::new(),
        headers: vec![
            Header { name: "content-type".to_owned(), value: "application/json".to_owned() },
            Header { name: header.to_owned(), value: value.to_owned() },
        ],
        body: b"{}".to_vec(),
    })
}

fn with_many_headers(count: usize) -> Begun {
    match send("v1/chat", "x-note", "1") {
        Begun::Send(request) => {
            let header = |index| Header { name: format!("x-note-{index}"), value: "1".to_owned() };
            Begun::Send(HttpRequest { headers: (0..count).map(header).collect(), ..request })
        }
        other => other,
    }
}

fn answer(text: &str) -> Value {
    json!({
        "id": "chatcmpl-hostile", "object": "chat.completion", "created": 1, "model": "hostile",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    })
}

fn chunk(text: &str, finish_reason: Option<&str>) -> Vec<u8> {
    let chunk = json!({
        "id": "chatcmpl-hostile", "object": "chat.completion.chunk", "created": 1, "model": "hostile",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
    });
    chunk.to_string().into_bytes()
}

fn completion(answer: Value) -> Completion {
    Completion { body: answer.to_string().into_bytes(), usage: None }
}

fn batch(chunks: Vec<Vec<u8>>, done: bool) -> Batch {
    Batch { chunks, usage: None, done }
}
