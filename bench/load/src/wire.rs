//! HTTP/1.1 as both ends of the benchmark read it: heads with httparse, bodies by length or in chunks.
//!
//! Load and fake share a core, so they have to be lean: one buffer a connection, nothing allocated a call, and body
//! bytes are looked at where they arrived. No general client does that.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More headers than any of the parties sends.
const MAX_HEADERS: usize = 64;

/// Why a message could not be read.
#[derive(Debug, Error)]
pub(crate) enum WireError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// It ended within a message.
    #[error("the connection ended within a message")]
    Cut,
    /// A head that httparse refuses.
    #[error("a head that is none: {0}")]
    Head(#[from] httparse::Error),
    /// A head longer than the buffer.
    #[error("a head of more than {0} bytes")]
    LongHead(usize),
    /// Chunks that are none.
    #[error("a body in chunks that are none")]
    Chunks,
    /// A length that is no number.
    #[error("a content-length that is no number")]
    Length,
}

/// A connection and what was read of it but not used yet.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// What a head says of its message.
#[derive(Debug)]
pub(crate) struct Head<T> {
    /// What the caller took from it.
    pub(crate) value: T,
    /// How the body ends.
    pub(crate) body: Body,
    /// Whether the connection ends after the message.
    pub(crate) close: bool,
}

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// That many bytes.
    Length(u64),
    /// Chunks, and where in them the reader is.
    Chunked(Chunks),
}

/// Where a reader of chunks is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// In a line with a length; the digits so far, and whether they are over.
    Size(u64, bool),
    /// In data, with that many bytes to come.
    Data(u64),
    /// In the line end after data.
    Gap,
    /// In the trailer; how many bytes its current line has.
    Trailer(usize),
    /// Behind the last byte.
    Done,
}

// === impl Wire ===

impl Wire {
    /// A connection, with a buffer of that size.
    pub(crate) fn new(stream: TcpStream, buffer_bytes: usize) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; buffer_bytes], start: 0, end: 0 })
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads a request's head, or `None` where the connection ended between messages.
    pub(crate) async fn request<T>(
        &mut self,
        take: impl Fn(&httparse::Request<'_, '_>) -> T,
    ) -> Result<Option<Head<T>>, WireError> {
        self.head(|bytes| {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(bytes)?;
            Ok(match parsed {
                httparse::Status::Partial => None,
                httparse::Status::Complete(length) => Some((length, head(take(&request), request.headers)?)),
            })
        })
        .await
    }

    /// Reads an answer's head; its value is the status.
    pub(crate) async fn answer(&mut self) -> Result<Head<u16>, WireError> {
        let head = self.head(|bytes| {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(bytes)?;
            Ok(match parsed {
                httparse::Status::Partial => None,
                httparse::Status::Complete(length) => {
                    Some((length, head(response.code.unwrap_or_default(), response.headers)?))
                }
            })
        });
        head.await?.ok_or(WireError::Cut)
    }

    /// Hands the body's bytes to `sink` as they arrive.
    pub(crate) async fn body(&mut self, mut body: Body, mut sink: impl FnMut(&[u8])) -> Result<(), WireError> {
        loop {
            let taken = body.take(self.unread(), &mut sink)?;
            self.start += taken;
            if body.is_done() {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn head<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(usize, T)>, WireError>,
    ) -> Result<Option<T>, WireError> {
        loop {
            if self.start < self.end
                && let Some((length, head)) = parse(self.unread())?
            {
                self.start += length;
                return Ok(Some(head));
            }
            let between = self.start == self.end;
            match self.fill().await {
                Err(WireError::Cut) if between => return Ok(None),
                filled => filled?,
            }
        }
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        if room.is_empty() {
            return Err(WireError::LongHead(self.buffer.len()));
        }
        let read = self.stream.read(room).await?;
        self.end += read;
        if read == 0 { Err(WireError::Cut) } else { Ok(()) }
    }
}

fn head<T>(value: T, headers: &[httparse::Header<'_>]) -> Result<Head<T>, WireError> {
    let (mut body, mut close) = (Body::Length(0), false);
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
            body = Body::Length(length.ok_or(WireError::Length)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked(Chunks::Size(0, false));
        } else if header.name.eq_ignore_ascii_case("connection") {
            close = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Head { value, body, close })
}

// === impl Body ===

impl Body {
    /// Takes what of `input` belongs to the body and hands its data on; how many bytes that were.
    fn take(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, WireError> {
        match self {
            Self::Length(left) => {
                let taken = data(left, input, sink);
                Ok(taken)
            }
            Self::Chunked(chunks) => chunks.take(input, sink),
        }
    }

    fn is_done(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks::Done))
    }
}

/// Hands on up to `left` bytes, and counts them down.
fn data(left: &mut u64, input: &[u8], sink: &mut impl FnMut(&[u8])) -> usize {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let piece = input.get(..length).unwrap_or_default();
    if !piece.is_empty() {
        sink(piece);
    }
    *left -= length as u64;
    length
}

// === impl Chunks ===

impl Chunks {
    fn take(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, WireError> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            *self = match *self {
                Self::Done => break,
                Self::Data(mut left) => {
                    at += data(&mut left, input.get(at..).unwrap_or_default(), sink);
                    *self = if left == 0 { Self::Gap } else { Self::Data(left) };
                    continue;
                }
                Self::Size(size, over) => Self::size(size, over, byte)?,
                Self::Gap if byte == b'\n' => Self::Size(0, false),
                Self::Gap if byte == b'\r' => Self::Gap,
                Self::Gap => return Err(WireError::Chunks),
                Self::Trailer(0) if byte == b'\n' => Self::Done,
                Self::Trailer(_) if byte == b'\n' => Self::Trailer(0),
                Self::Trailer(length) if byte == b'\r' => Self::Trailer(length),
                Self::Trailer(length) => Self::Trailer(length + 1),
            };
            at += 1;
        }
        Ok(at)
    }

    fn size(size: u64, over: bool, byte: u8) -> Result<Self, WireError> {
        match (byte, char::from(byte).to_digit(16)) {
            (b'\n', _) if size == 0 => Ok(Self::Trailer(0)),
            (b'\n', _) => Ok(Self::Data(size)),
            (b'\r' | b';' | b' ', _) => Ok(Self::Size(size, true)),
            _ if over => Ok(Self::Size(size, true)),
            (_, Some(digit)) if size < 1 << 40 => Ok(Self::Size(size * 16 + u64::from(digit), false)),
            _ => Err(WireError::Chunks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] =
        b"5\r\nhello\r\n1c;name=value\r\n, these are chunks of a body\r\n0\r\nx-trailer: 1\r\n\r\nNEXT";

    #[test]
    fn chunks_give_the_same_body_wherever_they_are_cut() {
        for cut in 0..=CHUNKED.len() {
            let (first, second) = CHUNKED.split_at(cut);
            let (mut chunks, mut body) = (Chunks::Size(0, false), Vec::new());
            let mut sink = |piece: &[u8]| body.extend_from_slice(piece);
            let taken = chunks.take(first, &mut sink).unwrap() + chunks.take(second, &mut sink).unwrap();
            assert_eq!(chunks, Chunks::Done, "cut at {cut}");
            assert_eq!(body, b"hello, these are chunks of a body", "cut at {cut}");
            // What follows the body belongs to the next message.
            let unused = taken.min(CHUNKED.len());
            assert_eq!(&CHUNKED[unused..], b"NEXT", "cut at {cut}");
        }
    }

    #[test]
    fn chunks_that_are_none_are_an_error() {
        for wrong in [&b"zz\r\n"[..], b"2\r\nabX", b"fffffffffffffff\r\n"] {
            assert!(Chunks::Size(0, false).take(wrong, &mut |_| ()).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn a_body_of_a_length_ends_there() {
        let (mut body, mut taken) = (Body::Length(5), Vec::new());
        let used = body.take(b"helloNEXT", &mut |piece| taken.extend_from_slice(piece)).unwrap();
        assert_eq!((used, taken.as_slice(), body.is_done()), (5, &b"hello"[..], true));
    }

    #[test]
    fn a_head_says_how_its_body_ends() {
        let header = |name, value| httparse::Header { name, value };
        for (headers, body) in [
            (vec![header("Content-Length", b"12".as_slice())], Body::Length(12)),
            (vec![header("Transfer-Encoding", b"chunked")], Body::Chunked(Chunks::Size(0, false))),
            (vec![header("connection", b"keep-alive")], Body::Length(0)),
        ] {
            let head = head((), &headers).unwrap();
            assert_eq!((head.body, head.close), (body, false));
        }
        assert!(head((), &[header("connection", b"Close")]).unwrap().close);
        assert!(head((), &[header("content-length", b"-1")]).is_err());
    }
}
