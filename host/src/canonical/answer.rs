//! Answers that are canonical already, read as they pass.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::usage;
use crate::usage::Usage;

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
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// What the host looks at in a whole canonical answer.
#[derive(Debug, Default, Deserialize)]
pub struct AnswerView<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
    /// The pictures of an answer that is pictures.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

impl<'a> ChunkView<'a> {
    /// Reads a chunk; `None` where it is no JSON object.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        parse(data)
    }

    /// What the call used.
    pub fn usage(&self) -> Option<Usage> {
        let groq = || usage::read(serde_json::from_str::<Groq<'_>>(self.x_groq?.get()).ok()?.usage?.get());
        let said = self.usage.and_then(|usage| usage::read(usage.get())).or_else(groq);
        said.map(|usage| with_tier(usage, self.service_tier))
    }

    /// The JSON text of the usage.
    pub fn usage_text(&self) -> Option<&'a str> {
        self.usage.map(RawValue::get)
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
        self.usage.and_then(|usage| usage::read(usage.get())).map(|usage| with_tier(usage, self.service_tier))
    }

    /// What making pictures used, which are counted themselves: not all providers count tokens.
    pub fn picture_usage(&self) -> Option<Usage> {
        let images = serde_json::from_str::<Vec<IgnoredAny>>(self.data?.get()).ok()?.len() as u64;
        let mut usage = self.usage().unwrap_or_default();
        if usage.details.image_output_tokens == 0 && usage.reasoning_tokens == 0 {
            usage.details.image_output_tokens = usage.completion_tokens;
        }
        usage.details.images = images;
        Some(usage)
    }

    /// Whether the provider says, under a status of success, that it failed.
    pub fn is_error(&self) -> bool {
        self.error.is_some()
    }
}

/// Newer models say how soon they served beside the usage.
fn with_tier(mut usage: Usage, tier: Option<&RawValue>) -> Usage {
    usage.details.tier = usage.details.tier.or_else(|| usage::tier(tier?));
    usage
}

/// Whether a chunk carries something of the answer: text, a tool call, a finish reason. One that only says who speaks
/// doesn't, so an answer that fails right after it can still be given by somebody else, unseen.
pub fn carries_content(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow, default)]
        choices: Option<Vec<Choice<'a>>>,
    }
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow, default)]
        delta: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
        #[serde(borrow, default)]
        text: Option<&'a RawValue>,
        #[serde(default)]
        finish_reason: Option<IgnoredAny>,
    }
    let says = |value: &RawValue| !matches!(value.get(), "null" | "\"\"" | "[]" | "{}");
    let of_choice = |choice: &Choice<'_>| {
        let of_delta = |(key, value): (&Cow<'_, str>, &&RawValue)| key != "role" && says(value);
        choice.finish_reason.is_some()
            || choice.text.is_some_and(says)
            || choice.delta.as_ref().is_some_and(|delta| delta.iter().any(of_delta))
    };
    // What isn't made of choices is none of chat's chunks, and all of it is content.
    parse::<Chunk<'_>>(data).and_then(|chunk| chunk.choices).is_none_or(|choices| choices.iter().any(of_choice))
}

/// serde_json looks at UTF-8 only in the strings that it keeps, and the client gets all of them.
fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    serde_json::from_str(std::str::from_utf8(json).ok()?).ok()
}

/// Whether `json` is one JSON object.
pub fn is_object(json: &str) -> bool {
    json.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok()
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
    fn who_speaks_is_no_content() {
        for (data, content) in [
            (r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#, false),
            (r#"{"choices":[{"delta":{"role":"assistant","content":null,"refusal":null}}]}"#, false),
            (r#"{"choices":[{"delta":{}}]}"#, false),
            (r#"{"choices":[]}"#, false),
            (r#"{"choices":[{"text":""}]}"#, false),
            (r#"{"choices":[{"delta":{"content":"a"}}]}"#, true),
            (r#"{"choices":[{"delta":{"reasoning_content":"a"}}]}"#, true),
            (r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#, true),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, true),
            (r#"{"choices":[{"text":"a"}]}"#, true),
            (r#"{"data":[]}"#, true),
        ] {
            assert_eq!(carries_content(data.as_bytes()), content, "{data}");
        }
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
            (r#"{"prompt_tokens":4,"completion_tokens":9,"prompt_tokens":5}"#, Some((5, 9, 0))),
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
