//! The providers: an HTTP/1.1 server that answers at once, with what was built at the start.
//!
//! It parses heads and counts body bytes, and nothing else: what it costs is taken from the load's core.

mod answers;
mod pace;
mod shapes;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;

use crate::wire::{Wire, WireError};
use answers::Answers;
use pace::Control;
pub(crate) use pace::Pace;

/// Chunks with text in a stream that isn't held open.
pub(crate) const CHUNKS: u64 = 64;
/// Stands once in every answer to a chat, and once in every chunk of a stream: what the load counts.
pub(crate) const MARK: u8 = b'~';
/// Digits behind a mark in a paced stream: when the chunk was written.
pub(crate) const STAMP_DIGITS: usize = 15;

const BUFFER_BYTES: usize = 16 * 1024;
/// Connections that may wait to be accepted: thousands are made within seconds.
const BACKLOG: u32 = 4096;

/// The running fake; it ends with the program.
#[derive(Debug)]
pub(crate) struct Fake {
    address: SocketAddr,
    control: Arc<Control>,
}

/// The providers and operations that the fake knows by their paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    OpenAiChat,
    OpenAiEmbeddings,
    Anthropic,
    Gemini,
    /// Answers with a 401, as a provider does to a wrong key.
    Denied,
}

// === impl Fake ===

impl Fake {
    /// Starts it in a runtime that the load runs in, too: a thread of its own would cost them two switches a call.
    /// It gets on whenever the runtime does.
    pub(crate) fn start(runtime: &Runtime) -> Result<Self> {
        let control = Arc::new(Control::default());
        let listener = runtime.block_on(async { listen() }).context("no port for the fake")?;
        let address = listener.local_addr()?;
        runtime.spawn(accept(listener, control.clone()));
        Ok(Self { address, control })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the answers to come are sent.
    pub(crate) fn set_pace(&self, pace: Pace) {
        self.control.set_pace(pace);
    }

    /// Ends the streams that are held open, each at its next chunk.
    pub(crate) fn finish(&self) {
        self.control.finish();
    }

    /// What it could not answer since the last time it was asked.
    pub(crate) fn complaint(&self) -> Option<String> {
        self.control.complaint()
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, control: Arc<Control>) {
    let answers = Arc::new(Answers::new());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (answers, control) = (answers.clone(), control.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &answers, &control).await {
                        // A client may leave whenever it likes; what it sends must be HTTP.
                        if !matches!(error, WireError::Io(_) | WireError::Cut) {
                            control.complain(&format!("a request that is none: {error}"));
                        }
                    }
                });
            }
            Err(error) => {
                control.complain(&format!("no more connections: {error}"));
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, answers: &Answers, control: &Control) -> Result<(), WireError> {
    let mut wire = Wire::new(stream, BUFFER_BYTES)?;
    while let Some(head) = wire.request(|request| Endpoint::of(request.path.unwrap_or_default())).await? {
        wire.body(head.body, |_| ()).await?;
        match head.value {
            Ok(endpoint) => answer(&mut wire, answers, control, endpoint).await?,
            Err(path) => {
                control.complain(&format!("a request to {path}, which no provider has"));
                wire.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await?;
            }
        }
        if head.close {
            break;
        }
    }
    Ok(())
}

async fn answer(wire: &mut Wire, answers: &Answers, control: &Control, endpoint: Endpoint) -> io::Result<()> {
    match control.pace() {
        Pace::Whole => wire.write(answers.whole(endpoint)).await,
        pace => match answers.stream(endpoint) {
            Some(stream) => pace::send(wire, stream, pace, control).await,
            None => wire.write(answers.whole(endpoint)).await,
        },
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// The path that clients of the provider send to.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::OpenAiChat => "/v1/chat/completions",
            Self::OpenAiEmbeddings => "/v1/embeddings",
            Self::Anthropic => "/v1/messages",
            Self::Gemini => "/v1beta/models/gemini-2.5-flash:generateContent",
            Self::Denied => "/v1/denied",
        }
    }

    fn of(path: &str) -> Result<Self, String> {
        let all = [Self::OpenAiChat, Self::OpenAiEmbeddings, Self::Anthropic, Self::Denied];
        let whole = path.split_once('?').map_or(path, |(path, _)| path);
        if let Some(found) = all.into_iter().find(|endpoint| endpoint.path() == whole) {
            return Ok(found);
        }
        match whole.rsplit_once(':') {
            Some((_, "generateContent" | "streamGenerateContent")) => Ok(Self::Gemini),
            _ => Err(whole.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_known_by_their_paths() {
        for (path, endpoint) in [
            ("/v1/chat/completions", Some(Endpoint::OpenAiChat)),
            ("/v1/messages?beta=true", Some(Endpoint::Anthropic)),
            ("/v1beta/models/m:streamGenerateContent?alt=sse", Some(Endpoint::Gemini)),
            ("/v1/models", None),
        ] {
            assert_eq!(Endpoint::of(path).ok(), endpoint, "{path}");
        }
    }
}
