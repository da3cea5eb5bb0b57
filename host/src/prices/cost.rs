//! From usage to money.
//!
//! The rules are LiteLLM's, read from its source (`litellm_core_utils/llm_cost_calc/utils.py` of 1.109):
//! - a prompt longer than a threshold costs the higher price from its first token on, and so does its answer;
//! - a tier without a price of its own costs the standard price;
//! - what is read from or written to a cache without a price of its own costs what the prompt does, and sound, pictures
//!   and films cost what text does;
//! - reasoning without a price of its own costs what the answer does.
//!
//! But what has no price at all isn't free here: the cost is unknown.

use rust_decimal::Decimal;

use super::price::ModelPrice;
use super::rate::{Tier, Unit};
use crate::money::Money;
use crate::usage::{SearchSize, Usage};

/// What a call cost, part by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// All of it: the parts, without the discount, with the margin.
    pub total: Money,
    /// The prompt, caches included.
    pub input: Money,
    /// The answer.
    pub output: Money,
    /// What the provider's own tools did: searches of the web.
    pub tools: Money,
    /// What the operator's discount took off.
    pub discount: Money,
    /// What the operator's margin put on top.
    pub margin: Money,
}

// === impl Cost ===

impl Cost {
    /// Before discount and margin.
    pub fn original(&self) -> Money {
        self.input.saturating_add(self.output).saturating_add(self.tools)
    }

    /// What two attempts cost together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let add = Money::saturating_add;
        Self {
            total: add(self.total, other.total),
            input: add(self.input, other.input),
            output: add(self.output, other.output),
            tools: add(self.tools, other.tools),
            discount: add(self.discount, other.discount),
            margin: add(self.margin, other.margin),
        }
    }
}

// === impl ModelPrice ===

impl ModelPrice {
    /// What `usage` costs; `None`: of something that was used the price isn't known, and unknown is not nothing.
    pub fn cost(&self, usage: &Usage) -> Option<Cost> {
        let (input, output) = match usage.details.stated.filter(|_| self.trusts_provider) {
            Some(stated) => (Money::ZERO, stated),
            None => {
                let bill = Bill { price: self, usage, tier: usage.details.tier.unwrap_or(Tier::Standard) };
                let (input, output) = bill.parts()?;
                (Money::from_usd(input)?, Money::from_usd(output)?)
            }
        };
        let tools = self.searches(usage)?;
        let mut cost = Cost { input, output, tools, ..Cost::default() };
        cost.total = cost.original();
        if !self.adjustment.is_none() {
            (cost.discount, cost.margin) = self.adjustment.of(cost.total)?;
            cost.total = cost.total.saturating_sub(cost.discount).saturating_add(cost.margin);
        }
        Some(cost)
    }

    /// Searches whose price nobody knows are not billed, as in LiteLLM: most providers don't charge for them.
    fn searches(&self, usage: &Usage) -> Option<Money> {
        let details = &usage.details;
        if details.searches == 0 || (details.stated.is_some() && self.trusts_provider) {
            return Some(Money::ZERO);
        }
        let unit = match details.search_size {
            SearchSize::Low => Unit::SearchLow,
            SearchSize::Medium => Unit::SearchMedium,
            SearchSize::High => Unit::SearchHigh,
        };
        let Some(usd) = self.rate(unit, Tier::Standard, 0) else { return Some(Money::ZERO) };
        let billed = if self.searches_by_prompt { 1 } else { details.searches };
        Money::from_usd(times(usd, billed)?)
    }
}

/// A usage on its way to a cost.
struct Bill<'a> {
    price: &'a ModelPrice,
    usage: &'a Usage,
    tier: Tier,
}

impl Bill<'_> {
    /// Prompt and answer.
    fn parts(&self) -> Option<(Decimal, Decimal)> {
        let mut sums = match self.by_what_isnt_a_token() {
            Some(sums) => sums,
            None if self.has_pictures_alone() && !self.prices_pictures() => return None,
            None => (self.input()?, self.output()?),
        };
        if let Some(usd) = self.rate(Unit::PerRequest) {
            sums.0 = sums.0.checked_add(usd)?;
        }
        let factor = self.factor()?;
        if factor != Decimal::ONE {
            sums = (sums.0.checked_mul(factor)?, sums.1.checked_mul(factor)?);
        }
        Some(sums)
    }

    /// Pictures were made, and nobody says of how many tokens.
    fn has_pictures_alone(&self) -> bool {
        self.usage.details.images > 0 && self.usage.total_tokens() == 0
    }

    /// Without a price of a picture, where the call as a whole has one, or nothing costs anything.
    fn prices_pictures(&self) -> bool {
        self.rate(Unit::PerRequest).is_some() || self.price.has_no_rate_but_zero()
    }

    /// What is billed by the picture, the second or the character, where there is no price of tokens, or no tokens are.
    fn by_what_isnt_a_token(&self) -> Option<(Decimal, Decimal)> {
        let details = &self.usage.details;
        let has_tokens = self.usage.total_tokens() > 0;
        let prices_tokens = self.rate(Unit::Input).is_some() || self.rate(Unit::Output).is_some();
        if has_tokens && prices_tokens {
            return None;
        }
        if details.images > 0 {
            let usd = self.price.image(&details.image)?;
            return Some((Decimal::ZERO, times(usd, details.images)?));
        }
        if let Some(usd) = self.rate(Unit::PerCharacter).filter(|_| details.characters > 0) {
            return Some((times(usd, details.characters)?, Decimal::ZERO));
        }
        if prices_tokens || details.milliseconds == 0 {
            return None;
        }
        let seconds = Decimal::from(details.milliseconds).checked_div(Decimal::ONE_THOUSAND)?;
        match (self.rate(Unit::PerSecondInput), self.rate(Unit::PerSecondOutput)) {
            (None, None) => None,
            (input, output) => {
                let of = |usd: Option<Decimal>| usd.unwrap_or_default().checked_mul(seconds);
                Some((of(input)?, of(output)?))
            }
        }
    }

    fn input(&self) -> Option<Decimal> {
        let (usage, details) = (self.usage, &self.usage.details);
        let cached = usage.cache_read_tokens.min(usage.prompt_tokens);
        let written = usage.cache_write_tokens.min(usage.prompt_tokens - cached);
        let fresh = usage.prompt_tokens - cached - written;
        let cached_audio = details.audio_cached_tokens.min(cached);
        let audio = details.audio_input_tokens.saturating_sub(cached_audio).min(fresh);
        let image = details.image_input_tokens.min(fresh - audio);
        let video = details.video_input_tokens.min(fresh - audio - image);
        let long = details.cache_write_1h_tokens.min(written);
        let longest = details.cache_write_12h_tokens.min(written - long);
        self.sum(&[
            (fresh - audio - image - video, &[Unit::Input]),
            (audio, &[Unit::AudioInput, Unit::Input]),
            (image, &[Unit::ImageInput, Unit::Input]),
            (video, &[Unit::VideoInput, Unit::Input]),
            (cached - cached_audio, &[Unit::CacheRead, Unit::Input]),
            (cached_audio, &[Unit::AudioCached, Unit::CacheRead, Unit::Input]),
            (written - long - longest, &[Unit::CacheWrite, Unit::Input]),
            (long, &[Unit::CacheWrite1h, Unit::CacheWrite, Unit::Input]),
            (longest, &[Unit::CacheWrite12h, Unit::CacheWrite, Unit::Input]),
            (if self.rate(Unit::Citation).is_some() { details.citation_tokens } else { 0 }, &[Unit::Citation]),
        ])
    }

    fn output(&self) -> Option<Decimal> {
        let (usage, details) = (self.usage, &self.usage.details);
        let reasoning = usage.reasoning_tokens.min(usage.completion_tokens);
        let rest = usage.completion_tokens - reasoning;
        let audio = details.audio_output_tokens.min(rest);
        let image = details.image_output_tokens.min(rest - audio);
        let video = details.video_output_tokens.min(rest - audio - image);
        let reasoning_units: &[Unit] = match self.reasons_at_the_answers_price() {
            true => &[Unit::Output, Unit::ImageOutput],
            false => &[Unit::Reasoning, Unit::Output, Unit::ImageOutput],
        };
        self.sum(&[
            // Models that only make pictures have no other price for what they make.
            (rest - audio - image - video, &[Unit::Output, Unit::ImageOutput]),
            (reasoning, reasoning_units),
            (audio, &[Unit::AudioOutput, Unit::Output]),
            (image, &[Unit::ImageOutput, Unit::Output]),
            (video, &[Unit::VideoOutput, Unit::Output]),
        ])
    }

    /// In a tier with a price of its own for the answer but none for reasoning, the standard price of reasoning is none
    /// of that tier.
    fn reasons_at_the_answers_price(&self) -> bool {
        self.tier != Tier::Standard
            && self.price.has(Unit::Output, self.tier)
            && !self.price.has(Unit::Reasoning, self.tier)
    }

    /// Tokens times the first price that is known for them.
    fn sum(&self, parts: &[(u64, &[Unit])]) -> Option<Decimal> {
        let used = parts.iter().filter(|(tokens, _)| *tokens > 0);
        used.into_iter().try_fold(Decimal::ZERO, |sum, (tokens, units)| {
            let usd = units.iter().find_map(|unit| self.rate(*unit))?;
            sum.checked_add(times(usd, *tokens)?)
        })
    }

    fn rate(&self, unit: Unit) -> Option<Decimal> {
        self.price.rate(unit, self.tier, self.usage.prompt_tokens)
    }

    /// What all tokens cost more for being served faster, or in one country only.
    fn factor(&self) -> Option<Decimal> {
        let details = &self.usage.details;
        let fast = self.price.fast.filter(|_| details.is_fast).unwrap_or(Decimal::ONE);
        let us = self.price.us_only.filter(|_| details.is_us_only).unwrap_or(Decimal::ONE);
        fast.checked_mul(us)
    }
}

fn times(usd: Decimal, count: u64) -> Option<Decimal> {
    usd.checked_mul(Decimal::from(count))
}
