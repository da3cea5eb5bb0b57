//! AWS's binary frames: `application/vnd.amazon.eventstream`.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTSelectObjectAppendix.html>, which describes them best. A
//! frame begins with its length, has headers and a payload, and is checked by two CRCs.

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

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    type Named = (Option<String>, Bytes);

    fn frame(headers: &[(&str, HeaderValue)], payload: &[u8]) -> Vec<u8> {
        let message = headers.iter().fold(Message::new(payload.to_vec()), |message, (name, value)| {
            message.add_header(Header::new((*name).to_owned(), value.clone()))
        });
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).unwrap();
        bytes
    }

    fn text(text: &str) -> HeaderValue {
        HeaderValue::String(text.to_owned().into())
    }

    fn decode(pieces: &[&[u8]]) -> (Vec<Named>, Result<(), StreamError>) {
        let mut decoder = AwsEventStream::new(1 << 20);
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            loop {
                match decoder.next_event() {
                    Ok(Some(event)) => events.push((event.name, event.data.unwrap())),
                    Ok(None) => break,
                    Err(error) => return (events, Err(error)),
                }
            }
        }
        (events, Ok(()))
    }

    #[test]
    fn a_frame_is_named_by_its_type_its_exception_or_its_error() {
        let number = HeaderValue::Int32(7);
        for (headers, payload, name, data) in [
            (vec![(":message-type", text("event")), (":event-type", text("delta"))], "{}", Some("delta"), "{}"),
            (vec![("x", number.clone()), (":event-type", text("delta"))], "{}", Some("delta"), "{}"),
            (vec![(":message-type", text("exception")), (":exception-type", text("slow"))], "{1}", Some("slow"), "{1}"),
            (
                vec![
                    (":message-type", text("error")),
                    (":error-code", text("E1")),
                    (":error-message", text("it broke")),
                ],
                "",
                Some("E1"),
                "it broke",
            ),
            (vec![(":message-type", text("error"))], "ignored", None, ""),
            (vec![(":event-type", number)], "x", None, "x"),
            (vec![], "", None, ""),
        ] {
            let bytes = frame(&headers, payload.as_bytes());
            let expected = vec![(name.map(str::to_owned), Bytes::copy_from_slice(data.as_bytes()))];
            assert_eq!(decode(&[&bytes]), (expected, Ok(())), "{headers:?}");
        }
    }

    #[test]
    fn lengths_that_cant_be_are_told_before_anything_is_waited_for() {
        let limit = 1 << 20;
        for (length, error) in [
            (0, StreamError::Corrupt),
            (15, StreamError::Corrupt),
            (limit + 1, StreamError::TooLong { limit: limit as usize }),
            (u32::MAX, StreamError::TooLong { limit: limit as usize }),
        ] {
            assert_eq!(decode(&[&length.to_be_bytes()]).1, Err(error), "{length}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let good = frame(&[(":event-type", text("delta"))], b"{\"a\":1}");
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (events, read) = decode(&[&bytes]);
            // A length that grew waits for the rest; nothing else may pass.
            let waits = bit < 32 && read.is_ok();
            assert!(events.is_empty() && (waits || read.is_err()), "bit {bit}: {events:?}");
        }
    }

    #[test]
    fn real_answers_are_read_whole() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/recordings/bedrock");
        if !folder.exists() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{} is missing, and CI must not skip it",
                folder.display()
            );
            eprintln!("SKIPPED: {} is missing", folder.display());
            return;
        }
        let mut streams = 0;
        for file in std::fs::read_dir(folder).unwrap().flatten() {
            let recording: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
            let Some(body) = recording["response"]["body_base64"].as_str() else { continue };
            let body = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
            let whole = decode(&[&body]);
            let name = file.file_name();
            assert_eq!(whole.1, Ok(()), "{name:?}");
            let read: Vec<_> = whole.0.iter().map(|(name, data)| (name.clone().unwrap_or_default(), data)).collect();
            assert!(read.len() > 2, "{name:?}: {read:?}");
            for (event, data) in &read {
                assert!(
                    !event.is_empty() && serde_json::from_slice::<serde_json::Value>(data).is_ok(),
                    "{name:?}: {event}"
                );
            }
            let single: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(decode(&single), whole, "{name:?}");
            streams += 1;
        }
        assert!(streams >= 5, "{streams}");
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_the_cuts(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5),
            size in 1_usize..60,
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| frame(&[(":event-type", text("e"))], payload)).collect();
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let (events, read) = decode(&pieces);
            prop_assert_eq!(read, Ok(()));
            prop_assert_eq!(events.iter().map(|(_, data)| data.to_vec()).collect::<Vec<_>>(), payloads);
        }

        #[test]
        fn whatever_comes_is_events_or_an_error(
            mut bytes in proptest::collection::vec(any::<u8>(), 16..200),
            headers in any::<u32>(),
            size in 1_usize..60,
        ) {
            // With right lengths and a right first checksum, so that what is inside is looked at.
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..8].copy_from_slice(&(headers % length).to_be_bytes());
            let checksum = crc32(&bytes[..8]);
            bytes[8..12].copy_from_slice(&checksum.to_be_bytes());
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let at_once = decode(&[&bytes]);
            prop_assert_eq!(decode(&pieces), at_once);
        }
    }

    /// CRC-32 as in gzip, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
        })
    }
}
