//! Tokens used: Google's counts to canonical ones.

use ai_api_plugin_sdk::Usage;
use ai_api_plugin_sdk::legacy::canonical::UsageBody;
use serde_json::{Map, Value};

/// Counts beyond this are nonsense, and adding them up must not overflow.
const MOST_TOKENS: u64 = 1 << 50;

/// What a call used.
#[derive(Debug)]
pub(crate) struct Used {
    /// For the gateway.
    pub(crate) usage: Usage,
    /// For the client.
    pub(crate) body: UsageBody,
}

/// Reads `usageMetadata` (<https://ai.google.dev/api/generate-content#UsageMetadata>).
///
/// Tokens that Google's own tools put into the prompt count as prompt, unless `searched`: what Google Search or Maps
/// brought is billed by request. Thoughts count as completion, unless `totalTokenCount` says that
/// `candidatesTokenCount` has them already. Both rules are LiteLLM's (`_calculate_usage`).
pub(crate) fn translate(metadata: &Map<String, Value>, searched: bool) -> Used {
    let count = |key: &str| metadata.get(key).and_then(Value::as_u64).unwrap_or(0).min(MOST_TOKENS);
    let tool_use = count("toolUsePromptTokenCount");
    let thoughts = count("thoughtsTokenCount");
    let candidates = count("candidatesTokenCount");
    let total = count("totalTokenCount");
    let without_thoughts = count("promptTokenCount") + candidates + tool_use;
    let usage = Usage {
        prompt_tokens: count("promptTokenCount") + if searched { 0 } else { tool_use },
        completion_tokens: candidates + if without_thoughts == total { 0 } else { thoughts },
        cache_read_tokens: count("cachedContentTokenCount"),
        cache_write_tokens: 0,
        reasoning_tokens: thoughts,
    };

    let mut body = UsageBody::new(&usage);
    if total > 0 {
        body = body.with("total_tokens", total);
    }
    if tool_use > 0 {
        body = body.with_detail("prompt_tokens_details", "tool_use_prompt_tokens", tool_use);
    }
    if searched {
        body = body.with_detail("prompt_tokens_details", "web_search_requests", 1);
    }
    for (from, to) in
        [("promptTokensDetails", "prompt_tokens_details"), ("candidatesTokensDetails", "completion_tokens_details")]
    {
        for (modality, tokens) in modalities(metadata.get(from)) {
            body = body.with_detail(to, modality, tokens);
        }
    }
    Used { usage, body }
}

/// `[{"modality": "AUDIO", "tokenCount": 9}]` in OpenAI's and LiteLLM's words.
fn modalities(details: Option<&Value>) -> impl Iterator<Item = (&'static str, u64)> {
    details.and_then(Value::as_array).into_iter().flatten().filter_map(|detail| {
        let name = match detail.get("modality")?.as_str()? {
            "TEXT" => "text_tokens",
            "IMAGE" => "image_tokens",
            "AUDIO" => "audio_tokens",
            "VIDEO" => "video_tokens",
            "DOCUMENT" => "document_tokens",
            _ => return None,
        };
        Some((name, detail.get("tokenCount")?.as_u64()?))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            let used = translate(metadata.as_object().unwrap(), searched).usage;
            assert_eq!((used.prompt_tokens, used.completion_tokens), (prompt, completion), "{metadata}");
        }
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let metadata =
            json!({"promptTokenCount": u64::MAX, "candidatesTokenCount": u64::MAX, "totalTokenCount": u64::MAX});
        assert!(translate(metadata.as_object().unwrap(), false).usage.prompt_tokens > 0);
    }
}
