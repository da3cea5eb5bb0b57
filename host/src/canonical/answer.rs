//! Answers that are canonical already, read as they pass.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::plugin::Usage;

/// What the host looks at in one chunk of a canonical stream.
#[derive(Debug, Default, Deserialize)]
pub struct ChunkView {
    #[serde(default)]
    choices: Option<Choices>,
    #[serde(default)]
    usage: Option<UsageView>,
    /// Groq's place for it.
    #[serde(default)]
    x_groq: Option<XGroq>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct XGroq {
    #[serde(default)]
    usage: Option<UsageView>,
}

/// What the host looks at in a whole canonical answer.
#[derive(Debug, Default, Deserialize)]
pub struct AnswerView {
    #[serde(default)]
    usage: Option<UsageView>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl ChunkView {
    /// Reads a chunk; `None` where it is no JSON object.
    pub fn parse(data: &[u8]) -> Option<Self> {
        parse(data)
    }

    /// What the call used.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.or(self.x_groq.as_ref().and_then(|x| x.usage)).map(Usage::from)
    }

    /// Whether this is the extra chunk that only tells the usage.
    pub fn is_usage_only(&self) -> bool {
        self.usage.is_some() && self.choices.is_none_or(|choices| choices.count == 0)
    }

    /// Whether a choice ends here.
    pub fn finishes(&self) -> bool {
        self.choices.is_some_and(|choices| choices.finished)
    }

    /// Whether the provider says that it failed.
    pub fn is_error(&self) -> bool {
        self.error.is_some()
    }
}

impl AnswerView {
    /// Reads an answer; `None` where it is no JSON object.
    pub fn parse(body: &[u8]) -> Option<Self> {
        parse(body)
    }

    /// What the call used.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.map(Usage::from)
    }

    /// Whether the provider says, under a status of success, that it failed.
    pub fn is_error(&self) -> bool {
        self.error.is_some()
    }
}

/// serde_json looks at UTF-8 only in the strings that it keeps, and the client gets all of them.
fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    serde_json::from_str(std::str::from_utf8(json).ok()?).ok()
}

/// Whether `json` is one JSON object.
pub fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{') && parse::<IgnoredAny>(json).is_some()
}

/// What the call used, from a canonical answer's bytes.
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    AnswerView::parse(body)?.usage()
}

/// How many choices there are, and whether one of them ends; nothing else is kept.
#[derive(Clone, Copy, Debug, Default)]
struct Choices {
    count: usize,
    finished: bool,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Choice {
            #[serde(default)]
            finish_reason: Option<IgnoredAny>,
        }
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Choices;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of choices")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Choices, S::Error> {
                let mut choices = Choices::default();
                while let Some(choice) = seq.next_element::<Choice>()? {
                    choices.count += 1;
                    choices.finished |= choice.finish_reason.is_some();
                }
                Ok(choices)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Usage, in the names of chat (`prompt_tokens`) or of newer endpoints (`input_tokens`).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct UsageView {
    #[serde(default, alias = "input_tokens")]
    prompt_tokens: Option<u64>,
    #[serde(default, alias = "output_tokens")]
    completion_tokens: Option<u64>,
    #[serde(default, alias = "input_tokens_details")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default, alias = "output_tokens_details")]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's place for it.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl From<UsageView> for Usage {
    fn from(view: UsageView) -> Self {
        let cached = view.prompt_tokens_details.and_then(|details| details.cached_tokens);
        Self {
            prompt_tokens: view.prompt_tokens.unwrap_or(0),
            completion_tokens: view.completion_tokens.unwrap_or(0),
            cache_read_tokens: cached.or(view.prompt_cache_hit_tokens).unwrap_or(0),
            cache_write_tokens: 0,
            reasoning_tokens: view.completion_tokens_details.and_then(|d| d.reasoning_tokens).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_says_whether_it_ends_a_choice_or_only_tells_usage() {
        for (data, finishes, usage_only, error) in [
            (
                r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""},"finish_reason":null}]}"#,
                false,
                false,
                false,
            ),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#, true, false, false),
            (r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, false, true, false),
            (r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#, true, false, false),
            (r#"{"error":{"message":"x"}}"#, false, false, true),
        ] {
            let chunk = ChunkView::parse(data.as_bytes()).unwrap();
            assert_eq!(
                (chunk.finishes(), chunk.is_usage_only(), chunk.is_error()),
                (finishes, usage_only, error),
                "{data}"
            );
        }
        assert!(ChunkView::parse(b"{\"choices\":").is_none());
    }

    #[test]
    fn usage_is_found_where_providers_put_it() {
        for (body, expected) in [
            (
                r#"{"usage":{"prompt_tokens":5,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":3}}}"#,
                (5, 7, 3),
            ),
            (r#"{"usage":{"input_tokens":5,"output_tokens":7}}"#, (5, 7, 0)),
            (r#"{"usage":{"prompt_tokens":5,"prompt_cache_hit_tokens":2,"completion_tokens":1}}"#, (5, 1, 2)),
        ] {
            let usage = usage_of(body.as_bytes()).unwrap();
            assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.cache_read_tokens), expected, "{body}");
        }
        assert!(usage_of(b"{}").is_none());
    }
}
