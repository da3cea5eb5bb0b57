//! Answers that are canonical already, read as they pass.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::plugin::Usage;

/// What the host looks at in one chunk of a canonical stream.
#[derive(Debug, Default, Deserialize)]
pub struct ChunkView<'a> {
    #[serde(default)]
    choices: Option<Choices>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    /// Groq's place for the usage.
    #[serde(borrow, default)]
    x_groq: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// What the host looks at in a whole canonical answer.
#[derive(Debug, Default, Deserialize)]
pub struct AnswerView<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl<'a> ChunkView<'a> {
    /// Reads a chunk; `None` where it is no JSON object.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        parse(data)
    }

    /// What the call used.
    pub fn usage(&self) -> Option<Usage> {
        let groq = || serde_json::from_str::<Value>(self.x_groq?.get()).ok()?.get("usage").and_then(usage);
        self.usage.and_then(read_usage).or_else(groq)
    }

    /// Whether this is the extra chunk that only tells the usage.
    pub fn is_usage_only(&self) -> bool {
        self.usage.is_some() && self.choices.is_none_or(|choices| choices.seen == 0)
    }

    /// The choices in this chunk, and those of them that end here: a bit each.
    pub fn choices(&self) -> (u64, u64) {
        self.choices.map_or((0, 0), |choices| (choices.seen, choices.finished))
    }

    /// Whether the provider says that it failed.
    pub fn is_error(&self) -> bool {
        self.error.is_some()
    }
}

impl<'a> AnswerView<'a> {
    /// Reads an answer; `None` where it is no JSON object.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        parse(body)
    }

    /// What the call used.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.and_then(read_usage)
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

fn read_usage(raw: &RawValue) -> Option<Usage> {
    usage(&serde_json::from_str(raw.get()).ok()?)
}

/// Usage, in the names of chat (`prompt_tokens`) or of newer endpoints (`input_tokens`).
///
/// Read leniently: an odd number here is no reason to refuse an answer that was paid for.
fn usage(value: &Value) -> Option<Usage> {
    let tokens = |path: &str| {
        let number = value.pointer(path)?;
        number.as_u64().or_else(|| number.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
    };
    let prompt = tokens("/prompt_tokens").or_else(|| tokens("/input_tokens"));
    let completion = tokens("/completion_tokens").or_else(|| tokens("/output_tokens"));
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let cached =
        tokens("/prompt_tokens_details/cached_tokens").or_else(|| tokens("/input_tokens_details/cached_tokens"));
    let reasoning = tokens("/completion_tokens_details/reasoning_tokens")
        .or_else(|| tokens("/output_tokens_details/reasoning_tokens"));
    Some(Usage {
        prompt_tokens: prompt.unwrap_or(0),
        completion_tokens: completion.unwrap_or(0),
        // DeepSeek has a place of its own for them.
        cache_read_tokens: cached.or_else(|| tokens("/prompt_cache_hit_tokens")).unwrap_or(0),
        cache_write_tokens: 0,
        reasoning_tokens: reasoning.unwrap_or(0),
    })
}

/// Which choices there are, and which of them end: a bit each, the last one for all from the 64th on.
#[derive(Clone, Copy, Debug, Default)]
struct Choices {
    seen: u64,
    finished: u64,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Choice {
            #[serde(default)]
            index: u64,
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
                    let bit = 1 << choice.index.min(63);
                    choices.seen |= bit;
                    choices.finished |= if choice.finish_reason.is_some() { bit } else { 0 };
                }
                Ok(choices)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_says_which_choices_end_and_whether_it_only_tells_usage() {
        for (data, choices, usage_only, error) in [
            (r#"{"choices":[{"delta":{"content":"\"finish_reason\":1"},"finish_reason":null}]}"#, (1, 0), false, false),
            (r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}],"usage":null}"#, (2, 2), false, false),
            (r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, (0, 0), true, false),
            (r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#, (1, 1), false, false),
            (r#"{"error":{"message":"x"}}"#, (0, 0), false, true),
        ] {
            let chunk = ChunkView::parse(data.as_bytes()).unwrap();
            assert_eq!(
                (chunk.choices(), chunk.is_usage_only(), chunk.is_error()),
                (choices, usage_only, error),
                "{data}"
            );
        }
        assert!(ChunkView::parse(b"{\"choices\":").is_none());
        assert!(ChunkView::parse(b"{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}").is_none());
    }

    #[test]
    fn usage_is_found_where_providers_put_it() {
        for (usage, expected) in [
            (
                r#"{"prompt_tokens":5,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":3}}"#,
                Some((5, 7, 3)),
            ),
            (r#"{"input_tokens":5,"output_tokens":7}"#, Some((5, 7, 0))),
            (r#"{"prompt_tokens":5,"prompt_cache_hit_tokens":2,"completion_tokens":1}"#, Some((5, 1, 2))),
            (r#"{"prompt_tokens":5,"input_tokens":6,"completion_tokens":1}"#, Some((5, 1, 0))),
            (r#"{"prompt_tokens":5.0,"completion_tokens":-1,"prompt_tokens_details":7}"#, Some((5, 0, 0))),
            (r#"{"prompt_tokens":"many"}"#, None),
            ("[1]", None),
        ] {
            let body = format!(r#"{{"usage":{usage}}}"#);
            let found = AnswerView::parse(body.as_bytes()).unwrap().usage();
            let found = found.map(|usage| (usage.prompt_tokens, usage.completion_tokens, usage.cache_read_tokens));
            assert_eq!(found, expected, "{usage}");
        }
        let groq = ChunkView::parse(br#"{"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#).unwrap();
        assert_eq!(groq.usage().map(|usage| usage.completion_tokens), Some(2));
    }
}
