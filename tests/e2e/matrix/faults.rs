//! What can go wrong at a provider.

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
}
