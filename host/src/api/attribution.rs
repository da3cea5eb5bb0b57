//! Whose a call is, as far as its headers say: LiteLLM's, and W3C's for traces.

use std::net::IpAddr;

use http::HeaderMap;

use crate::config::Attribution;
use crate::telemetry::callbacks::Tellers;
use crate::usage::{CallEntry, Messages, TraceParent};

/// A client's word for somebody or something is no longer.
const MAX_BYTES: usize = 256;

/// Notes what `headers` say.
pub(super) fn read(call: &mut CallEntry, headers: &HeaderMap, peer: Option<IpAddr>, attribution: &Attribution) {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    let short = |text: &str| text.chars().take(MAX_BYTES).collect::<String>();
    let own = || attribution.user_headers.iter().find_map(|name| text(name.as_str()));
    let user = text("x-litellm-end-user-id").or_else(|| text("x-litellm-customer-id")).or_else(own);
    call.end_user = user.map(short);
    call.session_id = text("x-litellm-session-id").or_else(|| text("x-litellm-trace-id")).map(short);
    if let Some(tags) = text("x-litellm-tags") {
        call.add_tags(tags.split(','));
    }
    // The first of them is the client; a proxy adds its own view at the end.
    let forwarded = || text("x-forwarded-for")?.split(',').next()?.trim().parse().ok();
    call.client_ip = attribution.use_forwarded_for.then(forwarded).flatten().or(peer);
    let tellers = &call.accounts.tellers;
    if tellers.traces {
        call.trace = text("traceparent").and_then(TraceParent::parse);
        call.trace_state = headers.get("tracestate").filter(|_| call.trace.is_some()).cloned();
    }
    if keeps_messages(tellers, headers) {
        call.messages = Some(Messages::default());
    }
}

/// Whether what is asked and answered may be told of: the client can say no.
fn keeps_messages(tellers: &Tellers, headers: &HeaderMap) -> bool {
    let says =
        |name: &str| headers.get(name).is_some_and(|value| !matches!(value.as_bytes(), b"" | b"false" | b"False"));
    tellers.messages && !says("x-litellm-enable-message-redaction") && !says("litellm-enable-message-redaction")
}
