//! What became of a case, and how it is told.

use std::fmt;

use serde_json::Value;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) seen: Seen,
    /// At the failing deployment and at the healthy one.
    pub(super) calls: [usize; 2],
    pub(super) log: Log,
    /// In what the headers and the log contradict each other.
    pub(super) contradictions: Vec<String>,
}

/// What the client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A whole answer, in order.
    Whole,
    /// A text, and what another deployment made of the wish to go on with it, in order.
    GoneOnWith,
    /// An error instead of an answer.
    Error { status: u16, code: Option<String>, retry_after: Option<String> },
    /// A text, then an event with an error, and no `[DONE]`.
    Midway { code: Option<String> },
    /// The whole text with its finish reason, then an event with an error, and no `[DONE]`.
    AtTheEnd { code: Option<String> },
    /// Something that no client should get.
    Odd(String),
}

/// What the log says: the request's line, and those of its failed attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) outcome: String,
    pub(super) attempts: u64,
    pub(super) fallbacks: u64,
    /// Of the prompt and of the answer.
    pub(super) tokens: Tokens,
    /// The same of attempts that failed.
    pub(super) failed_tokens: Tokens,
    /// How the attempts failed that the client saw nothing of, in order.
    pub(super) kinds: Vec<String>,
}

/// Of a prompt and of an answer, as far as the provider said.
pub(super) type Tokens = [Option<u64>; 2];

// === impl Log ===

impl Log {
    pub(super) fn of(entry: &Value) -> Self {
        let number = |key: &str| entry[key].as_u64();
        // What the gateway estimates of an attempt that failed or was cut is nobody's word; `costs` is about it.
        let (estimated, complete) = (entry["usage_estimated"] == true, entry["outcome"] == "complete");
        let said = |by_then: bool, keys: [&str; 2]| if estimated && by_then { [None, None] } else { keys.map(number) };
        Self {
            outcome: entry["outcome"].as_str().unwrap_or("no line").to_owned(),
            attempts: number("attempts").unwrap_or(1),
            fallbacks: number("fallbacks").unwrap_or(0),
            tokens: said(!complete, ["prompt_tokens", "completion_tokens"]),
            failed_tokens: said(true, ["failed_prompt_tokens", "failed_completion_tokens"]),
            kinds: Vec::new(),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = |code: &Option<String>| code.as_ref().map(|code| format!(" `{code}`")).unwrap_or_default();
        match self {
            Self::Whole => f.write_str("answer"),
            Self::GoneOnWith => f.write_str("text, then another deployment's"),
            Self::Error { status, code: word, retry_after } => {
                write!(f, "{status}{}", code(word))?;
                retry_after.as_ref().map_or(Ok(()), |after| write!(f, ", `Retry-After: {after}`"))
            }
            Self::Midway { code: word } => write!(f, "text, then error{}", code(word)),
            Self::AtTheEnd { code: word } => write!(f, "answer, then error{}", code(word)),
            Self::Odd(what) => write!(f, "ODD: {what}"),
        }
    }
}

impl Log {
    /// In words.
    pub(super) fn text(&self) -> String {
        let plural = |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let mut text = format!("{}, {}", self.outcome, plural(self.attempts, "attempt"));
        if self.fallbacks > 0 {
            text = format!("{text}, {}", plural(self.fallbacks, "fallback"));
        }
        let mut kinds: Vec<(usize, &str)> = Vec::new();
        for kind in &self.kinds {
            match kinds.last_mut() {
                Some((count, last)) if *last == kind.as_str() => *count += 1,
                _ => kinds.push((1, kind)),
            }
        }
        let kinds = kinds.iter().map(|(count, kind)| format!("{count} × `{kind}`"));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        if kinds.is_empty() { text } else { format!("{text}: {kinds}") }
    }

    /// In numbers.
    pub(super) fn counted(&self) -> String {
        let number = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
        let pair = |tokens: Tokens| tokens.map(number).join(" + ");
        match (self.tokens, self.failed_tokens) {
            ([None, None], [None, None]) => "–".to_owned(),
            (tokens, [None, None]) => pair(tokens),
            ([None, None], failed) => format!("{} failed", pair(failed)),
            (tokens, failed) => format!("{}, {} failed", pair(tokens), pair(failed)),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [faulty, healthy] = self.calls;
        let (log, tokens) = (self.log.text(), self.log.counted());
        write!(f, "{} · {faulty} + {healthy} calls · {log} · {tokens} tokens", self.seen)?;
        self.contradictions.iter().try_for_each(|what| write!(f, "; {what}"))
    }
}
