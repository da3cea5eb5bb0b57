//! Reads the gateway's streams as strictly as the strictest client.

/// May stand once at the very beginning.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The `event:` field.
    pub name: Option<String>,
    /// The `data:` fields, joined with a line feed.
    pub data: String,
}

/// Splits bytes into events, however they come in.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    after_cr: bool,
    begun: bool,
}

impl Decoder {
    /// Takes bytes, gives the events that are complete now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        for byte in bytes {
            // `\r\n`, `\n` and `\r` all end a line.
            if !(self.after_cr && *byte == b'\n') {
                self.buffer.push(if *byte == b'\r' { b'\n' } else { *byte });
            }
            self.after_cr = *byte == b'\r';
        }
        let mut events = Vec::new();
        if !self.begun && self.buffer.len() >= BYTE_ORDER_MARK.len() {
            self.begun = true;
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.drain(..BYTE_ORDER_MARK.len());
            }
        }
        while let Some((block, length)) = first_block(&self.buffer) {
            let block = std::str::from_utf8(&self.buffer[..block]).expect("a stream is UTF-8").to_owned();
            self.buffer.drain(..length);
            events.extend(parse(&block));
        }
        events
    }

    /// What no empty line has ended.
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }
}

impl Event {
    /// All events of a whole stream.
    pub fn all(bytes: &[u8]) -> Vec<Event> {
        Decoder::default().push(bytes)
    }

    /// Whether this is the event that ends a stream.
    pub fn is_done(&self) -> bool {
        self.data == "[DONE]"
    }
}

/// The length of the first block without and with the empty line that ends it.
fn first_block(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut line_start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            if line_start == at {
                return Some((line_start, at + 1));
            }
            line_start = at + 1;
        }
    }
    None
}

fn parse(block: &str) -> Option<Event> {
    let mut name = None;
    let mut data: Vec<&str> = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = Some(value.to_owned()),
            "data" => data.push(value),
            // Comments, `id` and `retry` carry nothing for an OpenAI client.
            "" | "id" | "retry" => {}
            other => panic!("a stream has no field {other:?}: {block:?}"),
        }
    }
    (!data.is_empty()).then(|| Event { name, data: data.join("\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_at_once_and_byte_by_byte() {
        let stream =
            "\u{feff}data: a\n\n: comment\n\nevent: error\r\ndata: b\r\ndata: ü\r\n\r\ndata: [DONE]\r\r".as_bytes();
        let whole = Event::all(stream);
        assert_eq!(whole.len(), 3);
        assert_eq!((whole[1].name.as_deref(), whole[1].data.as_str()), (Some("error"), "b\nü"));
        assert!(whole[2].is_done());
        let mut decoder = Decoder::default();
        let single: Vec<Event> = stream.iter().flat_map(|byte| decoder.push(&[*byte])).collect();
        assert_eq!(single, whole);
        assert!(decoder.rest().is_empty());
    }
}
