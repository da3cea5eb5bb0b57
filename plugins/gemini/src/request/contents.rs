//! The conversation: `systemInstruction` and `contents` (<https://ai.google.dev/api/caching#Content>).
//!
//! Google has two roles that take turns, so neighbours of one role are merged. Results of functions stay in a content
//! of their own: Google counts them against the calls before.

use std::borrow::Cow;
use std::collections::HashMap;

use ai_api_plugin_sdk::canonical::{CalledTool, Message, Part, PartKind, Role};
use ai_api_plugin_sdk::json::{Fields, Json, Object, Path, Text, Warnings};
use ai_api_plugin_sdk::names::Names;
use ai_api_plugin_sdk::{Failure, failure, object};

use super::media;
use crate::answer::{self, GEMINI_PARTS};
use crate::model::Model;

/// Gemini 3 refuses a call in the current turn whose signature is missing. This stands for calls that another model
/// made, or whose signature the client lost: <https://ai.google.dev/gemini-api/docs/thought-signatures>.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// What LiteLLM puts between a call's id and its signature, in conversations that began there.
const SIGNATURE_IN_ID: &str = "__thought__";

/// A translated conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    /// Parts of the system instruction.
    pub(super) system: Vec<Object<'a>>,
    /// `contents`
    pub(super) contents: Vec<Object<'a>>,
    /// How closely the model looks, where that is one setting for all media.
    pub(super) media_resolution: Option<&'static str>,
}

/// Translates the messages.
///
/// # Errors
/// A part can't be said to Gemini, or a result answers no call.
pub(super) fn translate<'a>(
    messages: Vec<Message<'a>>,
    names: &Names,
    model: &Model,
    warnings: &mut Warnings,
) -> Result<Conversation<'a>, Failure> {
    let mut writer = Writer {
        model,
        names,
        warnings,
        system: Vec::new(),
        turns: Vec::new(),
        calls: HashMap::new(),
        numbered: 0,
        answered: Vec::new(),
        shown: Vec::new(),
        media_resolution: None,
    };
    let at = Path::Root.key("messages");
    for (index, message) in messages.into_iter().enumerate() {
        writer.message(message, &at.index(index))?;
    }
    Ok(writer.finish(&at))
}

/// Whose content a part belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    User,
    Model,
    /// The client's functions; `user` on the wire.
    Functions,
    /// Media out of the functions' results; `user` on the wire, but no word of the user's.
    Shown,
}

/// A call that the model made.
#[derive(Clone, Debug)]
struct Made<'a> {
    /// Its function's name on the wire.
    name: Text<'a>,
    /// How many calls were made before it.
    number: usize,
}

/// The conversation while it is written.
struct Writer<'c, 'a> {
    model: &'c Model,
    names: &'c Names,
    warnings: &'c mut Warnings,
    system: Vec<Object<'a>>,
    turns: Vec<(Speaker, Vec<Object<'a>>)>,
    /// The calls so far, by their ids.
    calls: HashMap<Cow<'a, str>, Made<'a>>,
    /// How many calls were made so far.
    numbered: usize,
    /// The numbers of the calls whose results the last turn has, in its order.
    answered: Vec<usize>,
    /// Media out of results that have to wait until all results are said.
    shown: Vec<Object<'a>>,
    media_resolution: Option<&'static str>,
}

// === impl Writer ===

impl<'a> Writer<'_, 'a> {
    fn message(&mut self, message: Message<'a>, at: &Path<'_>) -> Result<(), Failure> {
        if message.cache_control.is_some() {
            self.warnings.dropped(at.key("cache_control"));
        }
        let functions = matches!(message.role, Role::Tool | Role::Function);
        if message.name.is_some() && !functions {
            self.warnings.dropped(at.key("name"));
        }
        if !functions {
            self.show();
        }
        match message.role {
            Role::System | Role::Developer => {
                self.system(message, at);
                Ok(())
            }
            Role::User => self.user(message, at),
            Role::Assistant => self.assistant(message, at),
            Role::Tool | Role::Function => self.result(message, at),
        }
    }

    /// Instructions have one place, at the beginning.
    fn system(&mut self, message: Message<'a>, at: &Path<'_>) {
        if !self.turns.is_empty() {
            self.warnings.approximated(at);
        }
        let content_at = at.key("content");
        for (index, part) in message.content.into_iter().enumerate() {
            let at = content_at.index(index);
            self.part_extras(&part, &at);
            match part.kind {
                PartKind::Text(text) if text.is_empty() => {}
                PartKind::Text(text) => self.system.push(object! {"text": text}),
                _ => self.warnings.unsupported(at),
            }
        }
        self.warnings.dropped_fields(&message.rest, at);
    }

    fn user(&mut self, message: Message<'a>, at: &Path<'_>) -> Result<(), Failure> {
        let mut parts = self.parts(message.content, at)?;
        if parts.is_empty() {
            // Google refuses a content without parts, and a part without text.
            self.warnings.approximated(at.key("content"));
            parts.push(object! {"text": " "});
        }
        self.say(Speaker::User, parts);
        self.warnings.dropped_fields(&message.rest, at);
        Ok(())
    }

    fn assistant(&mut self, mut message: Message<'a>, at: &Path<'_>) -> Result<(), Failure> {
        // Where the text came from says nothing that the text doesn't.
        let _ = message.rest.take("annotations");
        let mut own = message.provider_specific_fields.take().unwrap_or_default();
        let own_at = at.key("provider_specific_fields");
        let native = own.array(GEMINI_PARTS, &own_at)?;
        let mut parts: Vec<Object<'a>> = native.into_iter().filter_map(Json::into_object).collect();

        let mut said = self.parts(std::mem::take(&mut message.content), at)?;
        if let Some(refusal) = message.refusal.take().filter(|refusal| !refusal.is_empty()) {
            said.push(object! {"text": refusal});
        }
        let signatures = own.array("thought_signatures", &own_at)?;
        self.sign_text(&mut said, signatures, &own_at);
        parts.append(&mut said);
        self.images(&mut message.rest, &mut parts, at)?;

        let calls_at = at.key("tool_calls");
        for (index, call) in message.tool_calls.into_iter().enumerate() {
            let at = calls_at.index(index);
            parts.push(self.call(call, &at)?);
        }
        if let Some(mut call) = message.rest.object("function_call", at)? {
            let at = at.key("function_call");
            let name = self.names.to_wire(call.required_string("name", &at)?);
            let arguments = call.string("arguments", &at)?.unwrap_or_default();
            let arguments = self.arguments(arguments, &at.key("arguments"));
            parts.push(object! {"functionCall": object! {"name": name, "args": arguments}});
        }

        // Thoughts are not sent back as text, only as signatures, which Gemini 3 misses on calls alone.
        let has = |key: &str| parts.iter().any(|part| part.contains_key(key));
        if self.model.is_3_or_newer() && has("functionCall") && !has("thoughtSignature") {
            if message.reasoning_content.is_some() {
                self.warnings.dropped(at.key("reasoning_content"));
            }
            if !message.thinking_blocks.is_empty() {
                self.warnings.dropped(at.key("thinking_blocks"));
            }
        }
        if parts.is_empty() {
            self.warnings.dropped(at);
        } else {
            self.say(Speaker::Model, parts);
        }
        self.warnings.dropped_fields(&own, &own_at);
        self.warnings.dropped_fields(&message.rest, at);
        Ok(())
    }

    /// Puts a signature back on the text that it came with. A streamed text's comes with its last piece; of several,
    /// nobody remembers which piece they belonged to. Google doesn't insist on those of texts.
    fn sign_text(&mut self, parts: &mut [Object<'a>], mut signatures: Vec<Json<'a>>, own_at: &Path<'_>) {
        match signatures.pop() {
            None => {}
            Some(Json::String(signature)) => {
                if let Some(text) = parts.iter_mut().rfind(|part| part.contains_key("text")) {
                    text.insert("thoughtSignature", signature);
                }
            }
            Some(_) => self.warnings.dropped(own_at.key("thought_signatures")),
        }
    }

    /// Pictures that the model made, as `answer::image` handed them out.
    fn images(&mut self, rest: &mut Fields<'a>, parts: &mut Vec<Object<'a>>, at: &Path<'_>) -> Result<(), Failure> {
        let images_at = at.key("images");
        for (index, mut image) in rest.array("images", at)?.into_iter().enumerate() {
            let at = images_at.index(index);
            let Some(url) = take_text(&mut image, "image_url", "url") else {
                self.warnings.dropped(at);
                continue;
            };
            let mut part = media::from_url(url, None, &at)?;
            if let Some(signature) = take_text(&mut image, "provider_specific_fields", "thought_signature") {
                part.insert("thoughtSignature", signature);
            }
            parts.push(part);
        }
        Ok(())
    }

    fn call(&mut self, call: CalledTool<'a>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
        let CalledTool { id, name, arguments, cache_control, provider_specific_fields, mut rest } = call;
        if cache_control.is_some() {
            self.warnings.dropped(at.key("cache_control"));
        }
        let own_at = at.key("provider_specific_fields");
        let mut own = provider_specific_fields.unwrap_or_default();
        let (id, in_id) = split_id(id);
        let mut signature = own.string("thought_signature", &own_at)?.or(in_id);
        // Where Google's own OpenAI endpoint puts it: https://ai.google.dev/gemini-api/docs/openai
        if let Some(mut google) = rest.object("extra_content", at)?.and_then(|mut extra| extra.take("google")) {
            signature = signature.or_else(|| text(google.as_object_mut()?.remove("thought_signature")?));
        }
        self.warnings.dropped_fields(&own, &own_at);
        self.warnings.dropped_fields(&rest, at);

        let arguments = self.arguments(arguments, &at.key("function").key("arguments"));
        let name = self.names.to_wire(name);
        let mut function = object! {"name": name.clone(), "args": arguments};
        if self.model.is_3_or_newer() {
            function.insert("id", Text::from(id.clone()));
        }
        self.calls.insert(id, Made { name, number: self.numbered });
        self.numbered += 1;
        let mut part = object! {"functionCall": function};
        if let Some(signature) = signature {
            part.insert("thoughtSignature", signature);
        }
        Ok(part)
    }

    /// Google wants an object. What a model wrote that is none (a text that broke off, say) goes in one.
    fn arguments(&mut self, text: Text<'a>, at: &Path<'_>) -> Json<'a> {
        if text.is_blank() {
            return Object::new().into();
        }
        object_in(&text).unwrap_or_else(|| {
            self.warnings.approximated(at);
            object! {"arguments": text}.into()
        })
    }

    /// A function's result. JSON objects are told as such, any other text as LiteLLM does: `{"content": …}`.
    fn result(&mut self, message: Message<'a>, at: &Path<'_>) -> Result<(), Failure> {
        let id = message.tool_call_id.map(|id| split_id(id).0);
        let called = id.as_ref().and_then(|id| self.calls.get(id)).cloned();
        let by_name = || Some(Made { name: self.names.to_wire(message.name?), number: usize::MAX });
        let Some(Made { name, number }) = called.or_else(by_name) else {
            let place = at.key("tool_call_id");
            let message = match id {
                Some(id) => format!("Invalid '{place}': no call of the messages before has the id '{id}'."),
                None => format!("Missing required parameter: '{place}'."),
            };
            return Err(failure::invalid(place, message));
        };
        let (mut said, mut shown) = (Text::default(), Vec::new());
        for mut part in self.parts(message.content, at)? {
            match part.remove("text") {
                Some(Json::String(more)) => answer::append(&mut said, more),
                _ => shown.push(part),
            }
        }
        let response = object_in(&said).unwrap_or_else(|| object! {"content": said}.into());
        let mut function = object! {"name": name, "response": response};
        if let Some(id) = id.filter(|_| self.model.is_3_or_newer()) {
            function.insert("id", Text::from(id));
        }
        let (held, waiting): (Vec<_>, Vec<_>) = shown.into_iter().partition(|part| self.result_holds(part));
        if held.iter().any(|part| part.contains_key("mediaResolution")) {
            self.warnings.dropped(at.key("content"));
        }
        if !held.is_empty() {
            let data = held.into_iter().filter_map(|mut part| part.remove("inlineData"));
            let parts: Vec<Object<'a>> = data.map(|data| object! {"inlineData": data}).collect();
            function.insert("parts", parts);
        }
        if !waiting.is_empty() {
            self.warnings.approximated(at.key("content"));
            self.shown.extend(waiting);
        }
        self.answer(number, object! {"functionResponse": function});
        self.warnings.dropped_fields(&message.rest, at);
        Ok(())
    }

    /// Puts a result among the others of its step, in the order of the calls: models before Gemini 3 have no ids, so only
    /// its place says which call of one function a result belongs to.
    fn answer(&mut self, number: usize, result: Object<'a>) {
        if self.turns.last().is_none_or(|(speaker, _)| *speaker != Speaker::Functions) {
            self.answered.clear();
            self.turns.push((Speaker::Functions, Vec::new()));
        }
        let place = self.answered.partition_point(|before| *before <= number);
        self.answered.insert(place, number);
        if let Some((_, results)) = self.turns.last_mut() {
            results.insert(place.min(results.len()), result);
        }
    }

    /// Results hold pictures and documents from Gemini 3 on, none of them by address. What else there is to see or hear
    /// is shown in the user's name. <https://ai.google.dev/gemini-api/docs/function-calling#multimodal>
    fn result_holds(&self, part: &Object<'a>) -> bool {
        let media_type = part.get("inlineData").and_then(|data| data.get("mimeType")).and_then(Json::as_str);
        let held = |media_type: &str| media_type.starts_with("image/") || media_type == "application/pdf";
        self.model.is_3_or_newer() && media_type.is_some_and(held)
    }

    fn parts(&mut self, content: Vec<Part<'a>>, at: &Path<'_>) -> Result<Vec<Object<'a>>, Failure> {
        let at = at.key("content");
        let mut parts = Vec::with_capacity(content.len());
        for (index, part) in content.into_iter().enumerate() {
            parts.extend(self.part(part, &at.index(index))?);
        }
        Ok(parts)
    }

    /// One part; none if it is an empty text.
    fn part(&mut self, part: Part<'a>, at: &Path<'_>) -> Result<Option<Object<'a>>, Failure> {
        self.part_extras(&part, at);
        let Part { kind, mut rest, .. } = part;
        Ok(Some(match kind {
            PartKind::Text(text) | PartKind::Refusal(text) => {
                return Ok((!text.is_empty()).then(|| object! {"text": text}));
            }
            PartKind::Image { url, detail, format } => {
                let at = at.key("image_url");
                let mut part = media::from_url(url, format.as_deref(), &at.key("url"))?;
                self.look(&mut part, detail.as_deref(), &at.key("detail"));
                part
            }
            PartKind::File(file) => media::from_file(file, at)?,
            PartKind::Audio { data, format } => media::from_audio(data, &format),
            PartKind::Other(kind) if matches!(kind.as_str(), "video_url" | "audio_url") => {
                let url_at = at.key(&kind);
                match rest.take(&kind) {
                    Some(Json::String(url)) => media::from_url(url, None, &url_at)?,
                    value => {
                        let mut video = Fields::of(value.unwrap_or_default(), &url_at)?;
                        let url = video.required_string("url", &url_at)?;
                        let format = video.string("format", &url_at)?;
                        let mut part = media::from_url(url, format.as_deref(), &url_at.key("url"))?;
                        let detail = video.string("detail", &url_at)?;
                        self.look(&mut part, detail.as_deref(), &url_at.key("detail"));
                        self.warnings.dropped_fields(&video, &url_at);
                        part
                    }
                }
            }
            PartKind::Other(kind) => {
                let message = format!("Gemini has no content parts of type '{kind}'.");
                return Err(failure::unsupported(at.key("type"), message));
            }
        }))
    }

    fn part_extras(&mut self, part: &Part<'a>, at: &Path<'_>) {
        // Google caches by itself what requests begin with; there is nothing to mark.
        if part.cache_control.is_some() {
            self.warnings.dropped(at.key("cache_control"));
        }
        if !matches!(part.kind, PartKind::Other(_)) {
            self.warnings.dropped_fields(&part.rest, at);
        }
    }

    /// How closely to look at a picture: from Gemini 3 on said of each, before that one setting for all, the highest
    /// that is asked for (<https://ai.google.dev/gemini-api/docs/media-resolution>).
    fn look(&mut self, part: &mut Object<'a>, detail: Option<&str>, at: &Path<'_>) {
        let level = match detail {
            None | Some("auto") => return,
            Some("low") => "MEDIA_RESOLUTION_LOW",
            Some("medium") => "MEDIA_RESOLUTION_MEDIUM",
            Some("high") => "MEDIA_RESOLUTION_HIGH",
            Some(_) => return self.warnings.dropped(at),
        };
        if self.model.is_gemma_3() {
            return self.warnings.dropped(at);
        }
        if self.model.is_3_or_newer() {
            part.insert("mediaResolution", object! {"level": level});
            return;
        }
        let rank = |level: &str| {
            ["MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM"].iter().position(|l| *l == level).unwrap_or(2)
        };
        if self.media_resolution.is_none_or(|now| rank(now) < rank(level)) {
            self.media_resolution = Some(level);
        }
        self.warnings.approximated(at);
    }

    /// Media out of the results before, now that all of them are said.
    fn show(&mut self) {
        if !self.shown.is_empty() {
            let shown = std::mem::take(&mut self.shown);
            self.say(Speaker::Shown, shown);
        }
    }

    fn say(&mut self, speaker: Speaker, mut parts: Vec<Object<'a>>) {
        match self.turns.last_mut() {
            Some((last, turn)) if *last == speaker => turn.append(&mut parts),
            _ => self.turns.push((speaker, parts)),
        }
    }

    fn finish(mut self, at: &Path<'_>) -> Conversation<'a> {
        self.show();
        if self.model.is_gemma_3() && !self.system.is_empty() {
            // It has no system instructions: https://ai.google.dev/gemma/docs/core/prompt-structure
            self.warnings.approximated(at.index(0));
            let system = std::mem::take(&mut self.system);
            match self.turns.first_mut() {
                Some((Speaker::User, turn)) => drop(turn.splice(0..0, system)),
                _ => self.turns.insert(0, (Speaker::User, system)),
            }
        }
        if self.turns.is_empty() {
            // Only instructions: Google needs something to answer to. LiteLLM's stopgap.
            self.warnings.approximated(at);
            self.say(Speaker::User, vec![object! {"text": "."}]);
        }
        if self.model.is_3_or_newer() {
            self.sign_current_turn();
        }
        let contents = self.turns.into_iter().map(|(speaker, parts)| {
            let role = if speaker == Speaker::Model { "model" } else { "user" };
            object! {"role": role, "parts": parts}
        });
        Conversation { system: self.system, contents: contents.collect(), media_resolution: self.media_resolution }
    }

    /// Since the user last spoke, the first call of each step must have a signature.
    fn sign_current_turn(&mut self) {
        let current = self.turns.iter_mut().rev().take_while(|(speaker, _)| *speaker != Speaker::User);
        for (_, parts) in current.filter(|(speaker, _)| *speaker == Speaker::Model) {
            if let Some(call) = parts.iter_mut().find(|part| part.contains_key("functionCall")) {
                call.insert_default("thoughtSignature", NO_SIGNATURE);
            }
        }
    }
}

/// A call's id, without the signature that LiteLLM puts into it.
fn split_id(id: Text<'_>) -> (Cow<'_, str>, Option<Text<'_>>) {
    match id.split_once(SIGNATURE_IN_ID) {
        Some((id, signature)) => {
            let signature = (!signature.is_empty()).then(|| signature.to_owned().into());
            (id.to_owned().into(), signature)
        }
        None => (id.into_cow(), None),
    }
}

/// The object that `text` is in JSON; none if it is anything else.
fn object_in(text: &str) -> Option<Json<'static>> {
    // Most results that are no objects tell so by their first character.
    if !text.trim_start().starts_with('{') {
        return None;
    }
    Json::parse(text.as_bytes()).ok().map(|object| object.rendered())
}

/// Takes the text at `object.key.inner`.
fn take_text<'a>(object: &mut Json<'a>, key: &str, inner: &str) -> Option<Text<'a>> {
    text(object.as_object_mut()?.get_mut(key)?.as_object_mut()?.remove(inner)?)
}

fn text(value: Json<'_>) -> Option<Text<'_>> {
    match value {
        Json::String(text) => Some(text),
        _ => None,
    }
}
