//! What the fake upstream answers, step by step.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// A door that a test opens when it has seen enough.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed one.
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Opens it, for good.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn passed(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// One step of an answer's body.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes; with [`Framing::Chunked`] as one chunk, so that the gateway reads them as one piece.
    Send(Bytes),
    /// Waits until the test opens the gate.
    Wait(Gate),
    /// Sends nothing any more and keeps the connection, until the gateway gives up.
    Stall,
    /// Lets time pass: for providers that are slow.
    Pause(Duration),
    /// Drops the connection: the body stays incomplete.
    Break,
    /// The same with a reset instead of an orderly end.
    Reset,
}

/// How the end of the body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `content-length`: the sum of all that is sent.
    Length,
    /// `transfer-encoding: chunked`.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// A scripted HTTP answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
    pub(crate) framing: Framing,
    pub(crate) before_head: Vec<Step>,
    pub(crate) closes: bool,
}

impl Reply {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            steps: Vec::new(),
            framing: Framing::Length,
            before_head: Vec::new(),
            closes: false,
        }
    }

    /// A JSON document.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::status(status).header("content-type", "application/json").send(body.to_string())
    }

    /// A stream of server-sent events, each piece one chunk on the wire.
    pub fn events<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> Self {
        let stream = Self::status(200).header("content-type", "text/event-stream").framing(Framing::Chunked);
        pieces.into_iter().fold(stream, |reply, piece| reply.send(piece.as_ref().to_vec()))
    }

    /// Accepts the call and says nothing at all.
    pub fn silence() -> Self {
        Self { before_head: vec![Step::Stall], ..Self::status(200) }
    }

    /// Accepts the call and drops the connection.
    pub fn hang_up() -> Self {
        Self { before_head: vec![Step::Break], ..Self::status(200) }
    }

    /// Accepts the call and resets the connection.
    pub fn reset() -> Self {
        Self { before_head: vec![Step::Reset], ..Self::status(200) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How the body's end is marked.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Sends bytes of the body.
    #[must_use]
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Send(Bytes::from(bytes.into())))
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds what another reply sends.
    #[must_use]
    pub fn then(mut self, other: Reply) -> Self {
        self.steps.extend(other.steps);
        self
    }

    /// Waits for `gate` before the status line.
    #[must_use]
    pub fn head_after(mut self, gate: &Gate) -> Self {
        self.before_head.push(Step::Wait(gate.clone()));
        self
    }

    /// Closes the connection after the answer, without having said so: a keep-alive that ran out.
    #[must_use]
    pub fn closing_quietly(mut self) -> Self {
        self.closes = true;
        self
    }
}
