//! Server-sent events, however their bytes were cut up on the way.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

use super::decode::{StreamError, StreamEvent};

/// Splits bytes into server-sent events.
///
/// Accepts `\n`, `\r\n` and `\r`, drops a leading byte order mark, and joins several `data:` lines with `\n`:
/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>. Bytes of an
/// unfinished event wait inside, at most `max_event_bytes`.
#[derive(Debug)]
pub struct SseDecoder {
    buffer: BytesMut,
    /// Everything before this is known to hold no end of an event.
    scanned: usize,
    /// Where the line begins in which `scanned` stands.
    line_start: usize,
    /// The last line ended with `\r`: a `\n` that follows belongs to it.
    after_cr: bool,
    begun: bool,
    max_event_bytes: usize,
}

impl SseDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new(max_event_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, line_start: 0, after_cr: false, begun: false, max_event_bytes }
    }

    /// Takes the next bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event whose end is in.
    ///
    /// # Errors
    /// The event that is coming in is too long; the decoder is spent afterwards.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, StreamError> {
        while let Some(end) = self.line_end() {
            let is_blank = end == self.line_start;
            self.after_cr = self.buffer.get(end) == Some(&b'\r');
            self.scanned = end + 1;
            // `\r\n` is one end of a line, wherever the network cut it.
            if self.after_cr && self.buffer.get(self.scanned) == Some(&b'\n') {
                self.scanned += 1;
                self.after_cr = false;
            }
            self.line_start = self.scanned;
            if is_blank {
                let raw = self.buffer.split_to(self.scanned).freeze();
                (self.scanned, self.line_start) = (0, 0);
                return Ok(Some(self.parse(raw)));
            }
        }
        if self.buffer.len() > self.max_event_bytes {
            return Err(StreamError::TooLong { limit: self.max_event_bytes });
        }
        Ok(None)
    }

    /// What is left when the stream is over: some servers leave out the last empty line.
    pub fn finish(&mut self) -> Option<StreamEvent> {
        let raw = self.buffer.split().freeze();
        let event = self.parse(raw);
        event.data.is_some().then_some(event)
    }

    /// Where the next line that is complete ends.
    fn line_end(&mut self) -> Option<usize> {
        if self.after_cr && self.buffer.get(self.scanned) == Some(&b'\n') {
            self.scanned += 1;
            self.line_start = self.scanned;
            self.after_cr = false;
        }
        let rest = self.buffer.get(self.scanned..).unwrap_or_default();
        match memchr2(b'\n', b'\r', rest) {
            Some(at) => Some(self.scanned + at),
            None => {
                if !rest.is_empty() {
                    self.after_cr = false;
                }
                self.scanned = self.buffer.len();
                None
            }
        }
    }

    fn parse(&mut self, raw: Bytes) -> StreamEvent {
        let mut rest = raw.clone();
        if !self.begun && rest.starts_with(b"\xef\xbb\xbf") {
            rest.advance(3);
        }
        self.begun = true;
        let mut event = StreamEvent { raw, name: None, data: None };
        let mut lines = Vec::new();
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', &rest).unwrap_or(rest.len());
            let line = rest.split_to(end);
            if !rest.is_empty() {
                rest.advance(1);
            }
            field(&mut event, &mut lines, &line);
        }
        event.data = match lines.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            several => Some(several.join(&b'\n').into()),
        };
        event
    }
}

fn field(event: &mut StreamEvent, data: &mut Vec<Bytes>, line: &Bytes) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let mut value = line.slice((colon + 1).min(line.len())..);
    if value.first() == Some(&b' ') {
        value.advance(1);
    }
    match line.get(..colon) {
        Some(b"data") => data.push(value),
        Some(b"event") => event.name = std::str::from_utf8(&value).ok().map(str::to_owned),
        // Comments begin with a colon; `id` and `retry` mean nothing between a provider and a gateway.
        _ => {}
    }
}
