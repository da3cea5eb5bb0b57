//! A provider's answer as it comes in.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, StatusCode};

use super::{Redactor, UpstreamError};

/// How long, and how much, is read after an answer's own end.
const READ_OUT: Duration = Duration::from_secs(5);
const MAX_READ_OUT_BYTES: usize = 64 << 10;

/// A provider's answer: the head is here, the rest is coming. Dropped, the connection is dropped.
#[derive(Debug)]
pub struct Source {
    response: reqwest::Response,
    redactor: Redactor,
    /// What was found while looking for more: the answer's end, or how it broke.
    ahead: Option<Result<Option<Bytes>, UpstreamError>>,
    /// The last piece was there before anybody waited for it, or came with others: looking for more is worth a turn.
    comes_in_bursts: bool,
}

impl Source {
    pub(super) fn new(response: reqwest::Response) -> Self {
        Self { response, redactor: Redactor::default(), ahead: None, comes_in_bursts: true }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Takes the headers out.
    pub fn take_headers(&mut self) -> HeaderMap {
        std::mem::take(self.response.headers_mut())
    }

    /// Puts them back.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        *self.response.headers_mut() = headers;
        self
    }

    /// The media type, lower case, without parameters.
    pub fn media_type(&self) -> String {
        let value = self.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.and_then(|value| value.split(';').next()).map(|kind| kind.trim().to_ascii_lowercase()).unwrap_or_default()
    }

    /// The next bytes; `None` at the answer's proper end.
    ///
    /// # Errors
    /// Nothing came for `patience`, or the connection broke.
    pub async fn chunk(&mut self, patience: Duration) -> Result<Option<Bytes>, UpstreamError> {
        if let Some(ahead) = self.ahead.take() {
            return ahead;
        }
        let mut waited = false;
        let mut next = pin!(self.response.chunk());
        let next = poll_fn(|context| {
            let polled = next.as_mut().poll(context);
            waited |= polled.is_pending();
            polled
        });
        let chunk = match tokio::time::timeout(patience, next).await {
            Ok(chunk) => chunk.map_err(|error| UpstreamError::from_read(&error)),
            Err(_) => Err(UpstreamError::Timeout { waiting_for: "more of the answer", after: patience }),
        };
        self.comes_in_bursts |= !waited;
        chunk
    }

    /// More bytes, where the connection has read them already; it doesn't wait for any.
    pub async fn at_hand(&mut self) -> Option<Bytes> {
        if self.ahead.is_some() || !self.comes_in_bursts {
            return None;
        }
        let mut next = pin!(self.response.chunk());
        let mut looked = false;
        let found = poll_fn(|context| match next.as_mut().poll(context) {
            Poll::Ready(found) => Poll::Ready(Some(found)),
            Poll::Pending if looked => Poll::Ready(None),
            // The connection is a task of its own and hands over one piece at a time: it gets its turn to hand over
            // the next. This task comes after those that are waiting, so that it takes nothing from them.
            Poll::Pending => {
                looked = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        });
        match found.await {
            Some(Ok(Some(bytes))) => return Some(bytes),
            Some(ended) => self.ahead = Some(ended.map_err(|error| UpstreamError::from_read(&error))),
            None => self.comes_in_bursts = false,
        }
        None
    }

    /// The whole body, at most `limit` bytes, within `patience`; without what is secret.
    ///
    /// # Errors
    /// It is larger, took longer, or the connection broke.
    pub async fn whole(&mut self, limit: usize, patience: Duration) -> Result<Bytes, UpstreamError> {
        let read = async {
            let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
            let Some(second) = self.next().await? else { return within(first, limit) };
            let mut all = BytesMut::with_capacity((first.len() + second.len()) * 2);
            all.extend_from_slice(&first);
            all.extend_from_slice(&second);
            while let Some(more) = self.next().await? {
                all.extend_from_slice(&more);
                if all.len() > limit {
                    return Err(UpstreamError::TooLarge { limit });
                }
            }
            within(all.freeze(), limit)
        };
        match tokio::time::timeout(patience, read).await {
            Ok(body) => body.map(|body| self.redactor.clean(body)),
            Err(_) => Err(UpstreamError::Timeout { waiting_for: "whole answer", after: patience }),
        }
    }

    /// Says what is secret about the call that this answers. Headers in which the provider echoes it are dropped.
    #[must_use]
    pub fn without(mut self, redactor: Redactor) -> Self {
        let headers = self.response.headers_mut();
        let echoes: Vec<HeaderName> = headers
            .iter()
            .filter(|(_, value)| redactor.finds(value.as_bytes()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in echoes {
            headers.remove(name);
        }
        Self { redactor, ..self }
    }

    /// Finds what of the answer nobody may see.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Reads what may still come after the answer's own end, so that the connection can serve another call.
    pub fn read_out(mut self) {
        if let Some(Ok(None)) = self.ahead {
            return;
        }
        // It is at its end already, mostly.
        if let Some(Ok(None)) = self.response.chunk().now_or_never() {
            return;
        }
        tokio::spawn(tokio::time::timeout(READ_OUT, async move {
            let mut left = MAX_READ_OUT_BYTES;
            while let Ok(Some(chunk)) = self.response.chunk().await {
                match left.checked_sub(chunk.len()) {
                    Some(less) => left = less,
                    None => break,
                }
            }
        }));
    }

    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        if let Some(ahead) = self.ahead.take() {
            return ahead;
        }
        self.response.chunk().await.map_err(|error| UpstreamError::from_read(&error))
    }
}

fn within(body: Bytes, limit: usize) -> Result<Bytes, UpstreamError> {
    if body.len() > limit { Err(UpstreamError::TooLarge { limit }) } else { Ok(body) }
}
