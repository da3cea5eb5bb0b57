//! What an answer is made of, whole or streamed: pieces of content, ids of calls, reasons to stop.
//!
//! # Thought signatures
//! Gemini signs what it thought and wants the signature back beside the part that it came with
//! (<https://ai.google.dev/gemini-api/docs/thought-signatures>). Here it travels in `provider_specific_fields`:
//! `tool_calls[].provider_specific_fields.thought_signature` for a call,
//! `message.provider_specific_fields.thought_signatures` for text. Not in the call's id, as LiteLLM does
//! (`call_…__thought__…`): ids of hundreds of bytes break clients that allow 40 or 64.
//!
//! A call's stands in `extra_content.google.thought_signature` too, as Google's own OpenAI endpoint has it.
//!
//! A client that sends the message back as it came keeps the signature. One that rebuilds it from the fields it knows
//! loses it, and Gemini 3 would refuse the call's result. The request then carries the signature that Google
//! documents for that case (`request::contents`): the conversation goes on, without the earlier thoughts.

use ai_api_plugin_sdk::Call;
use ai_api_plugin_sdk::legacy::canonical::FinishReason;
use ai_api_plugin_sdk::names::Names;
use serde_json::{Map, Value, json};

/// Where parts that only Gemini understands are handed to the client, and taken back from it.
pub(crate) const GEMINI_PARTS: &str = "gemini_parts";

/// What of a request its answer has to know.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What the client's functions are called on the wire.
    pub(crate) names: Names,
    /// The function whose arguments are the answer itself.
    pub(crate) json_tool: Option<String>,
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A summary of what the model thought.
    Thought { text: String, signature: Option<String> },
    /// Text, possibly empty when it came for its signature only.
    Text { text: String, signature: Option<String> },
    /// A call of one of the client's functions. `arguments` is JSON text.
    Call { id: Option<String>, name: String, arguments: String, signature: Option<String> },
    /// A picture, as a `data:` URL.
    Image { url: String, signature: Option<String> },
    /// Sound, in base64.
    Audio { data: String, media_type: String },
    /// A step of Google's own tools (`executableCode`, `toolCall` …), or something newer. No text, but Gemini 3
    /// wants it back.
    Other(Map<String, Value>),
}

/// Makes ids for calls that came without one.
#[derive(Debug)]
pub(crate) struct CallIds {
    prefix: String,
    made: u32,
}

// === impl Piece ===

impl Piece {
    /// Sorts a part (<https://ai.google.dev/api/caching#Part>). None for what says nothing: empty text, and pictures
    /// that are only thoughts.
    pub(crate) fn sort(mut part: Map<String, Value>) -> Option<Self> {
        let signature = take_text(&mut part, "thoughtSignature").filter(|signature| !signature.is_empty());
        let thought = part.get("thought").and_then(Value::as_bool).unwrap_or(false);
        if let Some(text) = take_text(&mut part, "text") {
            return match (thought, text.is_empty() && signature.is_none()) {
                (_, true) => None,
                (true, _) => Some(Self::Thought { text, signature }),
                (false, _) => Some(Self::Text { text, signature }),
            };
        }
        if let Some(Value::Object(mut call)) = part.get_mut("functionCall").map(Value::take) {
            let arguments = match call.remove("args") {
                None | Some(Value::Null) => "{}".to_owned(),
                Some(arguments) => arguments.to_string(),
            };
            let id = take_text(&mut call, "id").filter(|id| !id.is_empty());
            let name = take_text(&mut call, "name").unwrap_or_default();
            return Some(Self::Call { id, name, arguments, signature });
        }
        if let Some(Value::Object(blob)) = part.get_mut("inlineData") {
            let media_type = take_text(blob, "mimeType").unwrap_or_default();
            let data = take_text(blob, "data").unwrap_or_default();
            return match media_type.split('/').next() {
                _ if thought => None,
                Some("image") => Some(Self::Image { url: format!("data:{media_type};base64,{data}"), signature }),
                Some("audio") => Some(Self::Audio { data, media_type }),
                _ => Some(Self::Other(Map::from_iter([(
                    "inlineData".to_owned(),
                    json!({"mimeType": media_type, "data": data}),
                )]))),
            };
        }
        if let Some(signature) = signature {
            if part.iter().all(|(key, _)| key == "thought") {
                return Some(Self::Text { text: String::new(), signature: Some(signature) });
            }
            part.insert("thoughtSignature".to_owned(), Value::String(signature));
        }
        (!part.is_empty()).then_some(Self::Other(part))
    }
}

// === impl CallIds ===

impl CallIds {
    /// Ids for the calls in the answer to `call`.
    pub(crate) fn new(call: &Call) -> Self {
        // 24 of the id's letters and digits keep it unique, and the whole below the 40 characters that some allow.
        let unique: String = call.id.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
        Self { prefix: format!("call_{unique}"), made: 0 }
    }

    /// Google's own id, else one that no other call of the conversation has.
    pub(crate) fn id(&mut self, own: Option<String>) -> String {
        own.unwrap_or_else(|| {
            let id = format!("{}_{}", self.prefix, self.made);
            self.made = self.made.saturating_add(1);
            id
        })
    }
}

/// Why the model stopped, in OpenAI's words (<https://ai.google.dev/api/generate-content#FinishReason>).
///
/// `called`: the calls of this answer are complete. An answer that a filter cut off is not one to act upon, though.
pub(crate) fn finish_reason(native: &str, called: bool) -> FinishReason {
    let reason = match native {
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE" | "OTHER" | "NO_IMAGE"
        | "MODEL_ARMOR" => FinishReason::ContentFilter,
        image if image.starts_with("IMAGE_") => FinishReason::ContentFilter,
        // Calls that went wrong (`MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL` …) too, as LiteLLM has it: the
        // native reason beside it tells.
        _ => FinishReason::Stop,
    };
    if called && reason != FinishReason::ContentFilter { FinishReason::ToolCalls } else { reason }
}

/// What a choice tells beside its finish reason: Google's own word, and its explanation where something went wrong.
pub(crate) fn finish_fields(native: Option<&str>, message: Option<&str>) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(native) = native {
        fields.insert("native_finish_reason".to_owned(), json!(native));
    }
    if let Some(message) = message.filter(|_| native != Some("STOP")) {
        fields.insert("finish_message".to_owned(), json!(message));
    }
    fields
}

/// A block as LiteLLM hands it on; only a signed one is of use later.
pub(crate) fn thinking_block(text: &str, signature: &str) -> Value {
    json!({"type": "thinking", "thinking": text, "signature": signature})
}

/// A picture as LiteLLM hands it on.
pub(crate) fn image(url: String, index: usize, signature: Option<String>) -> Value {
    let mut image = json!({"type": "image_url", "image_url": {"url": url, "detail": "auto"}, "index": index});
    if let (Value::Object(fields), Some(signature)) = (&mut image, signature) {
        fields.insert("provider_specific_fields".to_owned(), json!({"thought_signature": signature}));
    }
    image
}

/// Sound in OpenAI's form. Google's is raw 16-bit samples, whose rate only the media type tells.
pub(crate) fn audio(call: &Call, data: String, media_type: String) -> Value {
    json!({
        "id": format!("audio_{}", call.id),
        "data": data,
        "transcript": "",
        "expires_at": call.created,
        "mime_type": media_type,
    })
}

/// A call's signature, for its `provider_specific_fields` and its `extra_content`.
pub(crate) fn signature_fields(signature: Option<String>) -> (Map<String, Value>, Map<String, Value>) {
    let Some(signature) = signature else { return Default::default() };
    let own = Map::from_iter([("thought_signature".to_owned(), Value::String(signature))]);
    (own.clone(), Map::from_iter([("google".to_owned(), Value::Object(own))]))
}

fn take_text(map: &mut Map<String, Value>, key: &str) -> Option<String> {
    match map.get_mut(key).map(Value::take) {
        Some(Value::String(text)) => {
            map.shift_remove(key);
            Some(text)
        }
        Some(other) => {
            map.insert(key.to_owned(), other);
            None
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use ai_api_plugin_sdk::{Operation, testing};

    use super::*;

    #[test]
    fn a_finish_reason_is_told_in_openais_words() {
        for (native, called, reason) in [
            ("STOP", false, FinishReason::Stop),
            ("STOP", true, FinishReason::ToolCalls),
            ("MAX_TOKENS", false, FinishReason::Length),
            ("UNEXPECTED_TOOL_CALL", true, FinishReason::ToolCalls),
            ("UNEXPECTED_TOOL_CALL", false, FinishReason::Stop),
            ("MALFORMED_FUNCTION_CALL", false, FinishReason::Stop),
            ("SAFETY", false, FinishReason::ContentFilter),
            ("SAFETY", true, FinishReason::ContentFilter),
            ("IMAGE_RECITATION", false, FinishReason::ContentFilter),
            ("SOMETHING_NEW", false, FinishReason::Stop),
        ] {
            assert_eq!(finish_reason(native, called), reason, "{native} {called}");
        }
    }

    #[test]
    fn a_made_up_id_is_short_and_a_given_one_is_kept() {
        let mut call = testing::call(Operation::ChatCompletions, "m", &json!({}));
        call.id = "3f2b8c1e-52a7-4a0b-9d55-0c6f0a1b2c3d".to_owned();
        let mut ids = CallIds::new(&call);
        assert_eq!(ids.id(Some("own".to_owned())), "own");
        assert_eq!(ids.id(None), "call_3f2b8c1e52a74a0b9d550c6f_0");
        assert_eq!(ids.id(None), "call_3f2b8c1e52a74a0b9d550c6f_1");
        assert!(ids.id(None).len() <= 40);
    }

    #[test]
    fn a_part_of_any_shape_is_sorted() {
        let sort = |part: Value| Piece::sort(part.as_object().unwrap().clone());
        assert!(sort(json!({})).is_none());
        assert!(sort(json!({"text": ""})).is_none());
        assert!(sort(json!({"thought": true, "inlineData": {"mimeType": "image/png"}})).is_none());
        assert!(matches!(sort(json!({"text": 3})), Some(Piece::Other(_))));
        assert!(matches!(sort(json!({"thoughtSignature": "s"})), Some(Piece::Text { .. })));
        assert!(matches!(sort(json!({"functionCall": {}})), Some(Piece::Call { .. })));
        assert!(matches!(sort(json!({"inlineData": {"mimeType": "video/mp4"}})), Some(Piece::Other(_))));
        assert!(
            matches!(sort(json!({"toolCall": {}, "thoughtSignature": "s"})), Some(Piece::Other(part)) if part.len() == 2)
        );
    }
}
