//! What providers are told of the trace that a call belongs to, where calls are traced: W3C's `traceparent` and `tracestate`.
//! Baggage isn't handed on: what clients put there is for their own services, and providers are somebody else's.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::usage::{CallEntry, SpanIds};

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Headers for all attempts of one call.
#[derive(Clone, Debug)]
pub(super) struct TraceHeaders {
    parent: HeaderValue,
    state: Option<HeaderValue>,
}

// === impl TraceHeaders ===

impl TraceHeaders {
    /// Those of a call, if it is traced.
    pub(super) fn of(call: &CallEntry, id: &str) -> Option<Self> {
        if !call.accounts.tellers.traces {
            return None;
        }
        let sampled = call.trace.is_none_or(|trace| trace.sampled);
        let parent = SpanIds::of(id, call.trace).header(sampled)?;
        Some(Self { parent, state: call.trace_state.clone() })
    }

    /// Adds them.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(PARENT, self.parent.clone());
        if let Some(state) = &self.state {
            headers.insert(STATE, state.clone());
        }
    }
}
