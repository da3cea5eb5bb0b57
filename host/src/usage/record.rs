//! A call that is over: what is stored of it, measured and told to others.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Outcome, ServedBy, Usage};
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
    /// How it failed, in a word.
    pub kind: Option<&'static str>,
    /// What went wrong, in words without prompts, answers or keys.
    pub error: Option<String>,
    /// Its span in a trace of the client's, from `traceparent`.
    pub trace: Option<TraceParent>,
    /// What was asked and answered, where the operator wants it kept.
    pub messages: Option<Messages>,
}

/// W3C Trace Context: whose span the call's is a child of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: [u8; 16],
    /// The span.
    pub parent: [u8; 8],
    /// Whether it is recorded.
    pub sampled: bool,
}

/// What was asked and answered: JSON as it came and went, cut at a limit.
#[derive(Clone, Debug)]
pub struct Messages {
    /// The request's body.
    pub request: bytes::Bytes,
    /// The answer's, as far as it went out.
    pub response: bytes::Bytes,
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
