//! What a call used: the plugin interface's five numbers, and whatever else is billed apart.

use crate::money::Money;
use crate::plugin;
use crate::prices::Tier;

/// What a call used, as far as its provider said. All tokens are in the first two counts; the others say which of them
/// have prices of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, those from and to the provider's cache included.
    pub prompt_tokens: u64,
    /// All output tokens, reasoning included.
    pub completion_tokens: u64,
    /// Of `prompt_tokens`: read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Of `prompt_tokens`: written to the provider's cache.
    pub cache_write_tokens: u64,
    /// Of `completion_tokens`: spent on reasoning.
    pub reasoning_tokens: u64,
    /// What only prices tell apart.
    pub details: Details,
}

/// What of a usage has a price of its own, or changes all prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Of `cache_write_tokens`: kept for an hour.
    pub cache_write_1h_tokens: u64,
    /// Of `cache_write_tokens`: kept for twelve hours.
    pub cache_write_12h_tokens: u64,
    /// Of `prompt_tokens`: sound.
    pub audio_input_tokens: u64,
    /// Of `cache_read_tokens`: sound.
    pub audio_cached_tokens: u64,
    /// Of `completion_tokens`: sound.
    pub audio_output_tokens: u64,
    /// Of `prompt_tokens`: pictures.
    pub image_input_tokens: u64,
    /// Of `completion_tokens`: pictures.
    pub image_output_tokens: u64,
    /// Of `prompt_tokens`: films.
    pub video_input_tokens: u64,
    /// Of `completion_tokens`: films.
    pub video_output_tokens: u64,
    /// Tokens of citations, which are in no other count.
    pub citation_tokens: u64,
    /// Searches of the web.
    pub searches: u64,
    /// How much of what was found they bring.
    pub search_size: SearchSize,
    /// Pictures that were made.
    pub images: u64,
    /// What they are like.
    pub image: Image,
    /// Characters of a text that was spoken.
    pub characters: u64,
    /// How long it took, where that is what is billed.
    pub milliseconds: u64,
    /// How soon the provider served it; `None`: nobody said.
    pub tier: Option<Tier>,
    /// Anthropic's `speed: fast`.
    pub is_fast: bool,
    /// Anthropic's `inference_geo: us`.
    pub is_us_only: bool,
    /// What the provider itself says that it costs.
    pub stated: Option<Money>,
}

/// `web_search_options.search_context_size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchSize {
    /// `low`
    Low,
    /// `medium`, and where nobody says.
    #[default]
    Medium,
    /// `high`
    High,
}

/// Size and quality of a picture, as far as the request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Width and height in pixels; `None`: the model's own.
    pub size: Option<(u32, u32)>,
    /// `quality`.
    pub quality: Option<Quality>,
}

/// `quality` of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    XHigh,
    /// `max`
    Max,
    /// `standard`
    Standard,
    /// `hd`
    Hd,
}

/// No call uses more of anything. A provider that says so is mistaken, and sums of what it says would leave the numbers
/// that databases have.
const MOST: u64 = 1 << 40;

/// What a provider says of how much was used, as far as that can be.
pub fn plausible(count: u64) -> u64 {
    count.min(MOST)
}

impl Usage {
    /// All tokens, in and out.
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// A little of the same.
    #[must_use]
    pub fn in_small(self) -> Self {
        let of = |count: u64| count.min(1_000);
        Self {
            prompt_tokens: of(self.prompt_tokens),
            completion_tokens: of(self.completion_tokens),
            details: Details {
                citation_tokens: of(self.details.citation_tokens),
                searches: of(self.details.searches),
                images: of(self.details.images),
                characters: of(self.details.characters),
                milliseconds: of(self.details.milliseconds),
                ..self.details
            },
            ..self
        }
    }

    /// What two attempts used together. What they are like is the second one's.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let add = u64::saturating_add;
        let (a, b) = (self.details, other.details);
        Self {
            prompt_tokens: add(self.prompt_tokens, other.prompt_tokens),
            completion_tokens: add(self.completion_tokens, other.completion_tokens),
            cache_read_tokens: add(self.cache_read_tokens, other.cache_read_tokens),
            cache_write_tokens: add(self.cache_write_tokens, other.cache_write_tokens),
            reasoning_tokens: add(self.reasoning_tokens, other.reasoning_tokens),
            details: Details {
                cache_write_1h_tokens: add(a.cache_write_1h_tokens, b.cache_write_1h_tokens),
                cache_write_12h_tokens: add(a.cache_write_12h_tokens, b.cache_write_12h_tokens),
                audio_input_tokens: add(a.audio_input_tokens, b.audio_input_tokens),
                audio_cached_tokens: add(a.audio_cached_tokens, b.audio_cached_tokens),
                audio_output_tokens: add(a.audio_output_tokens, b.audio_output_tokens),
                image_input_tokens: add(a.image_input_tokens, b.image_input_tokens),
                image_output_tokens: add(a.image_output_tokens, b.image_output_tokens),
                video_input_tokens: add(a.video_input_tokens, b.video_input_tokens),
                video_output_tokens: add(a.video_output_tokens, b.video_output_tokens),
                citation_tokens: add(a.citation_tokens, b.citation_tokens),
                searches: add(a.searches, b.searches),
                images: add(a.images, b.images),
                characters: add(a.characters, b.characters),
                milliseconds: add(a.milliseconds, b.milliseconds),
                ..b
            },
        }
    }
}

impl From<plugin::Usage> for Usage {
    fn from(said: plugin::Usage) -> Self {
        Self {
            prompt_tokens: plausible(said.prompt_tokens),
            completion_tokens: plausible(said.completion_tokens),
            cache_read_tokens: plausible(said.cache_read_tokens),
            cache_write_tokens: plausible(said.cache_write_tokens),
            reasoning_tokens: plausible(said.reasoning_tokens),
            details: Details::default(),
        }
    }
}

impl Quality {
    /// By its name; `None` for `auto` and whatever else has no price of its own.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "xhigh" => Some(Self::XHigh),
            "max" => Some(Self::Max),
            "standard" => Some(Self::Standard),
            "hd" => Some(Self::Hd),
            _ => None,
        }
    }
}
