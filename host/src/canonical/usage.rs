//! What a canonical answer says it used.
//!
//! Read leniently: an odd number here is no reason to refuse an answer that was paid for.

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::money::Money;
use crate::prices::Tier;
use crate::usage::{self, Usage};

/// The usage in `json`, in the names of chat (`prompt_tokens`) or of newer endpoints (`input_tokens`); `None` where it
/// tells neither.
pub(super) fn read(json: &str) -> Option<Usage> {
    let said = |said: Said<'_>| said.usage();
    // A tree of values takes a name that stands there twice, and keeps the last.
    let leniently = || read_unless_array(&serde_json::from_str::<Value>(json).ok()?.to_string()).and_then(said);
    match read_unless_array(json) {
        Some(read) => said(read),
        None => leniently(),
    }
}

/// `service_tier` of an answer.
pub(super) fn tier(json: &RawValue) -> Option<Tier> {
    Tier::of(word(json)?)
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Said<'a> {
    prompt_tokens: Lenient<Number>,
    input_tokens: Lenient<Number>,
    completion_tokens: Lenient<Number>,
    output_tokens: Lenient<Number>,
    total_tokens: Lenient<Number>,
    prompt_tokens_details: Lenient<Details>,
    input_tokens_details: Lenient<Details>,
    completion_tokens_details: Lenient<Details>,
    output_tokens_details: Lenient<Details>,
    /// DeepSeek's own place for what came from its cache.
    prompt_cache_hit_tokens: Lenient<Number>,
    /// Anthropic's names, which LiteLLM shows beside OpenAI's.
    cache_read_input_tokens: Lenient<Number>,
    cache_creation_input_tokens: Lenient<Number>,
    server_tool_use: Lenient<Tools>,
    /// Perplexity's.
    num_search_queries: Lenient<Number>,
    citation_tokens: Lenient<Number>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    speed: Option<&'a RawValue>,
    #[serde(borrow)]
    inference_geo: Option<&'a RawValue>,
    /// Dollars, or Perplexity's object.
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Lenient<Number>,
    reasoning_tokens: Lenient<Number>,
    audio_tokens: Lenient<Number>,
    image_tokens: Lenient<Number>,
    video_tokens: Lenient<Number>,
    cache_creation_tokens: Lenient<Number>,
    cache_write_tokens: Lenient<Number>,
    cached_tokens_details: Lenient<Cached>,
    cache_creation_token_details: Lenient<Lifetimes>,
    web_search_requests: Lenient<Number>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Cached {
    audio_tokens: Lenient<Number>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Lifetimes {
    ephemeral_1h_input_tokens: Lenient<Number>,
    ephemeral_12h_input_tokens: Lenient<Number>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Tools {
    web_search_requests: Lenient<Number>,
}

impl Said<'_> {
    fn usage(self) -> Option<Usage> {
        let prompt = self.prompt_tokens.count().or(self.input_tokens.count());
        let completion = self.completion_tokens.count().or(self.output_tokens.count());
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let none = Details::default();
        let of_prompt = self.prompt_tokens_details.0.as_ref().or(self.input_tokens_details.0.as_ref()).unwrap_or(&none);
        let of_answer = self.completion_tokens_details.0.as_ref().or(self.output_tokens_details.0.as_ref());
        let of_answer = of_answer.unwrap_or(&none);
        let (prompt_tokens, mut completion_tokens) = (prompt.unwrap_or(0), completion.unwrap_or(0));
        let reasoning_tokens = of_answer.reasoning_tokens.or_none();
        // xAI counts an answer without the reasoning before it, and the sum says so.
        if reasoning_tokens > 0
            && self.total_tokens.count() == prompt_tokens.checked_add(completion_tokens)?.checked_add(reasoning_tokens)
        {
            completion_tokens += reasoning_tokens;
        }
        let cached = of_prompt.cached_tokens.count().or(self.prompt_cache_hit_tokens.count());
        let written = of_prompt.cache_creation_tokens.count().or(of_prompt.cache_write_tokens.count());
        let lifetimes = of_prompt.cache_creation_token_details.0.as_ref();
        let searches = self.server_tool_use.0.as_ref().and_then(|tools| tools.web_search_requests.count());
        let searches = searches.or(of_prompt.web_search_requests.count()).or(self.num_search_queries.count());
        let is = |json: Option<&RawValue>, expected: &str| json.and_then(word) == Some(expected);
        Some(Usage {
            prompt_tokens,
            completion_tokens,
            cache_read_tokens: cached.or(self.cache_read_input_tokens.count()).unwrap_or(0),
            cache_write_tokens: written.or(self.cache_creation_input_tokens.count()).unwrap_or(0),
            reasoning_tokens,
            details: usage::Details {
                cache_write_1h_tokens: lifetimes.map_or(0, |kept| kept.ephemeral_1h_input_tokens.or_none()),
                cache_write_12h_tokens: lifetimes.map_or(0, |kept| kept.ephemeral_12h_input_tokens.or_none()),
                audio_input_tokens: of_prompt.audio_tokens.or_none(),
                audio_cached_tokens: of_prompt
                    .cached_tokens_details
                    .0
                    .as_ref()
                    .map_or(0, |of| of.audio_tokens.or_none()),
                audio_output_tokens: of_answer.audio_tokens.or_none(),
                image_input_tokens: of_prompt.image_tokens.or_none(),
                image_output_tokens: of_answer.image_tokens.or_none(),
                video_input_tokens: of_prompt.video_tokens.or_none(),
                video_output_tokens: of_answer.video_tokens.or_none(),
                citation_tokens: self.citation_tokens.or_none(),
                searches: searches.unwrap_or(0),
                tier: self.service_tier.and_then(tier),
                is_fast: is(self.speed, "fast"),
                is_us_only: is(self.inference_geo, "us"),
                stated: self.cost.and_then(stated),
                ..usage::Details::default()
            },
        })
    }
}

/// What a provider says that the call costs: dollars, or an object with their sum.
fn stated(json: &RawValue) -> Option<Money> {
    #[derive(serde::Deserialize)]
    struct Sum<'a> {
        #[serde(borrow)]
        total_cost: &'a RawValue,
    }
    let text = match json.get() {
        object if object.starts_with('{') => serde_json::from_str::<Sum<'_>>(object).ok()?.total_cost.get(),
        number => number,
    };
    text.parse().ok().filter(|cost| *cost >= Money::ZERO)
}

/// A text without anything to unescape, which all known words are.
fn word(json: &RawValue) -> Option<&str> {
    json.get().strip_prefix('"')?.strip_suffix('"')
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
    fn or_none(&self) -> u64 {
        self.count().unwrap_or(0)
    }

    fn count(&self) -> Option<u64> {
        let number = self.0.as_ref()?;
        let whole = || number.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64);
        number.as_u64().or_else(whole).map(usage::plausible)
    }
}
