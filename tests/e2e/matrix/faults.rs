//! What can go wrong at a provider, and how each of the three wires says it.

use std::time::Duration;

use ai_api_e2e::{Framing, Gate, Reply, Step, Wire};
use serde_json::{Value, json};

/// In every message of a provider that a client may read.
pub(super) const WORDS: &str = "these very words";
/// In every page that a client may not read.
pub(super) const PAGE: &str = "Sign in to the hotel's network";
/// The text of a stream before it breaks.
pub(crate) const SAID: &str = "said";
/// The text of an answer that comes whole.
pub(crate) const WHOLE: &str = "a whole answer";

/// How a provider fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Nothing listens.
    Refused,
    /// The TLS handshake ends with an alert.
    Tls,
    /// The name isn't known.
    Dns,
    /// Closed in order, without a byte.
    HangUp,
    ResetBeforeHead,
    ResetAfterHead,
    /// After the event that begins a stream, before any text.
    ResetBeforeText,
    /// After a text; half a document.
    ResetMidway,
    /// In order, after a text; half a document.
    EndMidway,
    /// In order, after a whole answer, without the event that says so.
    EndUnsaid,
    StallBeforeHead,
    StallAfterHead,
    StallBeforeText,
    StallMidway,
    /// After a whole answer, without the event that says so.
    StallUnsaid,
    /// A piece now and then, for longer than the deployment's `timeout`.
    Drip,
    Malformed,
    /// After a text.
    MalformedMidway,
    /// A web page with a 200.
    WrongContentType,
    /// A web page with a 503.
    ErrorPage,
    /// An error of the provider's, with its status.
    Status(u16),
    /// 429, come back in 1 s.
    RateLimitedShort,
    /// 429, come back in 30 s.
    RateLimitedLong,
    /// An empty account.
    Quota,
    ContextWindow,
    /// A 200 whose body, or first event, is an error.
    ErrorBody,
    /// An event with an error after a text.
    ErrorMidway,
    /// A 200 with nothing in it.
    Empty,
}

use Fault::*;

/// In the order of the table.
pub(super) const ALL: [Fault; 39] = [
    Refused,
    Tls,
    Dns,
    HangUp,
    ResetBeforeHead,
    ResetAfterHead,
    ResetBeforeText,
    ResetMidway,
    EndMidway,
    EndUnsaid,
    StallBeforeHead,
    StallAfterHead,
    StallBeforeText,
    StallMidway,
    StallUnsaid,
    Drip,
    Malformed,
    MalformedMidway,
    WrongContentType,
    Status(400),
    Status(401),
    Status(402),
    Status(403),
    Status(404),
    Status(408),
    Status(413),
    Status(429),
    RateLimitedShort,
    RateLimitedLong,
    Quota,
    ContextWindow,
    Status(500),
    Status(502),
    Status(503),
    Status(529),
    ErrorPage,
    ErrorBody,
    ErrorMidway,
    Empty,
];

impl Fault {
    /// Its row's title.
    pub(super) fn title(self) -> String {
        match self {
            Refused => "connection refused",
            Tls => "TLS handshake fails",
            Dns => "unknown host name",
            HangUp => "closes before the head",
            ResetBeforeHead => "resets before the head",
            ResetAfterHead => "resets after the head",
            ResetBeforeText => "resets before the first text",
            ResetMidway => "resets midway",
            EndMidway => "ends midway, in order",
            EndUnsaid => "ends without saying so",
            StallBeforeHead => "stalls before the head",
            StallAfterHead => "stalls after the head",
            StallBeforeText => "stalls before the first text",
            StallMidway => "stalls midway",
            StallUnsaid => "stalls instead of saying that it ends",
            Drip => "drips for longer than `timeout`",
            Malformed => "no JSON",
            MalformedMidway => "no JSON midway",
            WrongContentType => "200, a web page",
            ErrorPage => "503, a web page",
            Status(429) => "429 without `Retry-After`",
            Status(status) => return status.to_string(),
            RateLimitedShort => "429, `Retry-After: 1`",
            RateLimitedLong => "429, `Retry-After: 30`",
            Quota => "account empty (`insufficient_quota`)",
            ContextWindow => "prompt too long for the model",
            ErrorBody => "200, but the body says error",
            ErrorMidway => "says error midway",
            Empty => "200, empty",
        }
        .to_owned()
    }

    /// Whether it is something other for a stream than for a whole answer, and only there.
    pub(crate) fn only_streams(self) -> bool {
        matches!(self, ResetBeforeText | EndUnsaid | StallBeforeText | StallUnsaid | MalformedMidway | ErrorMidway)
    }

    /// Whether the client of a stream sees a text before anything goes wrong.
    pub(super) fn shows_text(self) -> bool {
        matches!(self, ResetMidway | EndMidway | EndUnsaid | StallMidway | StallUnsaid | MalformedMidway | ErrorMidway)
    }

    /// Whether the provider says something that the client is to read.
    pub(super) fn in_its_words(self) -> bool {
        matches!(self, Status(_) | RateLimitedShort | RateLimitedLong | Quota | ContextWindow | ErrorBody | ErrorMidway)
    }

    /// What the deployment says of its patience: little where nothing comes, much where the machine may be slow.
    pub(super) fn patience(self, streaming: bool) -> Value {
        match self {
            StallBeforeHead | StallAfterHead | StallBeforeText => json!({"timeout": 0.5, "stream_timeout": 0.5}),
            StallMidway | StallUnsaid if streaming => json!({"timeout": 1, "stream_timeout": 20}),
            StallMidway => json!({"timeout": 0.5}),
            Drip => json!({"timeout": 2, "stream_timeout": 20}),
            _ => json!({"timeout": 20}),
        }
    }

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
