//! What is to become of each case, by rule: what an attempt comes to, and what the arrangement makes of it.

use ai_api_e2e::Wire;

use super::arrangements::{Arrangement, Case};
use super::faults::Fault::{self, *};
use super::observe::{Cell, Log, Seen};

/// A call and its retries: `num_retries` is 2 where nobody says otherwise.
const ATTEMPTS: usize = 3;
/// What [`Wire::answer`] and [`Wire::stream`] say of themselves.
const TOKENS: [Option<u64>; 2] = [Some(5), Some(2)];

/// What one attempt at the failing deployment comes to.
enum End {
    /// It is no failure after all.
    Answer,
    /// The client gets this if nobody helps, and this may help.
    Failure { told: Seen, cure: Cure },
    /// The client has seen a text already.
    Midway { code: Option<&'static str> },
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
    let (told, cure) = match end(case.fault, case.streaming, wire) {
        End::Answer => return answered([1, 0], [1, 0]),
        End::Midway { code } => return broken(code, tokens_midway(case.fault, wire)),
        End::Failure { told, cure } => (told, cure),
    };
    let tries = if cure == Cure::Time { ATTEMPTS } else { 1 };
    match case.arrangement {
        Arrangement::Lone => failed(told, visible(case.fault, tries), tries),
        Arrangement::Group if cure == Cure::AnotherModel => failed(told, 1, 1),
        Arrangement::Group => answered([visible(case.fault, 1), 1], [2, 0]),
        Arrangement::Fallback => answered([visible(case.fault, tries), 1], [tries + 1, 1]),
    }
}

/// How many of these calls the provider can have counted.
fn visible(fault: Fault, calls: usize) -> usize {
    if matches!(fault, Refused | Dns) { 0 } else { calls }
}

fn answered(calls: [usize; 2], [attempts, fallbacks]: [usize; 2]) -> Cell {
    Cell { seen: Seen::Whole, calls, log: log("complete", attempts, fallbacks, TOKENS), contradictions: Vec::new() }
}

fn failed(told: Seen, calls: usize, attempts: usize) -> Cell {
    Cell { seen: told, calls: [calls, 0], log: log("failed", attempts, 0, [None, None]), contradictions: Vec::new() }
}

fn broken(code: Option<&str>, tokens: [Option<u64>; 2]) -> Cell {
    let seen = Seen::Midway { code: code.map(str::to_owned) };
    Cell { seen, calls: [1, 0], log: log("failed", 1, 0, tokens), contradictions: Vec::new() }
}

fn log(outcome: &str, attempts: usize, fallbacks: usize, tokens: [Option<u64>; 2]) -> Log {
    Log { outcome: outcome.to_owned(), attempts: attempts as u64, fallbacks: fallbacks as u64, tokens }
}

/// What a stream that breaks after a text has told of its tokens: nothing in OpenAI's, the prompt's at the beginning
/// of Anthropic's (and one of the answer), the prompt's in every event of Gemini's.
fn tokens_midway(_fault: Fault, wire: Wire) -> [Option<u64>; 2] {
    match wire {
        Wire::OpenAi => [None, None],
        Wire::Anthropic => [Some(5), Some(1)],
        Wire::Gemini => [Some(5), Some(0)],
    }
}

fn end(fault: Fault, streaming: bool, wire: Wire) -> End {
    let native = wire == Wire::OpenAi;
    let by_time = |status, code| failure(status, code, Cure::Time);
    let elsewhere = |status, code| failure(status, code, Cure::AnotherDeployment);
    match fault {
        Drip if streaming => End::Answer,
        ResetMidway if streaming => End::Midway { code: Some("upstream_broken") },
        StallMidway if streaming => End::Midway { code: Some("upstream_timeout") },
        EndMidway if streaming && wire == Wire::OpenAi => End::Midway { code: Some("upstream_malformed") },
        EndMidway | MalformedMidway if streaming => {
            End::Midway { code: if native { Some("upstream_malformed") } else { None } }
        }
        ErrorMidway => End::Midway { code: if native { None } else { Some("overloaded") } },
        Refused | Tls | Dns => by_time(502, Some("upstream_unreachable")),
        HangUp | ResetBeforeHead | ResetAfterHead | ResetBeforeText | ResetMidway => {
            by_time(502, Some("upstream_broken"))
        }
        StallBeforeHead | StallAfterHead | StallBeforeText | StallMidway | Drip => {
            by_time(504, Some("upstream_timeout"))
        }
        WrongContentType if streaming => by_time(502, Some("upstream_malformed")),
        EndMidway | Malformed | MalformedMidway | WrongContentType | Empty => {
            by_time(502, if native { Some("upstream_malformed") } else { None })
        }
        ErrorPage => by_time(503, if native { None } else { Some("overloaded") }),
        // OpenAI's body has no status in it.
        ErrorBody => by_time(if native { 502 } else { 503 }, if native { None } else { Some("overloaded") }),
        Status(400) => failure(400, None, Cure::AnotherModel),
        Status(401) => elsewhere(401, Some("invalid_api_key")),
        // What Anthropic says of an empty account becomes OpenAI's word for it.
        Status(402) if wire == Wire::Anthropic => elsewhere(429, Some("insufficient_quota")),
        Status(402) => elsewhere(402, Some(if native { "billing_hard_limit_reached" } else { "insufficient_quota" })),
        Status(403) => elsewhere(403, native.then_some("unsupported_country_region_territory")),
        Status(404) => elsewhere(404, native.then_some("model_not_found")),
        Status(408) => by_time(408, if native { None } else { Some("upstream_timeout") }),
        Status(413) => failure(413, if native { None } else { Some("request_too_large") }, Cure::AnotherModel),
        Status(429) => by_time(429, Some("rate_limit_exceeded")),
        RateLimitedShort => limited("1", Cure::Time),
        // Longer than a call waits by default (`max_wait`).
        RateLimitedLong => limited("30", Cure::AnotherDeployment),
        Quota => elsewhere(429, Some("insufficient_quota")),
        ContextWindow => failure(400, Some("context_length_exceeded"), Cure::AnotherModel),
        // 529 is Anthropic's own: SDKs know 503. What isn't translated stays as it is.
        Status(529) if !native => by_time(503, Some("overloaded")),
        Status(503) if !native => by_time(503, Some("overloaded")),
        Status(status) => by_time(status, None),
    }
}

fn failure(status: u16, code: Option<&str>, cure: Cure) -> End {
    End::Failure { told: Seen::Error { status, code: code.map(str::to_owned), retry_after: None }, cure }
}

fn limited(retry_after: &str, cure: Cure) -> End {
    let (code, retry_after) = (Some("rate_limit_exceeded".to_owned()), Some(retry_after.to_owned()));
    End::Failure { told: Seen::Error { status: 429, code, retry_after }, cure }
}
