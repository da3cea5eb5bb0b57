//! A provider whose instances serve one call after another. It answers with how many calls its instance has served,
//! which is what a plugin that isn't reusable could never know.
//!
//! The model's name says what else it does: `reusable/count`, `reusable/ask` (with its provider), `reusable/trap`,
//! `reusable/fail`, `reusable/grow`.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ai_api_plugin_sdk::serde_json::json;
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, FailureKind, HttpRequest, HttpResponse,
    Level, Manifest, Operation, Provider, Support, export_provider, failure, log,
};

/// Calls that this instance has begun.
static BEGUN: AtomicU32 = AtomicU32::new(0);
/// Calls that are over, as far as the instance was told.
static DROPPED: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// What it never gives back.
    static LEAKED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// One call.
#[derive(Debug)]
pub struct Reusable {
    trap_when_dropped: bool,
}

export_provider!(Reusable);

impl Provider for Reusable {
    fn manifest() -> Manifest {
        Manifest {
            name: "reusable".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: String::new(),
            credential: Credential::None,
            operations: vec![Support { operation: Operation::ChatCompletions, native: None, translated: Vec::new() }],
            parameters: Vec::new(),
            reusable: true,
        }
    }

    fn begin(call: Call) -> Result<Begin<Self>, Failure> {
        BEGUN.fetch_add(1, Relaxed);
        log(Level::Info, "a line of every call");
        let exchange = Self { trap_when_dropped: call.model == "trap-drop" };
        let begun = match call.model.as_str() {
            "trap" => panic!("a guest that panics"),
            "fail" => return Err(failure::failure(FailureKind::RateLimited, "not now")),
            "ask" => Begun::Send(HttpRequest {
                method: "POST".to_owned(),
                path: "v1/chat".to_owned(),
                query: Vec::new(),
                headers: Vec::new(),
                body: call.body,
            }),
            "grow" => {
                LEAKED.with_borrow_mut(|leaked| leaked.push(black_box(vec![1; 40 << 20])));
                Begun::Reply(count())
            }
            _ => Begun::Reply(count()),
        };
        Ok(Begin { exchange, begun, warnings: Vec::new() })
    }

    fn streaming(&self) -> bool {
        false
    }

    fn whole(&mut self, _response: HttpResponse) -> Result<Completion, Failure> {
        Ok(count())
    }

    fn events(&mut self, _events: Vec<Event>) -> Result<Batch, Failure> {
        Err(failure::malformed("it streams nothing"))
    }

    fn end(&mut self, _ending: Ending) -> Result<Batch, Failure> {
        Err(failure::malformed("it streams nothing"))
    }
}

impl Drop for Reusable {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Relaxed);
        assert!(!self.trap_when_dropped, "a guest that panics when a call is over");
    }
}

/// `3 begun, 2 dropped`
fn count() -> Completion {
    let text = format!("{} begun, {} dropped", BEGUN.load(Relaxed), DROPPED.load(Relaxed));
    let body = json!({
        "id": "chatcmpl-reusable", "object": "chat.completion", "created": 1, "model": "reusable",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    });
    Completion { body: body.to_string().into_bytes(), usage: None }
}
