//! What is measured: the scenarios, and what a client sends in each.

use std::time::Duration;

use serde::Serialize;

use crate::fake::{CHUNKS, Endpoint, Pace};
use crate::load::{Call, Expect};
use crate::prompt;
use crate::proxy::{self, Target};

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    /// What the report calls it.
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) endpoint: Endpoint,
    pub(crate) prompt: Prompt,
}

/// How load is put on, and so which figures there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Calls in a closed loop.
    Calls,
    /// Calls at a fixed rate.
    Rate,
    /// Streams without delay, in a closed loop.
    Streams,
    /// That many streams at once, each with a chunk every 20 ms.
    Paced(u32),
    /// That many streams held open, each with a chunk every two seconds.
    Held(u32),
    /// From nothing to the first answer.
    Start,
}

/// What the client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// Two short messages.
    Small,
    /// A conversation of that many bytes.
    Conversation(usize),
    /// A sentence to embed.
    Embedding,
}

const EVERY: Duration = Duration::from_millis(20);
const HELD_EVERY: Duration = Duration::from_secs(2);

/// All of them, in the report's order.
pub(crate) fn all() -> Vec<Scenario> {
    use Endpoint::{Anthropic, Denied, Gemini, OpenAiChat, OpenAiEmbeddings};
    use Kind::{Calls, Held, Paced, Rate, Start, Streams};
    use Prompt::{Conversation, Embedding, Small};
    let scenario = |name, title, kind, endpoint, prompt| Scenario { name, title, kind, endpoint, prompt };
    vec![
        scenario("chat-native", "small chat, OpenAI → OpenAI", Calls, OpenAiChat, Small),
        scenario("chat-anthropic", "small chat, OpenAI → Anthropic", Calls, Anthropic, Small),
        scenario("chat-gemini", "small chat, OpenAI → Gemini", Calls, Gemini, Small),
        scenario("embeddings", "embeddings, OpenAI → OpenAI", Calls, OpenAiEmbeddings, Embedding),
        scenario("prompt-100k-native", "100 KB prompt, OpenAI → OpenAI", Calls, OpenAiChat, Conversation(100_000)),
        scenario("prompt-100k-anthropic", "100 KB prompt, OpenAI → Anthropic", Calls, Anthropic, Conversation(100_000)),
        scenario("prompt-400k-native", "400 KB prompt, OpenAI → OpenAI", Calls, OpenAiChat, Conversation(400_000)),
        scenario("prompt-400k-anthropic", "400 KB prompt, OpenAI → Anthropic", Calls, Anthropic, Conversation(400_000)),
        scenario("unauthorized", "wrong key, refused with 401", Calls, Denied, Small),
        scenario("rate-native", "small chat, OpenAI → OpenAI", Rate, OpenAiChat, Small),
        scenario("rate-anthropic", "small chat, OpenAI → Anthropic", Rate, Anthropic, Small),
        scenario("stream-native", "stream of 64 chunks, OpenAI → OpenAI", Streams, OpenAiChat, Small),
        scenario("stream-anthropic", "stream of 64 chunks, OpenAI → Anthropic", Streams, Anthropic, Small),
        scenario("paced-native", "200 streams, 20 ms a chunk, OpenAI → OpenAI", Paced(200), OpenAiChat, Small),
        scenario("paced-anthropic", "200 streams, 20 ms a chunk, OpenAI → Anthropic", Paced(200), Anthropic, Small),
        scenario("held-2000-native", "2,000 open streams, OpenAI → OpenAI", Held(2000), OpenAiChat, Small),
        scenario("held-2000-anthropic", "2,000 open streams, OpenAI → Anthropic", Held(2000), Anthropic, Small),
        scenario("held-10000-native", "10,000 open streams, OpenAI → OpenAI", Held(10_000), OpenAiChat, Small),
        scenario("held-10000-anthropic", "10,000 open streams, OpenAI → Anthropic", Held(10_000), Anthropic, Small),
        scenario("start", "start, then a small chat, OpenAI → Anthropic", Start, Anthropic, Small),
    ]
}

// === impl Kind ===

impl Kind {
    pub(crate) fn is_streamed(self) -> bool {
        matches!(self, Self::Streams | Self::Paced(_) | Self::Held(_))
    }

    /// How the fake answers.
    pub(crate) fn pace(self) -> Pace {
        match self {
            Self::Calls | Self::Rate | Self::Start => Pace::Whole,
            Self::Streams => Pace::Burst,
            Self::Paced(_) => Pace::Every(EVERY),
            Self::Held(_) => Pace::Held(HELD_EVERY),
        }
    }

    /// How long one stream of it lasts at least.
    pub(crate) fn stream_time(self) -> Duration {
        let chunks = u32::try_from(CHUNKS).unwrap_or(u32::MAX);
        if matches!(self, Self::Paced(_)) { EVERY * chunks } else { Duration::ZERO }
    }
}

// === impl Scenario ===

impl Scenario {
    /// What the client sends to a target, and what it has to get back.
    ///
    /// All get the same body. The gateway gets it at OpenAI's path; the others at the provider's, since they don't
    /// translate.
    pub(crate) fn call(&self, target: Target) -> Call {
        self.with_key(target, proxy::CLIENT_KEY)
    }

    fn with_key(&self, target: Target, key: &str) -> Call {
        let through_gateway = target == Target::Gateway;
        let path = match (self.prompt, through_gateway) {
            (_, false) => self.endpoint.path(),
            (Prompt::Embedding, true) => Endpoint::OpenAiEmbeddings.path(),
            (_, true) => Endpoint::OpenAiChat.path(),
        };
        let key = if self.endpoint == Endpoint::Denied { "sk-bench-wrong-key" } else { key };
        let streamed = self.kind.is_streamed();
        let body = prompt::body(self.prompt, proxy::model_of(self.endpoint), streamed);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             authorization: Bearer {key}\r\naccept: application/json\r\nuser-agent: bench/1.0\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        Call { bytes: [head.as_bytes(), &body].concat(), expect: self.expect(through_gateway) }
    }

    /// A call that tells whether the target is up: the same, but never a stream, and with the key that is always there. The
    /// fake has to be told so, too.
    pub(crate) fn probe(&self, target: Target) -> Call {
        Self { kind: Kind::Calls, ..self.clone() }.with_key(target, proxy::MASTER_KEY)
    }

    fn expect(&self, through_gateway: bool) -> Expect {
        let whole = Expect { status: 200, marks: Some(1), ending: b"}", least_bytes: 200 };
        match (self.endpoint, self.kind) {
            (Endpoint::Denied, _) => Expect { status: 401, marks: Some(0), least_bytes: 20, ..whole },
            (Endpoint::OpenAiEmbeddings, _) => Expect { marks: Some(0), least_bytes: 10_000, ..whole },
            (_, kind) if kind.is_streamed() => Expect {
                marks: (!matches!(kind, Kind::Held(_))).then_some(CHUNKS),
                ending: match self.endpoint {
                    Endpoint::Anthropic if !through_gateway => br#"{"type":"message_stop"}"#,
                    Endpoint::Gemini if !through_gateway => b"}",
                    _ => b"data: [DONE]",
                },
                ..whole
            },
            _ => whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().into_iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn all_targets_get_the_same_body() {
        for scenario in all() {
            let body = |target| {
                let bytes = scenario.call(target).bytes;
                let at = memchr::memmem::find(&bytes, b"\r\n\r\n").unwrap();
                bytes[at..].to_vec()
            };
            assert_eq!(body(Target::Gateway), body(Target::Nginx), "{}", scenario.name);
        }
    }
}
