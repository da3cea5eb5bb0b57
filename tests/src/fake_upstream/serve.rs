//! The server behind a [`FakeUpstream`](super::FakeUpstream): HTTP/1.1 by hand.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Received, State};
use crate::port::Port;
use crate::reply::{Framing, Reply, Step};

/// What is to become of the connection.
enum After {
    KeepOpen,
    Close,
    Reset,
}

/// Whether to serve from now on, and whom to tell when it is so.
pub(super) type Switch = (bool, oneshot::Sender<()>);

/// Serves while it is up; while it is down nothing listens at its port, and its connections are gone.
pub(super) async fn run(
    port: Port,
    first: StdListener,
    state: Arc<State>,
    mut switch: mpsc::UnboundedReceiver<Switch>,
) {
    let mut listener = Some(first);
    loop {
        let next = match listener.take() {
            None => switch.recv().await,
            Some(listener) => {
                let mut connections = JoinSet::new();
                let next = tokio::select! {
                    () = accept(listener, &state, &mut connections) => None,
                    next = switch.recv() => next,
                };
                connections.shutdown().await;
                next
            }
        };
        let Some((up, done)) = next else { return };
        listener = up.then(|| port.listen());
        let _ = done.send(());
    }
}

async fn accept(listener: StdListener, state: &Arc<State>, connections: &mut JoinSet<()>) {
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
    while let Ok((stream, _)) = listener.accept().await {
        state.counts.send_modify(|counts| counts.connections += 1);
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream, Arc::clone(state)));
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::new();
    while let Ok(Some(request)) = read_request(&mut stream, &mut buffer).await {
        let reply = (state.answer)(&request);
        state.received.lock().expect("no test panics inside").push(request);
        state.counts.send_modify(|counts| counts.requests += 1);
        let (mut reading, mut writing) = stream.split();
        let mut output = Output { writing: &mut writing, state: &state };
        let after = tokio::select! {
            after = write_reply(&mut output, &reply) => after.ok(),
            () = peer_gone(&mut reading, &mut buffer) => None,
        };
        if after.is_some() {
            state.counts.send_modify(|counts| counts.answered += 1);
        }
        match after {
            Some(After::KeepOpen) => {}
            Some(After::Close) => {
                let _ = writing.shutdown().await;
                drop(stream);
                state.counts.send_modify(|counts| counts.closed += 1);
                return;
            }
            Some(After::Reset) => {
                let _ = stream.set_zero_linger();
                drop(stream);
                state.counts.send_modify(|counts| counts.closed += 1);
                return;
            }
            None => {
                state.left.lock().expect("no test panics inside").push(Instant::now());
                state.counts.send_modify(|counts| counts.abandoned += 1);
                return;
            }
        }
    }
}

async fn peer_gone(reading: &mut ReadHalf<'_>, buffer: &mut BytesMut) {
    while matches!(reading.read_buf(buffer).await, Ok(count) if count > 0) {}
}

/// Counts what it writes.
struct Output<'a, 'b> {
    writing: &'a mut WriteHalf<'b>,
    state: &'a State,
}

impl Output<'_, '_> {
    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.writing.write(bytes).await?;
            self.state.counts.send_modify(|counts| counts.written += written);
            bytes.advance(written);
        }
        Ok(())
    }
}

async fn write_reply(writing: &mut Output<'_, '_>, reply: &Reply) -> io::Result<After> {
    for step in &reply.before_head {
        match step {
            Step::Send(bytes) => writing.write_all(bytes).await?,
            Step::Wait(gate) => gate.passed().await,
            Step::Stall => std::future::pending().await,
            Step::Pause(time) => tokio::time::sleep(*time).await,
            Step::Break => return Ok(After::Close),
            Step::Reset => return Ok(After::Reset),
        }
    }
    let mut pending = head(reply);
    for step in &reply.steps {
        match step {
            Step::Send(bytes) if reply.framing == Framing::Chunked => {
                pending.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
                pending.extend_from_slice(bytes);
                pending.extend_from_slice(b"\r\n");
            }
            Step::Send(bytes) => pending.extend_from_slice(bytes),
            Step::Wait(gate) => {
                writing.write_all(&pending.split()).await?;
                gate.passed().await;
            }
            Step::Stall => {
                writing.write_all(&pending.split()).await?;
                std::future::pending::<()>().await;
            }
            Step::Pause(time) => {
                writing.write_all(&pending.split()).await?;
                tokio::time::sleep(*time).await;
            }
            Step::Break => {
                writing.write_all(&pending).await?;
                return Ok(After::Close);
            }
            Step::Reset => {
                writing.write_all(&pending).await?;
                return Ok(After::Reset);
            }
        }
    }
    if reply.framing == Framing::Chunked {
        pending.extend_from_slice(b"0\r\n\r\n");
    }
    writing.write_all(&pending).await?;
    let close = reply.closes || reply.framing == Framing::UntilClose;
    Ok(if close { After::Close } else { After::KeepOpen })
}

fn head(reply: &Reply) -> BytesMut {
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length: usize = reply.steps.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 }).sum();
    // A body that is broken off is announced longer than it gets.
    let broken = usize::from(reply.steps.iter().any(|step| matches!(step, Step::Break | Step::Reset | Step::Stall)));
    match reply.framing {
        Framing::Length => head.push_str(&format!("content-length: {}\r\n", length + broken)),
        Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
        Framing::UntilClose => head.push_str("connection: close\r\n"),
    }
    head.push_str("\r\n");
    BytesMut::from(head.as_str())
}

async fn read_request(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<Received>> {
    let mut request = loop {
        if let Some(request) = parse_head(buffer) {
            break request;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    assert!(request.header("transfer-encoding").is_none(), "the gateway knows how long its requests are");
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer.split_to(length).freeze();
    Ok(Some(request))
}

fn parse_head(buffer: &mut BytesMut) -> Option<Received> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(buffer).expect("the gateway speaks HTTP") else { return None };
    let target = head.path.expect("a request has a target");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let received = Received {
        method: head.method.expect("a request has a method").to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: head.headers.iter().map(|header| (header.name.to_lowercase(), text(header.value))).collect(),
        body: Bytes::new(),
    };
    buffer.advance(length);
    Some(received)
}
