//! Events of a streamed answer: <https://platform.claude.com/docs/en/build-with-claude/streaming#event-types>.

use std::borrow::Cow;

use ai_api_plugin_sdk::json::{Json, Object, Text};
use ai_api_plugin_sdk::{Failure, failure};
use serde::Deserialize;

use crate::error::ErrorDetail;
use crate::usage::WireUsage;
use crate::wire;

/// What an event is read as.
#[derive(Debug)]
pub(crate) enum Read<'a> {
    /// More of a block, which nearly all events are, without all else that an event can have.
    Piece(u64, Piece<'a>),
    /// Any other event that is read.
    Event(Box<WireEvent<'a>>),
    /// An event of a type that came after this was written, in a form of its own.
    Unknown,
}

/// More of a block, of one kind.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Text(Text<'a>),
    Thinking(Text<'a>),
    Json(Text<'a>),
}

/// Reads an event.
///
/// # Errors
/// It makes no sense.
pub(crate) fn read(data: &[u8]) -> Result<Read<'_>, Failure> {
    let object = Json::parse(data).ok().and_then(Json::into_object);
    if let Some((index, piece)) = object.as_ref().and_then(Piece::of) {
        return Ok(Read::Piece(index, piece));
    }
    match wire::read(data, object, WireEvent::quick) {
        Ok(event) => Ok(Read::Event(Box::new(event))),
        Err(error) => match serde_json::from_slice::<Named<'_>>(data) {
            Ok(named) if !READ.contains(&named.kind.as_ref()) => Ok(Read::Unknown),
            _ => Err(failure::malformed(format!("anthropic sent an event that makes no sense: {error}"))),
        },
    }
}

impl<'a> Piece<'a> {
    /// The piece that `event` is, if it is nothing more.
    fn of(event: &Object<'a>) -> Option<(u64, Self)> {
        let delta = event.get("delta").and_then(Json::as_object).filter(|delta| delta.len() == 2)?;
        if event.len() != 3 || *event.get("type")? != "content_block_delta" {
            return None;
        }
        let (key, piece): (&str, fn(Text<'a>) -> Self) = match delta.get("type")?.as_str()? {
            "text_delta" => ("text", Self::Text),
            "thinking_delta" => ("thinking", Self::Thinking),
            "input_json_delta" => ("partial_json", Self::Json),
            _ => return None,
        };
        match delta.get(key)? {
            Json::String(text) => Some((event.get("index")?.as_u64()?, piece(text.clone()))),
            _ => None,
        }
    }
}

/// Every event that is read, in one: a field is there if its type has it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct WireEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Cow<'a, str>,
    #[serde(default)]
    pub(crate) index: u64,
    #[serde(borrow, default)]
    pub(crate) delta: Option<WireDelta<'a>>,
    #[serde(borrow, default)]
    pub(crate) content_block: Option<Object<'a>>,
    #[serde(borrow, default)]
    pub(crate) message: Option<MessageStart<'a>>,
    #[serde(borrow, default)]
    pub(crate) usage: Option<WireUsage<'a>>,
    #[serde(default)]
    pub(crate) error: Option<ErrorDetail>,
}

/// Deltas of blocks and of the message. Which fields are there tells their type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WireDelta<'a> {
    #[serde(borrow)]
    pub(crate) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) citation: Option<Json<'a>>,
    /// Of a compaction.
    #[serde(borrow)]
    pub(crate) content: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) stop_sequence: Option<Json<'a>>,
    #[serde(borrow)]
    pub(crate) stop_details: Option<Json<'a>>,
    #[serde(borrow)]
    pub(crate) container: Option<Json<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MessageStart<'a> {
    #[serde(borrow, default)]
    pub(crate) usage: Option<WireUsage<'a>>,
}

impl<'a> WireEvent<'a> {
    /// The event in `object`; none if it isn't as documented.
    fn quick(object: Object<'a>) -> Option<Self> {
        let mut event = Self::default();
        for (key, value) in object {
            match (key.as_str(), value) {
                ("type", Json::String(kind)) => event.kind = kind.into_cow(),
                ("index", value) => event.index = value.as_u64()?,
                ("delta", value) => event.delta = wire::object(value, WireDelta::quick)?,
                ("content_block", value) => event.content_block = wire::object(value, Some)?,
                ("message", value) => event.message = wire::object(value, MessageStart::quick)?,
                ("usage", value) => event.usage = wire::object(value, WireUsage::quick)?,
                // The first is told by serde, the second has a message to be read.
                ("type" | "error", _) => return None,
                _ => {}
            }
        }
        (!event.kind.is_empty()).then_some(event)
    }
}

impl<'a> WireDelta<'a> {
    fn quick(object: Object<'a>) -> Option<Self> {
        let mut delta = Self::default();
        for (key, value) in object {
            match key.as_str() {
                "text" => delta.text = wire::text(value)?,
                "partial_json" => delta.partial_json = wire::text(value)?,
                "thinking" => delta.thinking = wire::text(value)?,
                "signature" => delta.signature = wire::text(value)?,
                "citation" => delta.citation = wire::some(value),
                "content" => delta.content = wire::text(value)?,
                "stop_reason" => delta.stop_reason = wire::text(value)?,
                "stop_sequence" => delta.stop_sequence = wire::some(value),
                "stop_details" => delta.stop_details = wire::some(value),
                "container" => delta.container = wire::some(value),
                _ => {}
            }
        }
        Some(delta)
    }
}

impl<'a> MessageStart<'a> {
    fn quick(mut object: Object<'a>) -> Option<Self> {
        let usage = object.remove("usage").map_or(Some(None), |usage| wire::object(usage, WireUsage::quick))?;
        Some(Self { usage })
    }
}

/// For events that aren't read: only whether they had to be.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

const READ: [&str; 7] = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
];
