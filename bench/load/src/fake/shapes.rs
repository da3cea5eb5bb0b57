//! The wire shapes of the providers, with every field that they send today, and texts of our own.
//!
//! Each chunk's text ends in a mark (`~`), and so does each answer's.

use std::fmt::Write;

/// How one provider answers a chat.
#[derive(Debug)]
pub(super) struct Shape {
    /// Header lines that it sends beside those of HTTP.
    pub(super) headers: &'static str,
    /// The body of an answer that isn't a stream.
    pub(super) whole: &'static str,
    /// The events before the first text.
    pub(super) opening: &'static str,
    /// One event with text.
    pub(super) chunk: &'static str,
    /// The events behind the last text.
    pub(super) closing: &'static str,
}

pub(super) const OPENAI: Shape = Shape {
    headers: "openai-organization: org-bench\r\nopenai-processing-ms: 214\r\nopenai-version: 2020-10-01\r\n\
              x-ratelimit-limit-requests: 10000\r\nx-ratelimit-limit-tokens: 30000000\r\n\
              x-ratelimit-remaining-requests: 9999\r\nx-ratelimit-remaining-tokens: 29999984\r\n\
              x-ratelimit-reset-requests: 6ms\r\nx-ratelimit-reset-tokens: 0s\r\n\
              x-request-id: req_4c1f0b6a7f5d4b0e9d8a2f6b1c3e5a79\r\n",
    whole: r#"{"id":"chatcmpl-CbT4QxJm2o7vRkWq0yNs5HfLdE1gA","object":"chat.completion","created":1763880000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"Tides follow the moon: the sea bulges on the side that faces it and on the far side, too.\n\nSo most coasts see two high tides a day, about \"twelve and a half\" hours apart.~","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":29,"completion_tokens":41,"total_tokens":70,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_51db84afab"}"#,
    opening: "data: {\"id\":\"chatcmpl-CbT4QxJm2o7vRkWq0yNs5HfLdE1gA\",\"object\":\"chat.completion.chunk\",\"created\":1763880000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_51db84afab\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"hT2xQv\"}\n\n",
    chunk: "data: {\"id\":\"chatcmpl-CbT4QxJm2o7vRkWq0yNs5HfLdE1gA\",\"object\":\"chat.completion.chunk\",\"created\":1763880000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_51db84afab\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tides~\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"pxzDLFe\"}\n\n",
    closing: "data: {\"id\":\"chatcmpl-CbT4QxJm2o7vRkWq0yNs5HfLdE1gA\",\"object\":\"chat.completion.chunk\",\"created\":1763880000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_51db84afab\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null,\"obfuscation\":\"k2\"}\n\n\
              data: {\"id\":\"chatcmpl-CbT4QxJm2o7vRkWq0yNs5HfLdE1gA\",\"object\":\"chat.completion.chunk\",\"created\":1763880000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_51db84afab\",\"choices\":[],\"usage\":{\"prompt_tokens\":29,\"completion_tokens\":64,\"total_tokens\":93,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},\"obfuscation\":\"Yw\"}\n\n\
              data: [DONE]\n\n",
};

pub(super) const ANTHROPIC: Shape = Shape {
    headers: "anthropic-organization-id: 00000000-0000-4000-8000-000000000000\r\n\
              anthropic-ratelimit-requests-limit: 4000\r\nanthropic-ratelimit-requests-remaining: 3999\r\n\
              anthropic-ratelimit-requests-reset: 2026-01-01T00:00:00Z\r\n\
              anthropic-ratelimit-tokens-limit: 480000\r\nanthropic-ratelimit-tokens-remaining: 479000\r\n\
              anthropic-ratelimit-tokens-reset: 2026-01-01T00:00:00Z\r\n\
              request-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n",
    whole: r#"{"model":"claude-sonnet-4-6","id":"msg_01QcYxN5aTqF3mUd8RkE2sVw","type":"message","role":"assistant","content":[{"type":"text","text":"Tides follow the moon: the sea bulges on the side that faces it and on the far side, too.\n\nSo most coasts see two high tides a day, about \"twelve and a half\" hours apart.~"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":29,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":41,"service_tier":"standard","inference_geo":"global"}}"#,
    opening: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-4-6\",\"id\":\"msg_01QcYxN5aTqF3mUd8RkE2sVw\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":29,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0},\"output_tokens\":1,\"service_tier\":\"standard\",\"inference_geo\":\"global\"}}}\n\n\
              event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
              event: ping\ndata: {\"type\": \"ping\"}\n\n",
    chunk: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" tides~\"}}\n\n",
    closing: "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
              event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":29,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":64}}\n\n\
              event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
};

pub(super) const GEMINI: Shape = Shape {
    headers: "vary: Origin, X-Origin, Referer\r\nx-xss-protection: 0\r\nx-frame-options: SAMEORIGIN\r\n\
              x-content-type-options: nosniff\r\nserver-timing: gfet4t7; dur=412\r\n",
    whole: r#"{"candidates":[{"content":{"parts":[{"text":"Tides follow the moon: the sea bulges on the side that faces it and on the far side, too.\n\nSo most coasts see two high tides a day, about \"twelve and a half\" hours apart.~"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":29,"candidatesTokenCount":41,"totalTokenCount":70,"promptTokensDetails":[{"modality":"TEXT","tokenCount":29}]},"modelVersion":"gemini-2.5-flash","responseId":"q4kiafXGNuKX1MkP8tKzkAk"}"#,
    opening: "",
    chunk: "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \" tides~\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 29,\"candidatesTokenCount\": 1,\"totalTokenCount\": 30,\"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 29}]},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"q4kiafXGNuKX1MkP8tKzkAk\"}\r\n\r\n",
    closing: "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 29,\"candidatesTokenCount\": 64,\"totalTokenCount\": 93,\"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 29}]},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"q4kiafXGNuKX1MkP8tKzkAk\"}\r\n\r\n",
};

pub(super) const DENIED: &str = r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;

/// One vector of 1,536 numbers, as text-embedding-3-small has.
pub(super) fn embeddings() -> String {
    let mut body = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":["#.to_owned();
    for index in 0..1536_u32 {
        // Spread over -0.05 to 0.05 in no order that would pay for anybody.
        let number = f64::from(index.wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24) / 10.0 - 0.05;
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(body, "{comma}{number:.9}");
    }
    body.push_str(r#"]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#);
    body
}
