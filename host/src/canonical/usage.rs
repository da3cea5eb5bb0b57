//! What a canonical answer says it used.
//!
//! Read leniently: an odd number here is no reason to refuse an answer that was paid for.

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::plugin::Usage;

/// The usage in `json`, in the names of chat (`prompt_tokens`) or of newer endpoints (`input_tokens`); `None` where it
/// tells neither.
pub(super) fn read(json: &str) -> Option<Usage> {
    // A tree of values takes a name that stands there twice, and keeps the last.
    let leniently = || read_unless_array(&serde_json::from_str::<Value>(json).ok()?.to_string());
    let said: Said = read_unless_array(json).or_else(leniently)?;
    let prompt = said.prompt_tokens.count().or(said.input_tokens.count());
    let completion = said.completion_tokens.count().or(said.output_tokens.count());
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let cached = [&said.prompt_tokens_details, &said.input_tokens_details];
    let cached = cached.into_iter().find_map(|details| details.0.as_ref()?.cached_tokens.count());
    let reasoning = [&said.completion_tokens_details, &said.output_tokens_details];
    let reasoning = reasoning.into_iter().find_map(|details| details.0.as_ref()?.reasoning_tokens.count());
    Some(Usage {
        prompt_tokens: prompt.unwrap_or(0),
        completion_tokens: completion.unwrap_or(0),
        cache_read_tokens: cached.or(said.prompt_cache_hit_tokens.count()).unwrap_or(0),
        cache_write_tokens: 0,
        reasoning_tokens: reasoning.unwrap_or(0),
    })
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Said {
    prompt_tokens: Lenient<Number>,
    input_tokens: Lenient<Number>,
    completion_tokens: Lenient<Number>,
    output_tokens: Lenient<Number>,
    prompt_tokens_details: Lenient<Details>,
    input_tokens_details: Lenient<Details>,
    completion_tokens_details: Lenient<Details>,
    output_tokens_details: Lenient<Details>,
    /// DeepSeek's own place for what came from its cache.
    prompt_cache_hit_tokens: Lenient<Number>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Lenient<Number>,
    reasoning_tokens: Lenient<Number>,
}

/// What is of another type counts as absent.
struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(read_unless_array(raw.get())))
    }
}

/// serde would read an array as an object without names.
fn read_unless_array<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    if json.starts_with('[') { None } else { serde_json::from_str(json).ok() }
}

impl Lenient<Number> {
    fn count(&self) -> Option<u64> {
        let number = self.0.as_ref()?;
        number.as_u64().or_else(|| number.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
    }
}
