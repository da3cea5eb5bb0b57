//! One JSON document a line: <https://jsonlines.org>.

use bytes::BytesMut;
use memchr::memchr;

use super::decode::{StreamError, StreamEvent};

/// Splits bytes into lines. Empty lines are skipped.
#[derive(Debug)]
pub struct JsonLines {
    buffer: BytesMut,
    scanned: usize,
    max_line_bytes: usize,
}

impl JsonLines {
    /// A decoder at the beginning of a stream.
    pub fn new(max_line_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, max_line_bytes }
    }

    /// Takes the next bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line whose end is in.
    ///
    /// # Errors
    /// The line that is coming in is too long.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, StreamError> {
        while let Some(at) = memchr(b'\n', self.buffer.get(self.scanned..).unwrap_or_default()) {
            let raw = self.buffer.split_to(self.scanned + at + 1).freeze();
            self.scanned = 0;
            if let Some(event) = line(raw) {
                return Ok(Some(event));
            }
        }
        self.scanned = self.buffer.len();
        if self.buffer.len() > self.max_line_bytes {
            return Err(StreamError::TooLong { limit: self.max_line_bytes });
        }
        Ok(None)
    }

    /// The last line, if its end is missing.
    pub fn finish(&mut self) -> Option<StreamEvent> {
        self.scanned = 0;
        line(self.buffer.split().freeze())
    }
}

fn line(raw: bytes::Bytes) -> Option<StreamEvent> {
    let data = raw.slice_ref(raw.trim_ascii());
    (!data.is_empty()).then_some(StreamEvent { raw, name: None, data: Some(data) })
}
