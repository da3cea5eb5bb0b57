//! What a call used: Anthropic's counts, and ours.

use ai_api_plugin_sdk::Usage;
use ai_api_plugin_sdk::canonical::UsageBody;
use ai_api_plugin_sdk::json::{Json, Object};
use serde::Deserialize;

use crate::wire;

/// Anthropic's `usage`. In a stream, `message_delta` overrides `message_start` field by field.
///
/// The counts are not a type of their own with `flatten`: that would first read every field into a value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WireUsage<'a> {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    #[serde(borrow)]
    cache_creation: Option<Json<'a>>,
    output_tokens_details: Option<OutputDetails>,
    #[serde(borrow)]
    server_tool_use: Option<Json<'a>>,
    #[serde(borrow)]
    service_tier: Option<Json<'a>>,
    iterations: Option<Vec<Counts>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    /// Without what came from or went to the cache, unlike OpenAI's.
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

/// No answer has that many; the limit keeps sums of these from overflowing.
const MAX_TOKENS: u64 = 1 << 50;

impl<'a> WireUsage<'a> {
    /// The usage in `object`; none if it isn't as documented.
    pub(crate) fn quick(object: Object<'a>) -> Option<Self> {
        let mut usage = Self::default();
        for (key, value) in object {
            match key.as_str() {
                "input_tokens" => usage.input_tokens = wire::count(&value)?,
                "output_tokens" => usage.output_tokens = wire::count(&value)?,
                "cache_creation_input_tokens" => usage.cache_creation_input_tokens = wire::count(&value)?,
                "cache_read_input_tokens" => usage.cache_read_input_tokens = wire::count(&value)?,
                "cache_creation" => usage.cache_creation = wire::some(value),
                "server_tool_use" => usage.server_tool_use = wire::some(value),
                "service_tier" => usage.service_tier = wire::some(value),
                "output_tokens_details" => usage.output_tokens_details = wire::object(value, OutputDetails::quick)?,
                // Of compactions only.
                "iterations" => return None,
                _ => {}
            }
        }
        Some(usage)
    }
}

impl OutputDetails {
    fn quick(object: Object<'_>) -> Option<Self> {
        let thinking_tokens = object.get("thinking_tokens").map_or(Some(None), wire::count)?;
        Some(Self { thinking_tokens })
    }
}

impl WireUsage<'_> {
    /// Takes over what `newer` says.
    pub(crate) fn update(&mut self, newer: WireUsage<'_>) {
        let take = |old: &mut Option<u64>, newer: Option<u64>| *old = newer.or(*old);
        take(&mut self.input_tokens, newer.input_tokens);
        take(&mut self.output_tokens, newer.output_tokens);
        take(&mut self.cache_creation_input_tokens, newer.cache_creation_input_tokens);
        take(&mut self.cache_read_input_tokens, newer.cache_read_input_tokens);
        let keep = |newer: Option<Json<'_>>, old: &mut Option<Json<'_>>| {
            if let Some(newer) = newer {
                *old = Some(newer.into_owned());
            }
        };
        keep(newer.cache_creation, &mut self.cache_creation);
        keep(newer.server_tool_use, &mut self.server_tool_use);
        keep(newer.service_tier, &mut self.service_tier);
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);
        self.iterations = newer.iterations.or(self.iterations.take());
    }

    fn counts(&self) -> Counts {
        Counts {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cache_creation_input_tokens: self.cache_creation_input_tokens,
            cache_read_input_tokens: self.cache_read_input_tokens,
        }
    }

    /// The sums that are billed.
    ///
    /// With `iterations` (compaction), the prompt's counts beside them are the last iteration's only:
    /// <https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage>. The answer's length
    /// is what stands beside them: that is how the recorded answers are counted.
    pub(crate) fn total(&self) -> Usage {
        let counts = self.counts();
        let parts = match self.iterations.as_deref() {
            Some(parts) if !parts.is_empty() => parts,
            _ => std::slice::from_ref(&counts),
        };
        let sum = |count: fn(&Counts) -> Option<u64>| {
            parts.iter().fold(0_u64, |sum, part| sum.saturating_add(count(part).unwrap_or(0))).min(MAX_TOKENS)
        };
        let cache_read_tokens = sum(|part| part.cache_read_input_tokens);
        let cache_write_tokens = sum(|part| part.cache_creation_input_tokens);
        let details = self.output_tokens_details.unwrap_or_default();
        Usage {
            prompt_tokens: sum(|part| part.input_tokens) + cache_read_tokens + cache_write_tokens,
            completion_tokens: match self.output_tokens {
                Some(count) => count.min(MAX_TOKENS),
                None => sum(|part| part.output_tokens),
            },
            cache_read_tokens,
            cache_write_tokens,
            reasoning_tokens: details.thinking_tokens.unwrap_or(0),
        }
    }

    /// As the OpenAI API shows it, with what LiteLLM adds for Anthropic.
    pub(crate) fn body(&self) -> UsageBody<'_> {
        let total = self.total();
        let mut body = UsageBody::new(&total)
            .with("cache_creation_input_tokens", total.cache_write_tokens)
            .with("cache_read_input_tokens", total.cache_read_tokens);
        if let Some(details) = self.cache_creation.as_ref().filter(|_| total.cache_write_tokens > 0) {
            body = body.with_detail("prompt_tokens_details", "cache_creation_token_details", details.clone());
        }
        if let Some(tier) = self.service_tier.as_ref().filter(|tier| !tier.is_null()) {
            body = body.with("service_tier", tier.clone());
        }
        if let Some(tools) = self.server_tool_use.as_ref().filter(|tools| !tools.is_null()) {
            body = body.with("server_tool_use", tools.clone());
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Leaked, for tests only: counts borrow from what they were read from.
    fn parse(value: Value) -> WireUsage<'static> {
        serde_json::from_str(value.to_string().leak()).unwrap()
    }

    #[test]
    fn the_prompt_includes_what_the_cache_gave_and_took() {
        let usage = parse(json!({"input_tokens": 5, "output_tokens": 20, "cache_creation_input_tokens": 100,
            "cache_read_input_tokens": 7, "output_tokens_details": {"thinking_tokens": 4}}));
        let total = usage.total();
        assert_eq!((total.prompt_tokens, total.completion_tokens, total.reasoning_tokens), (112, 20, 4));
        assert_eq!((total.cache_read_tokens, total.cache_write_tokens), (7, 100));
    }

    #[test]
    fn the_prompts_of_iterations_are_summed_because_the_counts_beside_them_are_the_last_ones() {
        let mut usage = json!({"input_tokens": 23, "output_tokens": 10, "iterations": [
            {"type": "compaction", "input_tokens": 180, "output_tokens": 35},
            {"type": "message", "input_tokens": 23, "output_tokens": 10, "cache_read_input_tokens": 1},
        ]});
        let counts = |usage: &Value| {
            let total = parse(usage.clone()).total();
            (total.prompt_tokens, total.completion_tokens)
        };
        assert_eq!(counts(&usage), (204, 10));
        usage["output_tokens"] = json!(null);
        assert_eq!(counts(&usage), (204, 45));
    }

    #[test]
    fn what_comes_later_in_a_stream_overrides_field_by_field() {
        let mut usage = parse(json!({"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 2}));
        usage.update(parse(json!({"output_tokens": 9, "input_tokens": null})));
        assert_eq!((usage.total().prompt_tokens, usage.total().completion_tokens), (12, 9));
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let usage = parse(json!({"input_tokens": u64::MAX, "output_tokens": u64::MAX,
            "cache_read_input_tokens": u64::MAX}));
        let _ = usage.body();
    }
}
