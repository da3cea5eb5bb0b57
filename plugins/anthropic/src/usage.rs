//! What a call used: Anthropic's counts, and ours.

use ai_api_plugin_sdk::Usage;
use ai_api_plugin_sdk::legacy::canonical::UsageBody;
use serde::Deserialize;
use serde_json::Value;

/// Anthropic's `usage`. In a stream, `message_delta` overrides `message_start` field by field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WireUsage {
    #[serde(flatten)]
    counts: Counts,
    cache_creation: Option<Value>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<Value>,
    service_tier: Option<Value>,
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

impl WireUsage {
    /// Takes over what `newer` says.
    pub(crate) fn update(&mut self, newer: WireUsage) {
        let WireUsage { counts, cache_creation, output_tokens_details, server_tool_use, service_tier, iterations } =
            newer;
        let old = &mut self.counts;
        old.input_tokens = counts.input_tokens.or(old.input_tokens);
        old.output_tokens = counts.output_tokens.or(old.output_tokens);
        old.cache_creation_input_tokens = counts.cache_creation_input_tokens.or(old.cache_creation_input_tokens);
        old.cache_read_input_tokens = counts.cache_read_input_tokens.or(old.cache_read_input_tokens);
        self.cache_creation = cache_creation.or(self.cache_creation.take());
        self.output_tokens_details = output_tokens_details.or(self.output_tokens_details);
        self.server_tool_use = server_tool_use.or(self.server_tool_use.take());
        self.service_tier = service_tier.or(self.service_tier.take());
        self.iterations = iterations.or(self.iterations.take());
    }

    /// The sums that are billed.
    ///
    /// With `iterations` (compaction), the prompt's counts beside them are the last iteration's only:
    /// <https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage>. The answer's length
    /// is what stands beside them: that is how the recorded answers are counted.
    pub(crate) fn total(&self) -> Usage {
        let parts = match self.iterations.as_deref() {
            Some(parts) if !parts.is_empty() => parts,
            _ => std::slice::from_ref(&self.counts),
        };
        let sum = |count: fn(&Counts) -> Option<u64>| {
            parts.iter().fold(0_u64, |sum, part| sum.saturating_add(count(part).unwrap_or(0))).min(MAX_TOKENS)
        };
        let cache_read_tokens = sum(|part| part.cache_read_input_tokens);
        let cache_write_tokens = sum(|part| part.cache_creation_input_tokens);
        let details = self.output_tokens_details.unwrap_or_default();
        Usage {
            prompt_tokens: sum(|part| part.input_tokens) + cache_read_tokens + cache_write_tokens,
            completion_tokens: match self.counts.output_tokens {
                Some(count) => count.min(MAX_TOKENS),
                None => sum(|part| part.output_tokens),
            },
            cache_read_tokens,
            cache_write_tokens,
            reasoning_tokens: details.thinking_tokens.unwrap_or(0),
        }
    }

    /// As the OpenAI API shows it, with what LiteLLM adds for Anthropic.
    pub(crate) fn body(&self) -> UsageBody {
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
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> WireUsage {
        serde_json::from_value(value).unwrap()
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
