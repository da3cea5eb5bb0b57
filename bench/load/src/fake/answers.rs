//! What each provider answers, built once as the bytes that go onto the wire.

use super::{Endpoint, STAMP_DIGITS, shapes};

/// The answers of all providers.
#[derive(Debug)]
pub(super) struct Answers {
    openai: Provider,
    anthropic: Provider,
    gemini: Provider,
    embeddings: Vec<u8>,
    denied: Vec<u8>,
}

#[derive(Debug)]
struct Provider {
    whole: Vec<u8>,
    stream: Stream,
}

/// A stream in the writes that it is sent with.
#[derive(Debug)]
pub(super) struct Stream {
    /// The head and the events before the first text.
    pub(super) opening: Vec<u8>,
    /// A chunk with text.
    pub(super) plain: Vec<u8>,
    /// A chunk with text and a stamp.
    pub(super) stamped: Stamped,
    /// The events behind the last text, and the end of the body.
    pub(super) closing: Vec<u8>,
}

/// A chunk with room for a stamp.
#[derive(Debug, Clone)]
pub(super) struct Stamped {
    bytes: Vec<u8>,
    at: usize,
}

// === impl Answers ===

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            openai: Provider::new(&shapes::OPENAI),
            anthropic: Provider::new(&shapes::ANTHROPIC),
            gemini: Provider::new(&shapes::GEMINI),
            embeddings: whole("200 OK", shapes::OPENAI.headers, &shapes::embeddings()),
            denied: whole("401 Unauthorized", shapes::OPENAI.headers, shapes::DENIED),
        }
    }

    /// The answer that isn't a stream.
    pub(super) fn whole(&self, endpoint: Endpoint) -> &[u8] {
        match endpoint {
            Endpoint::OpenAiChat => &self.openai.whole,
            Endpoint::Anthropic => &self.anthropic.whole,
            Endpoint::Gemini => &self.gemini.whole,
            Endpoint::OpenAiEmbeddings => &self.embeddings,
            Endpoint::Denied => &self.denied,
        }
    }

    /// The answer as a stream, for what has one.
    pub(super) fn stream(&self, endpoint: Endpoint) -> Option<&Stream> {
        match endpoint {
            Endpoint::OpenAiChat => Some(&self.openai.stream),
            Endpoint::Anthropic => Some(&self.anthropic.stream),
            Endpoint::Gemini => Some(&self.gemini.stream),
            Endpoint::OpenAiEmbeddings | Endpoint::Denied => None,
        }
    }
}

impl Provider {
    fn new(shape: &shapes::Shape) -> Self {
        Self { whole: whole("200 OK", shape.headers, shape.whole), stream: Stream::new(shape) }
    }
}

impl Stream {
    fn new(shape: &shapes::Shape) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n\
             transfer-encoding: chunked\r\n{}\r\n",
            shape.headers
        );
        let mut opening = head.into_bytes();
        if !shape.opening.is_empty() {
            opening.extend_from_slice(&framed(shape.opening));
        }
        let mut closing = framed(shape.closing);
        closing.extend_from_slice(b"0\r\n\r\n");
        let stamp = format!("~{}", "0".repeat(STAMP_DIGITS));
        let stamped = framed(&shape.chunk.replace('~', &stamp));
        let at = memchr::memchr(b'~', &stamped).map_or(0, |at| at + 1);
        Self { opening, plain: framed(shape.chunk), stamped: Stamped { bytes: stamped, at }, closing }
    }
}

fn whole(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// As one chunk of a body in chunks.
fn framed(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

// === impl Stamped ===

impl Stamped {
    /// Writes a time into it, in digits.
    pub(super) fn stamp(&mut self, mut nanos: u64) {
        let digits = self.bytes.get_mut(self.at..self.at + STAMP_DIGITS).unwrap_or_default();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(nanos % 10).unwrap_or(0);
            nanos /= 10;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fake::MARK;

    const SHAPES: [&shapes::Shape; 3] = [&shapes::OPENAI, &shapes::ANTHROPIC, &shapes::GEMINI];

    fn marks(text: &[u8]) -> usize {
        memchr::memchr_iter(MARK, text).count()
    }

    #[test]
    fn every_event_is_json_and_ends() {
        for shape in SHAPES {
            for part in [shape.opening, shape.chunk, shape.closing] {
                assert!(part.is_empty() || part.ends_with("\n\n") || part.ends_with("\n\r\n"), "{part}");
                let data = part.lines().filter_map(|line| line.strip_prefix("data: "));
                for data in data.filter(|data| *data != "[DONE]") {
                    serde_json::from_str::<Value>(data).unwrap_or_else(|error| panic!("{error} in {data}"));
                }
            }
            serde_json::from_str::<Value>(shape.whole).unwrap();
        }
        serde_json::from_str::<Value>(&shapes::embeddings()).unwrap();
        serde_json::from_str::<Value>(shapes::DENIED).unwrap();
    }

    #[test]
    fn texts_have_one_mark_and_nothing_else_has_any() {
        for shape in SHAPES {
            let stream = Stream::new(shape);
            assert_eq!(marks(&stream.plain), 1);
            assert_eq!(marks(stream.stamped.bytes()), 1);
            assert_eq!(marks(&stream.opening) + marks(&stream.closing), 0);
            assert_eq!(marks(shape.whole.as_bytes()), 1);
        }
        assert_eq!(marks(shapes::embeddings().as_bytes()), 0);
    }

    #[test]
    fn a_stamp_is_behind_the_mark_and_keeps_the_length() {
        let mut stamped = Stream::new(&shapes::OPENAI).stamped;
        let length = stamped.bytes().len();
        stamped.stamp(1_234_567_890);
        let text = String::from_utf8(stamped.bytes().to_vec()).unwrap();
        assert!(text.contains("~000001234567890\""), "{text}");
        assert_eq!(text.len(), length);
    }
}
