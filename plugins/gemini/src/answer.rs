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

use ai_api_plugin_sdk::canonical::FinishReason;
use ai_api_plugin_sdk::json::{Json, Object, Text};
use ai_api_plugin_sdk::names::Names;
use ai_api_plugin_sdk::{Call, object};

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
pub(crate) enum Piece<'a> {
    /// A summary of what the model thought.
    Thought { text: Text<'a>, signature: Option<Text<'a>> },
    /// Text, possibly empty when it came for its signature only.
    Text { text: Text<'a>, signature: Option<Text<'a>> },
    /// A call of one of the client's functions. `arguments` is JSON text.
    Call { id: Option<Text<'a>>, name: Text<'a>, arguments: Text<'a>, signature: Option<Text<'a>> },
    /// A picture, as a `data:` URL.
    Image { url: Text<'a>, signature: Option<Text<'a>> },
    /// Sound, in base64.
    Audio { data: Text<'a>, media_type: Text<'a> },
    /// A step of Google's own tools (`executableCode`, `toolCall` …), or something newer. No text, but Gemini 3
    /// wants it back.
    Other(Object<'a>),
}

/// Makes ids for calls that came without one.
#[derive(Debug)]
pub(crate) struct CallIds {
    prefix: String,
    made: u32,
}

// === impl Asked ===

impl Asked {
    /// Whether a call of the wire's `name` is the answer itself.
    pub(crate) fn answers_in(&self, name: &str) -> bool {
        self.json_tool.as_deref() == Some(name)
    }
}

// === impl Piece ===

impl<'a> Piece<'a> {
    /// Sorts a part (<https://ai.google.dev/api/caching#Part>). None for what says nothing: empty text, and pictures
    /// that are only thoughts.
    pub(crate) fn sort(mut part: Object<'a>) -> Option<Self> {
        let signature = take_text(&mut part, "thoughtSignature").filter(|signature| !signature.is_empty());
        let thought = part.get("thought").and_then(Json::as_bool).unwrap_or(false);
        if let Some(text) = take_text(&mut part, "text") {
            return match (thought, text.is_empty() && signature.is_none()) {
                (_, true) => None,
                (true, _) => Some(Self::Thought { text, signature }),
                (false, _) => Some(Self::Text { text, signature }),
            };
        }
        if let Some(Json::Object(mut call)) = part.get_mut("functionCall").map(Json::take) {
            let arguments = match call.remove("args") {
                None | Some(Json::Null) => "{}".into(),
                Some(arguments) => arguments.to_string().into(),
            };
            let id = take_text(&mut call, "id").filter(|id| !id.is_empty());
            let name = take_text(&mut call, "name").unwrap_or_default();
            return Some(Self::Call { id, name, arguments, signature });
        }
        if let Some(Json::Object(blob)) = part.get_mut("inlineData") {
            let media_type = take_text(blob, "mimeType").unwrap_or_default();
            let data = take_text(blob, "data").unwrap_or_default();
            return match media_type.split('/').next() {
                _ if thought => None,
                Some("image") => {
                    Some(Self::Image { url: format!("data:{media_type};base64,{data}").into(), signature })
                }
                Some("audio") => Some(Self::Audio { data, media_type }),
                _ => Some(Self::Other(inline_data(media_type, data))),
            };
        }
        if let Some(signature) = signature {
            if part.iter().all(|(key, _)| *key == "thought") {
                return Some(Self::Text { text: Text::default(), signature: Some(signature) });
            }
            part.insert("thoughtSignature", signature);
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
    pub(crate) fn id<'a>(&mut self, own: Option<Text<'a>>) -> Text<'a> {
        own.unwrap_or_else(|| {
            let id = format!("{}_{}", self.prefix, self.made);
            self.made = self.made.saturating_add(1);
            id.into()
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
pub(crate) fn finish_fields<'a>(native: Option<Text<'a>>, message: Option<Text<'a>>) -> Object<'a> {
    let message = message.filter(|_| native.as_deref() != Some("STOP"));
    let fields = [("native_finish_reason", native), ("finish_message", message)];
    fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// A block as LiteLLM hands it on; only a signed one is of use later.
pub(crate) fn thinking_block<'a>(text: Text<'a>, signature: Text<'a>) -> Json<'a> {
    object! {"type": "thinking", "thinking": text, "signature": signature}.into()
}

/// A picture as LiteLLM hands it on.
pub(crate) fn image<'a>(url: Text<'a>, index: usize, signature: Option<Text<'a>>) -> Json<'a> {
    let url = object! {"url": url, "detail": "auto"};
    let mut image = object! {"type": "image_url", "image_url": url, "index": index as u64};
    if let Some(signature) = signature {
        image.insert("provider_specific_fields", object! {"thought_signature": signature});
    }
    image.into()
}

/// Sound in OpenAI's form. Google's is raw 16-bit samples, whose rate only the media type tells.
pub(crate) fn audio<'a>(call: &Call, data: Text<'a>, media_type: Text<'a>) -> Json<'a> {
    let fields = object! {
        "id": format!("audio_{}", call.id),
        "data": data,
        "transcript": "",
        "expires_at": call.created,
        "mime_type": media_type,
    };
    fields.into()
}

/// A part with data that has no place in a canonical answer.
pub(crate) fn inline_data<'a>(media_type: Text<'a>, data: Text<'a>) -> Object<'a> {
    object! {"inlineData": object! {"mimeType": media_type, "data": data}}
}

/// A call's signature, for its `provider_specific_fields` and its `extra_content`.
pub(crate) fn signature_fields(signature: Option<Text<'_>>) -> (Object<'_>, Object<'_>) {
    let Some(signature) = signature else { return Default::default() };
    let own = object! {"thought_signature": signature};
    (own.clone(), object! {"google": own})
}

/// Joins texts; the first one is taken as it is, and mostly there is no other.
pub(crate) fn append<'a>(text: &mut Text<'a>, more: Text<'a>) {
    if text.is_empty() {
        *text = more;
    } else {
        text.push_str(&more);
    }
}

fn take_text<'a>(object: &mut Object<'a>, key: &str) -> Option<Text<'a>> {
    let Json::String(text) = object.get_mut(key)? else { return None };
    let text = std::mem::take(text);
    object.remove(key);
    Some(text)
}

#[cfg(test)]
mod tests {
    use ai_api_plugin_sdk::{Operation, testing};
    use serde_json::{Value, json};

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
        assert_eq!(ids.id(Some("own".into())), "own");
        assert_eq!(ids.id(None), "call_3f2b8c1e52a74a0b9d550c6f_0");
        assert_eq!(ids.id(None), "call_3f2b8c1e52a74a0b9d550c6f_1");
        assert!(ids.id(None).len() <= 40);
    }

    #[test]
    fn a_part_of_any_shape_is_sorted() {
        let sort = |part: Value| Piece::sort(Json::from(part).into_object().unwrap());
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
