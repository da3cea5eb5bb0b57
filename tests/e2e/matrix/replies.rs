//! How each of the three wires does what goes wrong.

use std::time::Duration;

use ai_api_e2e::{Framing, Gate, Reply, Step, Wire};
use serde_json::{Value, json};

use super::faults::Fault::{self, *};
use super::faults::{PAGE, SAID, WHOLE, WORDS};

impl Fault {
    /// What the provider does; `seen` opens when the client has read the first text.
    pub(crate) fn reply(self, wire: Wire, streaming: bool, seen: &Gate) -> Reply {
        let begun = || if streaming { said(wire).step(Step::Wait(seen.clone())) } else { half(wire) };
        match self {
            Refused | Tls | Dns => unreachable!("{self:?} never gets to an answer"),
            HangUp => Reply::hang_up(),
            ResetBeforeHead => Reply::reset(),
            ResetAfterHead => empty(streaming).step(Step::Reset),
            ResetBeforeText => Reply::events(wire.opening()).step(Step::Reset),
            ResetMidway => begun().step(Step::Reset),
            EndMidway if streaming => begun(),
            EndMidway => begun().framing(Framing::UntilClose),
            EndUnsaid => unsaid(wire),
            StallUnsaid => unsaid(wire).step(Step::Stall),
            StallBeforeHead => Reply::silence(),
            StallAfterHead => empty(streaming).step(Step::Stall),
            StallBeforeText => Reply::events(wire.opening()).step(Step::Stall),
            StallMidway if streaming => said(wire).step(Step::Stall),
            StallMidway => begun().step(Step::Stall),
            Drip => drip(wire, streaming),
            Malformed if streaming => Reply::events(["data: {\"id\": \n\n"]),
            Malformed => json_reply("{\"id\": "),
            MalformedMidway => begun().send(broken_event(wire)),
            WrongContentType => page(200),
            ErrorPage => page(503),
            Status(status) => Reply::json(status, &error(wire, status, WORDS)),
            RateLimitedShort => Reply::json(429, &error(wire, 429, WORDS)).header("retry-after", "1"),
            RateLimitedLong => Reply::json(429, &error(wire, 429, WORDS)).header("retry-after", "30"),
            Quota => quota(wire),
            ContextWindow => context_window(wire),
            ErrorBody if streaming => Reply::events([wire.error_event(WORDS)]),
            ErrorBody => Reply::json(200, &wire.error(if wire == Wire::Anthropic { 529 } else { 503 }, WORDS)),
            ErrorMidway => begun().send(wire.error_event(WORDS)),
            Empty => empty(streaming),
        }
    }
}

fn json_reply(text: impl Into<Vec<u8>>) -> Reply {
    Reply::status(200).header("content-type", "application/json").send(text)
}

fn empty(streaming: bool) -> Reply {
    if streaming { Reply::events([""; 0]) } else { Reply::status(200).header("content-type", "application/json") }
}

fn said(wire: Wire) -> Reply {
    Reply::events(wire.opening()).send(wire.text(SAID))
}

fn half(wire: Wire) -> Reply {
    let document = wire.answer(WHOLE).to_string();
    json_reply(&document[..20])
}

fn page(status: u16) -> Reply {
    Reply::status(status).header("content-type", "text/html").send(format!("<html><body>{PAGE}</body></html>"))
}

fn broken_event(wire: Wire) -> &'static str {
    match wire {
        Wire::Anthropic => "event: content_block_delta\ndata: {\"type\": \"content_blo\n\n",
        Wire::OpenAi | Wire::Gemini => "data: {\"id\": \"trunc\n\n",
    }
}

/// A stream without its last event: `[DONE]`, `message_stop`. Gemini has no such event, its finish reason says it.
fn unsaid(wire: Wire) -> Reply {
    let mut events = wire.stream(&[WHOLE]);
    if wire != Wire::Gemini {
        events.pop();
    }
    Reply::events(events)
}

/// 16 pieces, 200 ms apart.
fn drip(wire: Wire, streaming: bool) -> Reply {
    let pause = Step::Pause(Duration::from_millis(200));
    if !streaming {
        let document = wire.answer(WHOLE).to_string().into_bytes();
        let pieces = document.chunks(document.len().div_ceil(16));
        return pieces.fold(empty(false), |reply, piece| reply.send(piece).step(pause.clone()));
    }
    // The first text is the whole one; nothing can be drawn out over what follows but empty ones.
    let texts = std::iter::once(WHOLE).chain(std::iter::repeat_n("", 15));
    let dripping =
        texts.fold(Reply::events(wire.opening()), |reply, text| reply.send(wire.text(text)).step(pause.clone()));
    wire.ending().into_iter().fold(dripping, Reply::send)
}

/// The body of an error with this status, in the provider's own terms.
fn error(wire: Wire, status: u16, message: &str) -> Value {
    match wire {
        Wire::OpenAi => {
            let (kind, code) = match status {
                400 | 413 => ("invalid_request_error", None),
                401 => ("invalid_request_error", Some("invalid_api_key")),
                402 => ("insufficient_quota", Some("billing_hard_limit_reached")),
                403 => ("invalid_request_error", Some("unsupported_country_region_territory")),
                404 => ("invalid_request_error", Some("model_not_found")),
                429 => ("requests", Some("rate_limit_exceeded")),
                _ => ("server_error", None),
            };
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        Wire::Anthropic => {
            let kind = match status {
                400 => "invalid_request_error",
                401 => "authentication_error",
                402 => "billing_error",
                403 => "permission_error",
                404 => "not_found_error",
                408 => "timeout_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                529 => "overloaded_error",
                _ => "api_error",
            };
            json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
        }
        Wire::Gemini => {
            let name = match status {
                400 | 402 | 413 => "INVALID_ARGUMENT",
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                408 => "DEADLINE_EXCEEDED",
                429 => "RESOURCE_EXHAUSTED",
                500 => "INTERNAL",
                _ => "UNAVAILABLE",
            };
            json!({"error": {"code": status, "message": message, "status": name}})
        }
    }
}

fn quota(wire: Wire) -> Reply {
    match wire {
        Wire::OpenAi => {
            let detail =
                json!({"message": WORDS, "type": "insufficient_quota", "param": null, "code": "insufficient_quota"});
            Reply::json(429, &json!({"error": detail}))
        }
        // As Anthropic does it: a plain 400.
        Wire::Anthropic => Reply::json(400, &error(wire, 400, &format!("Your credit balance is too low: {WORDS}"))),
        Wire::Gemini => {
            let mut body = error(wire, 429, WORDS);
            body["error"]["details"] = json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]);
            Reply::json(429, &body)
        }
    }
}

fn context_window(wire: Wire) -> Reply {
    let body = match wire {
        Wire::OpenAi => json!({"error": {"type": "invalid_request_error", "param": "messages",
            "code": "context_length_exceeded", "message": format!("This model's maximum context length is 128000 tokens. {WORDS}")}}),
        Wire::Anthropic => error(wire, 400, &format!("prompt is too long: 210000 tokens > 200000 maximum. {WORDS}")),
        Wire::Gemini => error(
            wire,
            400,
            &format!("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576). {WORDS}"),
        ),
    };
    Reply::json(400, &body)
}
