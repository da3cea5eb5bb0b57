//! The framings, behind one face.

use bytes::Bytes;

use super::aws::AwsEventStream;
use super::json_lines::JsonLines;
use super::sse::SseDecoder;

/// More than any provider's event: whole images come in one.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// The bytes as they came, the end of the event included.
    pub raw: Bytes,
    /// The `event:` field; the type of an AWS event.
    pub name: Option<String>,
    /// The data; `None` for a comment.
    pub data: Option<Bytes>,
}

/// Why a stream can't be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// One event is longer than the gateway takes.
    #[error("an event is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes aren't what the framing says: a checksum or a length is wrong.
    #[error("a frame is corrupt")]
    Corrupt,
}

/// Splits bytes into events.
#[derive(Debug)]
pub enum Decoder {
    /// Server-sent events.
    Sse(SseDecoder),
    /// One JSON document a line.
    JsonLines(JsonLines),
    /// AWS's frames.
    Aws(AwsEventStream),
}

impl Decoder {
    /// For server-sent events.
    pub fn sse() -> Self {
        Self::Sse(SseDecoder::new(MAX_EVENT_BYTES))
    }

    /// For one JSON document a line.
    pub fn json_lines() -> Self {
        Self::JsonLines(JsonLines::new(MAX_EVENT_BYTES))
    }

    /// For AWS's frames.
    pub fn aws() -> Self {
        Self::Aws(AwsEventStream::new(MAX_EVENT_BYTES))
    }

    /// Takes the next bytes in, and the events out whose end is in.
    ///
    /// # Errors
    /// The event that is coming in is too long or corrupt; what came before it is in `events`.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        match self {
            Self::Sse(decoder) => {
                decoder.push(bytes);
                while let Some(event) = decoder.next_event()? {
                    events.push(event);
                }
            }
            Self::JsonLines(decoder) => {
                decoder.push(bytes);
                while let Some(event) = decoder.next_event()? {
                    events.push(event);
                }
            }
            Self::Aws(decoder) => {
                decoder.push(bytes);
                while let Some(event) = decoder.next_event()? {
                    events.push(event);
                }
            }
        }
        Ok(())
    }

    /// What is left when the stream came to its proper end.
    pub fn finish(&mut self) -> Option<StreamEvent> {
        match self {
            Self::Sse(decoder) => decoder.finish(),
            Self::JsonLines(decoder) => decoder.finish(),
            // Half a frame is none; that the answer isn't whole its plugin knows.
            Self::Aws(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(mut decoder: Decoder, pieces: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece, &mut events).unwrap();
        }
        events.extend(decoder.finish());
        events
            .into_iter()
            .filter_map(|event| Some((event.name, String::from_utf8_lossy(&event.data?).into_owned())))
            .collect()
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (text, expected) in [
            ("data: a\n\ndata: b\n\n", vec![(None, "a"), (None, "b")]),
            ("data:a\r\n\r\ndata: b\r\rdata: c\n\n", vec![(None, "a"), (None, "b"), (None, "c")]),
            ("\u{feff}data: a\n\n", vec![(None, "a")]),
            (": ping\n\ndata: a\n: more\nid: 1\n\n", vec![(None, "a")]),
            ("event: x\ndata: 1\ndata: 2\n\n", vec![(Some("x"), "1\n2")]),
            ("data\n\ndata:\n\n", vec![(None, ""), (None, "")]),
            ("data: without an end", vec![(None, "without an end")]),
            ("\n\n\ndata: \u{e9}\n\n", vec![(None, "\u{e9}")]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(name, data)| (name.map(str::to_owned), data.to_owned())).collect();
            let bytes = text.as_bytes();
            assert_eq!(decode(Decoder::sse(), &[bytes]), expected, "{text:?} at once");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(decode(Decoder::sse(), &single), expected, "{text:?} byte by byte");
            for at in 0..bytes.len() {
                let (first, second) = bytes.split_at(at);
                assert_eq!(decode(Decoder::sse(), &[first, second]), expected, "{text:?} cut at {at}");
            }
        }
    }

    #[test]
    fn lines_are_read_with_and_without_a_last_end() {
        for text in ["{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}", "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"] {
            let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            let events = decode(Decoder::json_lines(), &single);
            assert_eq!(
                events.into_iter().map(|(_, data)| data).collect::<Vec<_>>(),
                ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]
            );
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut decoder = Decoder::Sse(SseDecoder::new(100));
        let mut events = Vec::new();
        assert!(decoder.push(b"data: a\n\n", &mut events).is_ok());
        assert_eq!(decoder.push(&[b'x'; 200], &mut events), Err(StreamError::TooLong { limit: 100 }));
        assert_eq!(events.len(), 1);
    }

    proptest! {
        #[test]
        fn raw_bytes_and_events_do_not_depend_on_the_cuts(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0_usize..200, 0..8),
        ) {
            let whole = |pieces: &[&[u8]]| {
                let mut decoder = Decoder::sse();
                let mut events = Vec::new();
                for piece in pieces {
                    decoder.push(piece, &mut events).unwrap();
                }
                let raw: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
                events.extend(decoder.finish());
                (raw, events.into_iter().filter_map(|event| Some((event.name, event.data?))).collect::<Vec<_>>())
            };
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut from = 0;
            let mut pieces: Vec<&[u8]> = Vec::new();
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            let (raw, events) = whole(&pieces);
            prop_assert!(bytes.starts_with(&raw));
            prop_assert_eq!(events, whole(&[&bytes]).1);
        }
    }
}
