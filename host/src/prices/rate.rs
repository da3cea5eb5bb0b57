//! What a rate is for: LiteLLM's names of prices, taken apart.
//!
//! `cache_read_input_token_cost_above_272k_tokens_priority` is a unit (a token read from the cache), a length of the prompt
//! from which it holds, and a service tier.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A token of the prompt.
    Input,
    /// A token of the answer.
    Output,
    /// A token read from the provider's cache.
    CacheRead,
    /// A token written to it.
    CacheWrite,
    /// A token written to it for an hour.
    CacheWrite1h,
    /// A token written to it for twelve hours.
    CacheWrite12h,
    /// A token of reasoning.
    Reasoning,
    /// A token of sound in the prompt.
    AudioInput,
    /// One of these that was read from the cache.
    AudioCached,
    /// A token of sound in the answer.
    AudioOutput,
    /// A token of a picture in the prompt.
    ImageInput,
    /// A token of a picture in the answer.
    ImageOutput,
    /// A token of a film in the prompt.
    VideoInput,
    /// A token of a film in the answer.
    VideoOutput,
    /// A token of a citation.
    Citation,
    /// A picture: LiteLLM's tables have the price of one that is made under either name.
    PerImageInput,
    /// A picture that is made.
    PerImageOutput,
    /// A pixel of a picture that is made, under either name.
    PerPixelInput,
    /// A pixel of a picture that is made.
    PerPixelOutput,
    /// A character of the prompt.
    PerCharacter,
    /// A second.
    PerSecondInput,
    /// A second.
    PerSecondOutput,
    /// A call.
    PerRequest,
    /// A search, where what it brings is small.
    SearchLow,
    /// A search.
    SearchMedium,
    /// A search, where what it brings is large.
    SearchHigh,
}

/// How soon a call is served: `service_tier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// `default`, `standard`
    Standard,
    /// `flex`
    Flex,
    /// `balanced`
    Balanced,
    /// `priority`, `fast`
    Priority,
    /// `ultrafast`
    Ultrafast,
    /// `batch`
    Batch,
}

/// One price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Of what.
    pub unit: Unit,
    /// In which tier.
    pub tier: Tier,
    /// For prompts with more tokens than these.
    pub above: u64,
    /// US dollars.
    pub usd: Decimal,
}

// === impl Tier ===

impl Tier {
    /// By the name that requests and answers use; `None` for `auto` and those that have no price of their own.
    pub fn of(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        [
            (Self::Standard, ["default", "standard", "on_demand"]),
            (Self::Flex, ["flex", "on_demand_flex", "flex"]),
            (Self::Balanced, ["balanced"; 3]),
            (Self::Priority, ["priority", "fast", "on_demand_priority"]),
            (Self::Ultrafast, ["ultrafast"; 3]),
            (Self::Batch, ["batch"; 3]),
        ]
        .into_iter()
        .find_map(|(tier, names)| names.into_iter().any(is).then_some(tier))
    }
}

// === impl Rate ===

const TIERS: [(&str, Tier); 5] = [
    ("_flex", Tier::Flex),
    ("_priority", Tier::Priority),
    ("_batches", Tier::Batch),
    ("_balanced", Tier::Balanced),
    ("_ultrafast", Tier::Ultrafast),
];

impl Rate {
    /// Whether a key names a price that is known here.
    pub fn is_name(name: &str) -> bool {
        parts(name).is_some()
    }

    /// The price under a key of LiteLLM's; `None`: the key is none, or what stands there no number from 0 on.
    pub fn read(name: &str, json: &RawValue) -> Option<Self> {
        let (unit, tier, above) = parts(name)?;
        Some(Self { unit, tier, above, usd: dollars(json)? })
    }
}

/// A number from 0 on as it is written, to the last digit; in quotes too.
pub(super) fn dollars(json: &RawValue) -> Option<Decimal> {
    decimal(json.get().trim_matches('"').trim()).filter(|usd| !usd.is_sign_negative() || usd.is_zero())
}

/// A number as it is written.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let plain = || text.parse().ok();
    Decimal::from_str_exact(text).ok().or_else(|| Decimal::from_scientific(text).ok()).or_else(plain)
}

fn parts(name: &str) -> Option<(Unit, Tier, u64)> {
    let of_tier = TIERS.iter().find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, *tier)));
    let (name, tier) = of_tier.unwrap_or((name, Tier::Standard));
    let (name, above) = match name.strip_suffix("_tokens").and_then(|name| name.rsplit_once("_above_")) {
        Some((name, length)) => (name, threshold(length)?),
        None => (name, 0),
    };
    Some((unit(name)?, tier, above))
}

/// `128k`
fn threshold(length: &str) -> Option<u64> {
    match length.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000),
        None => length.parse().ok(),
    }
}

fn unit(name: &str) -> Option<Unit> {
    Some(match name {
        "input_cost_per_token" => Unit::Input,
        "output_cost_per_token" => Unit::Output,
        // DeepSeek's rows have the price of a cache's token under both names.
        "cache_read_input_token_cost" | "input_cost_per_token_cache_hit" => Unit::CacheRead,
        "cache_creation_input_token_cost" => Unit::CacheWrite,
        "cache_creation_input_token_cost_above_1hr" => Unit::CacheWrite1h,
        "cache_creation_input_token_cost_above_12hr" => Unit::CacheWrite12h,
        "output_cost_per_reasoning_token" => Unit::Reasoning,
        "input_cost_per_audio_token" => Unit::AudioInput,
        "cache_read_input_audio_token_cost" => Unit::AudioCached,
        "output_cost_per_audio_token" => Unit::AudioOutput,
        "input_cost_per_image_token" => Unit::ImageInput,
        "output_cost_per_image_token" => Unit::ImageOutput,
        "input_cost_per_video_token" => Unit::VideoInput,
        "output_cost_per_video_token" => Unit::VideoOutput,
        "citation_cost_per_token" => Unit::Citation,
        "input_cost_per_image" => Unit::PerImageInput,
        "output_cost_per_image" => Unit::PerImageOutput,
        "input_cost_per_pixel" => Unit::PerPixelInput,
        "output_cost_per_pixel" => Unit::PerPixelOutput,
        "input_cost_per_character" => Unit::PerCharacter,
        "input_cost_per_second" | "cost_per_second" => Unit::PerSecondInput,
        "output_cost_per_second" => Unit::PerSecondOutput,
        "input_cost_per_request" => Unit::PerRequest,
        "search_context_size_low" => Unit::SearchLow,
        "search_context_size_medium" => Unit::SearchMedium,
        "search_context_size_high" => Unit::SearchHigh,
        _ => return None,
    })
}

impl Unit {
    /// Whether an operator who says what a token of the prompt costs has said what this costs as well: as that token.
    pub(super) fn follows_input(self) -> bool {
        matches!(
            self,
            Self::Input
                | Self::CacheRead
                | Self::CacheWrite
                | Self::CacheWrite1h
                | Self::CacheWrite12h
                | Self::AudioInput
                | Self::AudioCached
                | Self::ImageInput
                | Self::VideoInput
        )
    }

    /// The same of a token of the answer.
    pub(super) fn follows_output(self) -> bool {
        matches!(self, Self::Output | Self::Reasoning | Self::AudioOutput | Self::ImageOutput | Self::VideoOutput)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_counted_for_which_prompts_and_how_soon() {
        for (name, expected) in [
            ("input_cost_per_token", Some((Unit::Input, Tier::Standard, 0))),
            ("output_cost_per_token_flex", Some((Unit::Output, Tier::Flex, 0))),
            ("input_cost_per_token_above_128k_tokens", Some((Unit::Input, Tier::Standard, 128_000))),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens_priority",
                Some((Unit::CacheWrite1h, Tier::Priority, 200_000)),
            ),
            ("cache_creation_input_token_cost_above_1hr", Some((Unit::CacheWrite1h, Tier::Standard, 0))),
            ("input_cost_per_video_per_second_above_15s_interval", None),
            ("input_cost_per_token_above_lots_tokens", None),
            ("max_tokens", None),
        ] {
            assert_eq!(parts(name), expected, "{name}");
        }
    }

    #[test]
    fn a_price_is_what_is_written_to_the_last_digit() {
        for (text, expected) in [
            ("1.5e-07", Some("0.00000015")),
            ("0.1", Some("0.1")),
            ("\"4e-07\"", Some("0.0000004")),
            ("0", Some("0")),
            ("0.0", Some("0")),
            ("8.39233e-08", Some("0.0000000839233")),
            ("-1", None),
            ("null", None),
            ("\"free\"", None),
            ("[1]", None),
        ] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            assert_eq!(dollars(&raw).map(|usd| usd.normalize().to_string()).as_deref(), expected, "{text}");
        }
    }
}
