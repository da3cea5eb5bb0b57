//! AWS's binary frames: `application/vnd.amazon.eventstream`.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTSelectObjectAppendix.html>, which describes them best. A frame begins
//! with its length, has headers and a payload, and is checked by two CRCs.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use bytes::{Bytes, BytesMut};

use super::decode::{StreamError, StreamEvent};

/// A frame with neither headers nor payload: two lengths and two checksums.
const MIN_FRAME_BYTES: usize = 16;

/// Where a frame's name is, in this order: what it is, what failed in the service's words, what failed otherwise.
const NAMES: [&str; 3] = [":event-type", ":exception-type", ":error-code"];

/// Splits bytes into frames.
#[derive(Debug)]
pub struct AwsEventStream {
    buffer: BytesMut,
    max_frame_bytes: usize,
}

impl AwsEventStream {
    /// A decoder at the beginning of a stream.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), max_frame_bytes }
    }

    /// Takes the next bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame that is all in.
    ///
    /// # Errors
    /// The frame that is coming in is too long, or corrupt; nothing after it can be read.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, StreamError> {
        let Some(length) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length < MIN_FRAME_BYTES {
            return Err(StreamError::Corrupt);
        }
        if length > self.max_frame_bytes {
            return Err(StreamError::TooLong { limit: self.max_frame_bytes });
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let raw = self.buffer.split_to(length).freeze();
        let message = read_message_from(raw.clone()).map_err(|_| StreamError::Corrupt)?;
        Ok(Some(event(raw, &message)))
    }
}

fn event(raw: Bytes, message: &Message) -> StreamEvent {
    let text = |name: &str| {
        let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
        header.value().as_string().ok().map(|text| text.as_str())
    };
    let name = NAMES.iter().find_map(|name| text(name)).map(str::to_owned);
    // What isn't the service's own exception has no payload, but a message in a header.
    let data = match text(":message-type") {
        Some("error") => Bytes::copy_from_slice(text(":error-message").unwrap_or_default().as_bytes()),
        _ => message.payload().clone(),
    };
    StreamEvent { raw, name, data: Some(data) }
}
