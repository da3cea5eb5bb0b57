//! HTTP/1.1 as both ends of the benchmark read it: heads with httparse, bodies by length or in chunks.
//!
//! Load and fake share a core, so they have to be lean: one buffer a connection, nothing allocated a call, and body
//! bytes are looked at where they arrived. No general client does that.

mod body;

use std::io;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) use body::{Body, Chunks};

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

#[cfg(test)]
mod tests {
    use super::*;

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
