//! Tokens used: Google's counts to canonical ones.

use ai_api_plugin_sdk::Usage;
use ai_api_plugin_sdk::canonical::UsageBody;
use ai_api_plugin_sdk::json::{Json, Object};

/// Counts beyond this are nonsense, and adding them up must not overflow.
const MOST_TOKENS: u64 = 1 << 50;

/// What `usageMetadata` says (<https://ai.google.dev/api/generate-content#UsageMetadata>): nearly every event of a
/// stream has one, and the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    prompt: u64,
    candidates: u64,
    thoughts: u64,
    tool_use: u64,
    cached: u64,
    total: u64,
    /// Where it goes in a canonical usage, the kind of tokens, and how many.
    details: Vec<(&'static str, &'static str, u64)>,
}

// === impl Counts ===

impl Counts {
    pub(crate) fn of(metadata: &Object<'_>) -> Self {
        let mut counts = Self::default();
        counts.read(metadata);
        counts
    }

    /// Takes over what newer metadata say, and forgets the rest.
    pub(crate) fn read(&mut self, metadata: &Object<'_>) {
        let mut details = std::mem::take(&mut self.details);
        details.clear();
        *self = Self { details, ..Self::default() };
        for (key, value) in metadata.iter() {
            let count = || value.as_u64().unwrap_or(0).min(MOST_TOKENS);
            match key.as_str() {
                "promptTokenCount" => self.prompt = count(),
                "candidatesTokenCount" => self.candidates = count(),
                "thoughtsTokenCount" => self.thoughts = count(),
                "toolUsePromptTokenCount" => self.tool_use = count(),
                "cachedContentTokenCount" => self.cached = count(),
                "totalTokenCount" => self.total = count(),
                "promptTokensDetails" => self.details.extend(modalities("prompt_tokens_details", value)),
                "candidatesTokensDetails" => self.details.extend(modalities("completion_tokens_details", value)),
                _ => {}
            }
        }
    }

    /// For the gateway.
    ///
    /// Tokens that Google's own tools put into the prompt count as prompt, unless `searched`: what Google Search or Maps
    /// brought is billed by request. Thoughts count as completion, unless `totalTokenCount` says that
    /// `candidatesTokenCount` has them already. Both rules are LiteLLM's (`_calculate_usage`).
    pub(crate) fn usage(&self, searched: bool) -> Usage {
        let without_thoughts = self.prompt + self.candidates + self.tool_use;
        Usage {
            prompt_tokens: self.prompt + if searched { 0 } else { self.tool_use },
            completion_tokens: self.candidates + if without_thoughts == self.total { 0 } else { self.thoughts },
            cache_read_tokens: self.cached,
            cache_write_tokens: 0,
            reasoning_tokens: self.thoughts,
        }
    }

    /// For the client.
    pub(crate) fn body(&self, searched: bool) -> UsageBody<'static> {
        let mut body = UsageBody::new(&self.usage(searched));
        if self.total > 0 {
            body = body.with("total_tokens", self.total);
        }
        if self.tool_use > 0 {
            body = body.with_detail("prompt_tokens_details", "tool_use_prompt_tokens", self.tool_use);
        }
        if searched {
            body = body.with_detail("prompt_tokens_details", "web_search_requests", 1_u64);
        }
        for &(details, modality, tokens) in &self.details {
            body = body.with_detail(details, modality, tokens);
        }
        body
    }
}

/// `[{"modality": "AUDIO", "tokenCount": 9}]` in OpenAI's and LiteLLM's words.
fn modalities(place: &'static str, details: &Json<'_>) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    details.as_array().into_iter().flatten().filter_map(move |detail| {
        let name = match detail.get("modality")?.as_str()? {
            "TEXT" => "text_tokens",
            "IMAGE" => "image_tokens",
            "AUDIO" => "audio_tokens",
            "VIDEO" => "video_tokens",
            "DOCUMENT" => "document_tokens",
            _ => return None,
        };
        Some((place, name, detail.get("tokenCount")?.as_u64()?))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn usage(metadata: Value, searched: bool) -> Usage {
        Counts::of(Json::from(metadata).as_object().unwrap()).usage(searched)
    }

    #[test]
    fn thoughts_and_tool_use_are_counted_once() {
        let counts = |prompt: u64, candidates: u64, thoughts: u64, tools: u64, total: u64| {
            json!({"promptTokenCount": prompt, "candidatesTokenCount": candidates, "thoughtsTokenCount": thoughts,
                "toolUsePromptTokenCount": tools, "totalTokenCount": total})
        };
        for (metadata, searched, prompt, completion) in [
            (counts(10, 5, 7, 0, 22), false, 10, 12),
            (counts(10, 12, 7, 0, 22), false, 10, 12),
            (counts(10, 5, 0, 100, 115), false, 110, 5),
            (counts(10, 5, 0, 100, 115), true, 10, 5),
            (json!({"trafficType": "ON_DEMAND"}), false, 0, 0),
            (json!({"promptTokenCount": -1, "candidatesTokenCount": "x"}), false, 0, 0),
        ] {
            let used = usage(metadata.clone(), searched);
            assert_eq!((used.prompt_tokens, used.completion_tokens), (prompt, completion), "{metadata}");
        }
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let metadata =
            json!({"promptTokenCount": u64::MAX, "candidatesTokenCount": u64::MAX, "totalTokenCount": u64::MAX});
        assert!(usage(metadata, false).prompt_tokens > 0);
    }

    #[test]
    fn the_last_metadata_of_a_stream_count() {
        let text = |tokens: u64| json!([{"modality": "TEXT", "tokenCount": tokens}]);
        let mut counts = Counts::default();
        for metadata in [
            json!({"promptTokenCount": 1, "thoughtsTokenCount": 5, "promptTokensDetails": text(1)}),
            json!({"promptTokenCount": 2, "candidatesTokenCount": 3, "promptTokensDetails": text(2)}),
        ] {
            counts.read(Json::from(metadata).as_object().unwrap());
        }
        assert_eq!((counts.usage(false).prompt_tokens, counts.usage(false).completion_tokens), (2, 3));
        assert_eq!(counts.details, [("prompt_tokens_details", "text_tokens", 2)]);
    }
}
