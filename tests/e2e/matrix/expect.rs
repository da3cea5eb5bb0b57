//! What is to become of each case, by rule: what an attempt comes to, and what the arrangement makes of it.

use ai_api_e2e::Wire;

use super::arrangements::{Arrangement, Case};
use super::cell::{Cell, Log, Seen, Tokens};
use super::faults::Fault::{self, *};

/// A call and its retries: `num_retries` is 2 where nobody says otherwise.
const ATTEMPTS: usize = 3;
/// What [`Wire::answer`] and [`Wire::stream`] say of themselves.
const TOKENS: Tokens = [Some(5), Some(2)];

/// What one attempt at the failing deployment comes to.
enum End {
    /// It is no failure after all.
    Answer,
    /// The client gets this if nobody helps; the kind says who may.
    Failure { told: Seen, kind: &'static str },
    /// The client has seen a text already.
    Midway { code: Option<&'static str> },
    /// The client has seen the whole text already, with its finish reason.
    Late { code: Option<&'static str> },
}

/// What may bring an answer after a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cure {
    /// A fallback, for it is another model. The request itself is wrong, so that no other deployment can help.
    AnotherModel,
    /// Another deployment too; the same one will fail again, or not answer in time.
    AnotherDeployment,
    /// The same one too, a little later.
    Time,
}

/// What is to become of a case.
pub(super) fn expected(case: Case, wire: Wire) -> Cell {
    let Case { fault, streaming, arrangement } = case;
    let (told, kind) = match end(fault, streaming, wire) {
        End::Answer => return cell(Seen::Whole, [1, 0], log("complete", 0, TOKENS)),
        End::Midway { .. } if arrangement == Arrangement::Continuation => {
            let (kind, failed_tokens) = (kind_midway(fault, wire), tokens_midway(wire));
            let log = Log { attempts: 2, kinds: vec![kind.to_owned()], failed_tokens, ..log("complete", 0, TOKENS) };
            return cell(Seen::GoneOnWith, [1, 1], log);
        }
        End::Midway { code } => {
            let seen = Seen::Midway { code: code.map(str::to_owned) };
            return cell(seen, [1, 0], log("failed", 0, tokens_midway(wire)));
        }
        // Also where a broken stream may be gone on with: there is nothing to go on with.
        End::Late { code } => {
            let seen = Seen::AtTheEnd { code: code.map(str::to_owned) };
            return cell(seen, [1, 0], log("failed", 0, TOKENS));
        }
        End::Failure { told, kind } => (told, kind),
    };
    let cure = cure(fault, kind);
    let alone = matches!(arrangement, Arrangement::Lone | Arrangement::Fallback);
    let tries = if cure == Cure::Time && alone { ATTEMPTS } else { 1 };
    let failed = Log {
        attempts: tries as u64,
        kinds: vec![kind.to_owned(); tries],
        failed_tokens: tokens_before_text(fault, wire).map(|count| count.map(|count| count * tries as u64)),
        ..log("failed", 0, [None, None])
    };
    let saved = |fallbacks| Log {
        outcome: "complete".to_owned(),
        attempts: failed.attempts + 1,
        fallbacks,
        tokens: TOKENS,
        ..failed.clone()
    };
    // A connection that isn't made is an attempt, but no call.
    let calls = if matches!(fault, Refused | Dns) { 0 } else { tries };
    match arrangement {
        Arrangement::Lone => cell(told, [calls, 0], failed),
        Arrangement::Group if cure == Cure::AnotherModel => cell(told, [calls, 0], failed),
        Arrangement::Group | Arrangement::Continuation => cell(Seen::Whole, [calls, 1], saved(0)),
        Arrangement::Fallback => cell(Seen::Whole, [calls, 1], saved(1)),
    }
}

fn cell(seen: Seen, calls: [usize; 2], log: Log) -> Cell {
    Cell { seen, calls, log, contradictions: Vec::new() }
}

/// Of a call whose only attempt is the request's line.
fn log(outcome: &str, fallbacks: u64, tokens: Tokens) -> Log {
    Log { outcome: outcome.to_owned(), attempts: 1, fallbacks, tokens, ..Log::default() }
}

/// Who may help after a failure of this kind.
fn cure(fault: Fault, kind: &str) -> Cure {
    match kind {
        "invalid_request" | "too_large" | "context_window" => Cure::AnotherModel,
        "authentication" | "permission" | "not_found" | "quota" => Cure::AnotherDeployment,
        // It asks for more patience than a call has by default (`max_wait`).
        _ if fault == RateLimitedLong => Cure::AnotherDeployment,
        _ => Cure::Time,
    }
}

/// What a stream that breaks after a text has told of its tokens: nothing in OpenAI's, the prompt's at the beginning
/// of Anthropic's (and one of the answer). Gemini's tells the prompt's in every event and nothing of the answer, which is
/// estimated then.
fn tokens_midway(wire: Wire) -> Tokens {
    match wire {
        Wire::OpenAi | Wire::Gemini => [None, None],
        Wire::Anthropic => [Some(5), Some(1)],
    }
}

/// How such an attempt is told in the log, where another one goes on with its stream.
fn kind_midway(fault: Fault, wire: Wire) -> &'static str {
    match (fault, wire) {
        (StallMidway, _) => "timeout",
        (ErrorMidway, Wire::OpenAi) => "server_error",
        (ErrorMidway, _) => "overloaded",
        _ => "malformed",
    }
}

/// The same before any text.
fn tokens_before_text(fault: Fault, wire: Wire) -> Tokens {
    match (fault, wire) {
        (ResetBeforeText | StallBeforeText, Wire::Anthropic) => [Some(5), Some(1)],
        _ => [None, None],
    }
}

fn end(fault: Fault, streaming: bool, wire: Wire) -> End {
    let native = wire == Wire::OpenAi;
    // What isn't translated keeps the provider's own code, or none.
    let ours = |code: &'static str| (!native).then_some(code);
    let malformed = if native { Some("upstream_malformed") } else { None };
    match fault {
        Drip if streaming => End::Answer,
        // Every choice has its finish reason, and no more comes: nothing is missing. But Anthropic's streams are over
        // when they say so.
        EndUnsaid | StallUnsaid if wire != Wire::Anthropic => End::Answer,
        EndUnsaid => End::Late { code: None },
        StallUnsaid => End::Late { code: Some("upstream_timeout") },
        ResetMidway if streaming => End::Midway { code: Some("upstream_broken") },
        StallMidway if streaming => End::Midway { code: Some("upstream_timeout") },
        EndMidway | MalformedMidway if streaming => End::Midway { code: malformed },
        ErrorMidway => End::Midway { code: ours("overloaded") },
        Refused | Tls | Dns => failure("unreachable", 502, Some("upstream_unreachable")),
        HangUp | ResetBeforeHead | ResetAfterHead | ResetBeforeText | ResetMidway => {
            failure("malformed", 502, Some("upstream_broken"))
        }
        StallBeforeHead | StallAfterHead | StallBeforeText | StallMidway | Drip => {
            failure("timeout", 504, Some("upstream_timeout"))
        }
        WrongContentType if streaming => failure("malformed", 502, Some("upstream_malformed")),
        EndMidway | Malformed | MalformedMidway | WrongContentType | Empty => failure("malformed", 502, malformed),
        ErrorPage => failure("overloaded", 503, ours("overloaded")),
        // OpenAI's body has no status in it.
        ErrorBody if native => failure("server_error", 502, None),
        ErrorBody => failure("overloaded", 503, Some("overloaded")),
        Status(400) => failure("invalid_request", 400, None),
        Status(401) => failure("authentication", 401, Some("invalid_api_key")),
        // What Anthropic says of an empty account becomes OpenAI's word for it.
        Status(402) if wire == Wire::Anthropic => failure("quota", 429, Some("insufficient_quota")),
        Status(402) if native => failure("quota", 402, Some("billing_hard_limit_reached")),
        Status(402) => failure("quota", 402, Some("insufficient_quota")),
        Status(403) => failure("permission", 403, native.then_some("unsupported_country_region_territory")),
        Status(404) => failure("not_found", 404, native.then_some("model_not_found")),
        Status(408) => failure("timeout", 408, ours("upstream_timeout")),
        Status(413) => failure("too_large", 413, ours("request_too_large")),
        Status(429) => failure("rate_limited", 429, Some("rate_limit_exceeded")),
        RateLimitedShort => limited("1"),
        RateLimitedLong => limited("30"),
        Quota => failure("quota", 429, Some("insufficient_quota")),
        ContextWindow => failure("context_window", 400, Some("context_length_exceeded")),
        // 529 is Anthropic's own: SDKs know 503. What isn't translated stays as it is.
        Status(529) if native => failure("overloaded", 529, None),
        Status(503 | 529) => failure("overloaded", 503, ours("overloaded")),
        // A plugin's word for an answer that is none has this status too.
        Status(502) if !native => failure("malformed", 502, None),
        Status(status) => failure("server_error", status, None),
    }
}

fn failure(kind: &'static str, status: u16, code: Option<&str>) -> End {
    End::Failure { told: Seen::Error { status, code: code.map(str::to_owned), retry_after: None }, kind }
}

fn limited(retry_after: &str) -> End {
    let (code, retry_after) = (Some("rate_limit_exceeded".to_owned()), Some(retry_after.to_owned()));
    End::Failure { told: Seen::Error { status: 429, code, retry_after }, kind: "rate_limited" }
}
