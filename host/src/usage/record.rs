//! A call that is over: what is stored of it, measured and told to others.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Attempt, Outcome, ServedBy, TraceParent, Usage};
use crate::keys::Caller;
use crate::limits::Charges;
use crate::plugin::Operation;
use crate::prices::Cost;

/// One call of a model, from its first byte to its last. Calls that were refused before a provider was asked have one too.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// Identifies the call.
    pub call_id: String,
    /// The endpoint.
    pub operation: Operation,
    /// When it came in.
    pub started: SystemTime,
    /// From then to the last byte of the answer.
    pub duration: Duration,
    /// From then to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// How much of `duration` went by while a provider was waited for.
    pub upstream: Duration,
    /// What the gateway itself added before the first byte of the answer; `None`: there was no answer.
    pub overhead: Option<Duration>,
    /// The status that the client got; 499 if it didn't wait for one.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the client asked for a stream.
    pub streaming: bool,
    /// The model that the client named.
    pub model: Option<String>,
    /// The model group which that stands for; `None`: there is no such model, or the caller may not have it.
    pub model_group: Option<String>,
    /// The fallback that served it, if one did.
    pub fallback: Option<String>,
    /// The deployment that served it.
    pub served_by: Option<ServedBy>,
    /// Who called; `None`: the master key, or a gateway without one.
    pub caller: Option<Arc<Caller>>,
    /// `user` of the request, or what `x-litellm-end-user-id` says: whose call it was at the caller's.
    pub end_user: Option<String>,
    /// The request's tags, and those of its key and team.
    pub tags: Vec<String>,
    /// `x-litellm-session-id`, or `x-litellm-trace-id`.
    pub session_id: Option<String>,
    /// Where it came from.
    pub client_ip: Option<std::net::IpAddr>,
    /// What it used, failed attempts included.
    pub usage: Option<Usage>,
    /// The provider didn't say what was used: it is estimated.
    pub is_estimated: bool,
    /// What that costs, as far as it is known; `None`: it isn't at all, or nothing was used.
    pub cost: Option<Cost>,
    /// Whom that counts against, and since when it is counted for them.
    pub charged: Charges,
    /// Attempts after the first one of a model group.
    pub retries: u32,
    /// Fallbacks asked.
    pub fallbacks: u32,
    /// The attempts that brought no answer: which deployment, and how it failed.
    pub failed: Vec<(String, &'static str)>,
    /// The attempts in order, where calls are traced.
    pub attempts: Vec<Attempt>,
    /// How it failed, in a word.
    pub kind: Option<&'static str>,
    /// What went wrong, in words without prompts, answers or keys.
    pub error: Option<String>,
    /// The client wants nobody to be told of it; what it cost counts all the same.
    pub no_log: bool,
    /// Its span in a trace of the client's, from `traceparent`.
    pub trace: Option<TraceParent>,
    /// What was asked and answered, where the operator wants it kept.
    pub messages: Option<Messages>,
}

/// What was asked and answered: JSON as it came and went, cut at a limit.
#[derive(Clone, Default)]
pub struct Messages {
    /// The request's body.
    pub request: bytes::Bytes,
    /// The answer's, as far as it went out.
    pub response: bytes::Bytes,
    /// The answer's while it goes out in pieces.
    pieces: bytes::BytesMut,
}

/// Nobody sees them by accident.
impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Messages")
    }
}

/// No more than this is kept of a request, or of an answer.
const MOST_BYTES: usize = 256 << 10;

impl Messages {
    /// What was asked and answered.
    pub fn new(request: bytes::Bytes, response: bytes::Bytes) -> Self {
        Self { request, response, pieces: bytes::BytesMut::new() }
    }

    /// The request is this.
    pub fn set_request(&mut self, body: &bytes::Bytes) {
        self.request = match body.get(..MOST_BYTES) {
            // A part of it would keep all of it in memory.
            Some(part) => bytes::Bytes::copy_from_slice(part),
            None => body.clone(),
        };
    }

    /// The answer goes on so.
    pub fn add_response(&mut self, piece: &[u8]) {
        let room = MOST_BYTES.saturating_sub(self.pieces.len()).min(piece.len());
        self.pieces.extend_from_slice(piece.get(..room).unwrap_or_default());
    }

    /// There is no more of it.
    pub(super) fn finish(mut self) -> Self {
        if self.response.is_empty() {
            self.response = std::mem::take(&mut self.pieces).freeze();
        }
        self
    }
}

/// Who wants to know of calls that are over. It is called on the request's own thread and must return at once.
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// A call is over.
    fn record(&self, call: &Arc<CallRecord>);
}

/// All who want to know.
#[derive(Debug, Default)]
pub struct Books {
    sinks: Vec<Box<dyn Sink>>,
}

// === impl Books ===

impl Books {
    /// Tells these, in order.
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self { sinks }
    }

    /// Whether anybody wants to know.
    pub fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    /// A call is over.
    pub fn record(&self, call: CallRecord) {
        let call = Arc::new(call);
        for sink in &self.sinks {
            sink.record(&call);
        }
    }
}
