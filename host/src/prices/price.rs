//! What a model's usage costs: all of its rates.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::adjust::Adjustment;
use super::rate::{Rate, Tier, Unit, decimal, dollars};
use crate::money::Money;
use crate::usage::{Image, Quality};

/// What a model's usage costs, in US dollars. Small, and made once a deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelPrice {
    rates: Vec<Rate>,
    /// `tiered_pricing`: by the length of the prompt, in order.
    ranges: Vec<Range>,
    /// Pictures of this size and quality.
    images: Vec<ImageRate>,
    /// A threshold holds from its very length on.
    pub(super) inclusive: bool,
    /// However many searches a prompt takes, one is billed.
    pub(super) searches_by_prompt: bool,
    /// What the provider says that a call costs is what it costs.
    pub(super) trusts_provider: bool,
    /// `provider_specific_entry.fast`: the factor for Anthropic's `speed: fast`.
    pub(super) fast: Option<Decimal>,
    /// `provider_specific_entry.us`: the factor for Anthropic's `inference_geo: us`.
    pub(super) us_only: Option<Decimal>,
    /// What the operator takes off and puts on top.
    pub(super) adjustment: Adjustment,
}

/// The rates of prompts with more tokens than `from`, and at most `to`.
#[derive(Clone, Debug, PartialEq)]
struct Range {
    from: Decimal,
    to: Decimal,
    rates: Vec<Rate>,
}

#[derive(Clone, Debug, PartialEq)]
struct ImageRate {
    quality: Option<Quality>,
    size: Option<(u32, u32)>,
    rate: Rate,
}

/// An object's fields, unread.
pub(super) type Fields<'a> = Vec<(std::borrow::Cow<'a, str>, &'a RawValue)>;

// === impl ModelPrice ===

impl ModelPrice {
    /// Of a provider's model, as LiteLLM's table has it.
    pub(super) fn of_provider(provider: &str) -> Self {
        Self {
            // As LiteLLM has it, from the providers' own words.
            inclusive: provider == "xai",
            searches_by_prompt: matches!(provider, "gemini" | "vertex_ai"),
            trusts_provider: matches!(provider, "openrouter" | "perplexity"),
            ..Self::default()
        }
    }

    /// Of what the operator says.
    pub(crate) fn of_operator(fields: &[(std::borrow::Cow<'_, str>, &RawValue)]) -> Self {
        let mut price = Self::default();
        price.take(fields);
        price
    }

    /// Takes what an entry of LiteLLM's table says.
    pub(super) fn take(&mut self, fields: &[(std::borrow::Cow<'_, str>, &RawValue)]) {
        for (name, value) in fields {
            match &**name {
                "tiered_pricing" => self.ranges = ranges(value),
                "search_context_cost_per_query" => self.rates.extend(rates(value)),
                "provider_specific_entry" => {
                    let factor = |key: &str| {
                        let factors: super::object::Object<'_> = serde_json::from_str(value.get()).ok()?;
                        factors.0.iter().find(|(name, _)| name == key).and_then(|(_, value)| dollars(value))
                    };
                    (self.fast, self.us_only) = (factor("fast"), factor("us"));
                }
                "web_search_billing_unit" => self.searches_by_prompt = value.get() == "\"per_prompt\"",
                name => self.rates.extend(Rate::read(name, value)),
            }
        }
    }

    /// Takes the price of a picture: `spec` is `hd/1024-x-1792` or the like.
    pub(super) fn take_image(&mut self, spec: &str, fields: &[(std::borrow::Cow<'_, str>, &RawValue)]) {
        let quality = spec.split('/').find_map(Quality::of);
        let size = spec.split('/').find_map(|part| {
            let (width, height) = part.split_once("-x-")?;
            Some((width.parse().ok()?, height.parse().ok()?))
        });
        // The first that is there is the price: which name it has differs from row to row.
        let names = ["input_cost_per_image", "output_cost_per_image", "input_cost_per_pixel", "output_cost_per_pixel"];
        let rate = names.iter().find_map(|wanted| {
            let (name, value) = fields.iter().find(|(name, _)| name == wanted)?;
            Rate::read(name, value)
        });
        self.images.extend(rate.map(|rate| ImageRate { quality, size, rate }));
    }

    /// The same with what the operator says instead. Who says what a token of the prompt costs has said it of all kinds of
    /// prompts, and of tokens of caches, and the same holds for the answer: the table's finer prices would be of another
    /// list.
    #[must_use]
    pub(crate) fn overridden(mut self, own: &Self) -> Self {
        let says = |unit: Unit| own.rates.iter().any(|rate| rate.unit == unit);
        let (input, output) = (says(Unit::Input), says(Unit::Output));
        let has_ranges = !own.ranges.is_empty();
        let by_time = says(Unit::PerSecondInput) || says(Unit::PerSecondOutput);
        self.rates.retain(|rate| {
            let replaced = own.rates.iter().any(|mine| mine.unit == rate.unit && mine.tier == rate.tier);
            let followed = ((input || by_time) && rate.unit.follows_input())
                || ((output || by_time) && rate.unit.follows_output());
            !replaced && !followed
        });
        if input || output || has_ranges || by_time {
            self.ranges = own.ranges.clone();
            self.trusts_provider = false;
        }
        let per_image = [Unit::PerImageInput, Unit::PerImageOutput, Unit::PerPixelInput, Unit::PerPixelOutput]
            .map(says)
            .contains(&true);
        if per_image {
            self.images.clear();
        }
        self.rates.extend_from_slice(&own.rates);
        self.fast = own.fast.or(self.fast);
        self.us_only = own.us_only.or(self.us_only);
        self
    }

    /// The same with what the operator takes off and puts on top.
    #[must_use]
    pub(crate) fn adjusted(mut self, adjustment: Adjustment) -> Self {
        self.adjustment = adjustment;
        self
    }

    /// Whether there is any price in it.
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.ranges.is_empty() && self.images.is_empty()
    }

    /// Whether calls cost nothing, whatever they use: all of its rates are known to be 0.
    pub fn is_free(&self) -> bool {
        self.has_no_rate_but_zero() && self.adjustment.fee <= Money::ZERO
    }

    /// There are rates, and all are 0. Those of searches aren't looked at: an operator who gives a model's tokens away has
    /// not said what the table's searches cost, and few calls have any.
    pub(super) fn has_no_rate_but_zero(&self) -> bool {
        let of_ranges = self.ranges.iter().flat_map(|range| &range.rates);
        let of_images = self.images.iter().map(|image| &image.rate);
        let searches = [Unit::SearchLow, Unit::SearchMedium, Unit::SearchHigh];
        let mut rates = self.rates.iter().chain(of_ranges).chain(of_images);
        !self.is_empty() && rates.all(|rate| rate.usd.is_zero() || searches.contains(&rate.unit))
    }

    /// Whether calls are billed by how long they take.
    pub fn is_by_time(&self) -> bool {
        let has = |unit| self.rates.iter().any(|rate| rate.unit == unit);
        (has(Unit::PerSecondInput) || has(Unit::PerSecondOutput)) && !has(Unit::Input) && !has(Unit::Output)
    }

    /// Of a token of a short prompt, and of one of its answer, for who compares models; one that nobody knows costs
    /// nothing, if the other is known.
    pub fn of_two_tokens(&self) -> Option<(f64, f64)> {
        let (input, output) = (self.input(), self.output());
        // The float that is nearest to the text, which `to_f64` isn't.
        let number = |usd: Option<Decimal>| usd.map_or(Some(0.0), |usd| usd.to_string().parse().ok());
        (input.is_some() || output.is_some()).then_some(())?;
        Some((number(input)?, number(output)?))
    }

    /// What a token costs at the least, under LiteLLM's names.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, f64)> + use<> {
        let all = [
            ("input_cost_per_token", self.input()),
            ("output_cost_per_token", self.output()),
            ("cache_read_input_token_cost", self.cache_read()),
            ("cache_creation_input_token_cost", self.cache_write()),
        ];
        all.into_iter().filter_map(|(name, usd)| Some((name, usd?.to_string().parse().ok()?)))
    }

    /// A token of a short prompt.
    pub fn input(&self) -> Option<Decimal> {
        self.rate(Unit::Input, Tier::Standard, 1)
    }

    /// A token of the answer to a short prompt.
    pub fn output(&self) -> Option<Decimal> {
        self.rate(Unit::Output, Tier::Standard, 1)
    }

    /// A token that is read from the provider's cache.
    pub fn cache_read(&self) -> Option<Decimal> {
        self.rate(Unit::CacheRead, Tier::Standard, 1)
    }

    /// A token that is written to the provider's cache.
    pub fn cache_write(&self) -> Option<Decimal> {
        self.rate(Unit::CacheWrite, Tier::Standard, 1)
    }

    /// What a unit costs in a tier, with a prompt of so many tokens.
    pub(super) fn rate(&self, unit: Unit, tier: Tier, prompt_tokens: u64) -> Option<Decimal> {
        if let Some(range) = self.range(prompt_tokens) {
            let of = |unit| range.rates.iter().find(|rate| rate.unit == unit).map(|rate| rate.usd);
            // A range is a list of its own: what it doesn't say costs what a token of it does.
            match unit {
                unit if unit.follows_input() => return of(unit),
                Unit::Output => return of(Unit::Output).or_else(|| self.listed(unit, tier, prompt_tokens)),
                Unit::Reasoning => return of(Unit::Reasoning).or_else(|| of(Unit::Output)),
                _ => {}
            }
        }
        self.listed(unit, tier, prompt_tokens)
    }

    /// The highest threshold that the prompt exceeds wins, and then the tier's own price.
    fn listed(&self, unit: Unit, tier: Tier, prompt_tokens: u64) -> Option<Decimal> {
        let exceeds = |above: u64| above == 0 || prompt_tokens > above || (self.inclusive && prompt_tokens == above);
        let fits = |rate: &&Rate| {
            rate.unit == unit && exceeds(rate.above) && (rate.tier == tier || rate.tier == Tier::Standard)
        };
        let best = self.rates.iter().filter(fits).max_by_key(|rate| (rate.above, rate.tier == tier));
        best.map(|rate| rate.usd)
    }

    /// Whether a tier has a price of its own for a unit.
    pub(super) fn has(&self, unit: Unit, tier: Tier) -> bool {
        self.rates.iter().any(|rate| rate.unit == unit && rate.tier == tier)
    }

    fn range(&self, prompt_tokens: u64) -> Option<&Range> {
        let tokens = Decimal::from(prompt_tokens);
        if prompt_tokens == 0 {
            return None;
        }
        self.ranges.iter().find(|range| range.from < tokens && tokens <= range.to).or(self.ranges.last())
    }

    /// What a picture costs: of its size and quality, else of its size, else any.
    pub(super) fn image(&self, image: &Image) -> Option<Decimal> {
        let size = image.size.unwrap_or((1024, 1024));
        let of = |quality: Option<Quality>, sized: bool| {
            let fits = |row: &&ImageRate| row.quality == quality && (row.size == Some(size)) == sized;
            self.images.iter().find(fits).filter(|row| sized || row.size.is_none()).map(|row| row.rate)
        };
        let own = |unit| self.rates.iter().find(|rate| rate.unit == unit && rate.tier == Tier::Standard).copied();
        let rate = image
            .quality
            .and_then(|quality| of(Some(quality), true).or_else(|| of(Some(quality), false)))
            .or_else(|| of(None, true))
            .or_else(|| of(Some(Quality::Standard), true))
            // What LiteLLM takes for the models whose quality is low, medium or high.
            .or_else(|| of(Some(Quality::High), true))
            .or_else(|| own(Unit::PerImageInput))
            .or_else(|| own(Unit::PerImageOutput))
            .or_else(|| own(Unit::PerPixelInput))
            .or_else(|| own(Unit::PerPixelOutput))?;
        match rate.unit {
            Unit::PerPixelInput | Unit::PerPixelOutput => {
                rate.usd.checked_mul(Decimal::from(u64::from(size.0) * u64::from(size.1)))
            }
            _ => Some(rate.usd),
        }
    }
}

fn rates(object: &RawValue) -> Vec<Rate> {
    let fields: Option<super::object::Object<'_>> = serde_json::from_str(object.get()).ok();
    fields.into_iter().flat_map(|fields| fields.0).filter_map(|(name, value)| Rate::read(&name, value)).collect()
}

fn ranges(list: &RawValue) -> Vec<Range> {
    let entries: Vec<&RawValue> = serde_json::from_str(list.get()).unwrap_or_default();
    let range = |entry: &RawValue| {
        let fields: super::object::Object<'_> = serde_json::from_str(entry.get()).ok()?;
        let (_, bounds) = fields.0.iter().find(|(name, _)| name == "range")?;
        let [from, to]: [&RawValue; 2] = serde_json::from_str(bounds.get()).ok()?;
        let rates = rates(entry);
        // Without a price of the prompt it says nothing about a prompt.
        rates.iter().any(|rate| rate.unit == Unit::Input).then_some(())?;
        Some(Range { from: decimal(from.get())?, to: decimal(to.get())?, rates })
    };
    let mut ranges: Vec<Range> = entries.into_iter().filter_map(range).collect();
    ranges.sort_by_key(|range| range.from);
    ranges
}
