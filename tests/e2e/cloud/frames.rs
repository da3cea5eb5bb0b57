//! Frames of AWS's event streams, by AWS's own writer.

use ai_api_e2e::{Framing, Reply};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};

/// A frame with these headers.
pub(crate) fn frame(headers: &[(&'static str, &str)], payload: &str) -> Vec<u8> {
    let message = headers.iter().fold(Message::new(payload.as_bytes().to_vec()), |message, (name, value)| {
        message.add_header(Header::new(*name, HeaderValue::String((*value).to_owned().into())))
    });
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("the message is small");
    bytes
}

/// An event as services send it.
pub(crate) fn event(kind: &str, payload: &str) -> Vec<u8> {
    frame(&[(":message-type", "event"), (":event-type", kind), (":content-type", "application/json")], payload)
}

/// An answer of frames, in these pieces.
pub(crate) fn reply(pieces: impl IntoIterator<Item = Vec<u8>>) -> Reply {
    let head = Reply::status(200).header("content-type", "application/vnd.amazon.eventstream");
    pieces.into_iter().fold(head.framing(Framing::Chunked), Reply::send)
}
