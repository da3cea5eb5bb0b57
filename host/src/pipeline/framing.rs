//! How a plugin's word for a stream's framing is read.

use crate::plugin::Framing;
use crate::stream::Decoder;

/// What takes a stream of this framing apart.
pub fn decoder(framing: Framing) -> Decoder {
    match framing {
        Framing::Sse => Decoder::sse(),
        Framing::JsonLines => Decoder::json_lines(),
        Framing::AwsEventStream => Decoder::aws(),
    }
}

/// What a stream of this framing calls itself. Lines of JSON have too many names to be checked.
pub fn media_type_of(framing: Framing) -> Option<&'static str> {
    match framing {
        Framing::Sse => Some("text/event-stream"),
        Framing::AwsEventStream => Some("application/vnd.amazon.eventstream"),
        Framing::JsonLines => None,
    }
}

/// What a stream that calls itself so is made of.
pub fn framing_of(media_type: &str) -> Option<Framing> {
    match media_type {
        "text/event-stream" => Some(Framing::Sse),
        "application/vnd.amazon.eventstream" => Some(Framing::AwsEventStream),
        "application/x-ndjson" | "application/jsonl" => Some(Framing::JsonLines),
        _ => None,
    }
}
