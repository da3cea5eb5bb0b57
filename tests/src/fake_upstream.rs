//! A provider over real sockets: HTTP/1.1 by hand, so that it can answer wrongly in every way that a real one can.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use crate::eventually::within;
use crate::reply::{Framing, Reply, Step};

/// A server on a free loopback port that answers by script and remembers what it was asked.
///
/// It runs in a thread of its own, whatever the test's runtime does, and ends with its value.
#[derive(Debug)]
pub struct FakeUpstream {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`
    pub method: String,
    /// Without the query, still percent-encoded.
    pub path: String,
    /// Without the question mark; empty if there is none.
    pub query: String,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    connections: usize,
    requests: usize,
    abandoned: usize,
    answered: usize,
    closed: usize,
    written: usize,
}

type Answer = dyn Fn(&Received) -> Reply + Send + Sync;

struct State {
    answer: Box<Answer>,
    received: Mutex<Vec<Received>>,
    counts: watch::Sender<Counts>,
}

/// What is to become of the connection.
enum After {
    KeepOpen,
    Close,
}

// === impl FakeUpstream ===

impl FakeUpstream {
    /// Answers every request alike.
    pub fn replying(reply: Reply) -> Self {
        Self::answering(move |_| reply.clone())
    }

    /// Answers the first request with the first reply and so on; the last one stays.
    pub fn replying_in_turn(replies: Vec<Reply>) -> Self {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        Self::answering(move |_| {
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            replies[turn.min(replies.len() - 1)].clone()
        })
    }

    /// Answers as `answer` says.
    pub fn answering(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let state = Arc::new(State {
            answer: Box::new(answer),
            received: Mutex::default(),
            counts: watch::Sender::new(Counts::default()),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(async {
                tokio::select! {
                    () = accept(listener, serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.state.received.lock().expect("no test panics inside").clone()
    }

    /// The only request so far.
    pub fn request(&self) -> Received {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "expected one request, got {requests:#?}");
        requests.remove(0)
    }

    /// The latest request.
    pub fn last(&self) -> Received {
        self.requests().pop().expect("a request has come")
    }

    /// How many requests came.
    pub fn hits(&self) -> usize {
        self.state.counts.borrow().requests
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.state.counts.borrow().connections
    }

    /// How many bytes of answers left this server; some may still be in the kernel's buffers.
    pub fn written(&self) -> usize {
        self.state.counts.borrow().written
    }

    /// How many connections the gateway dropped while an answer was under way.
    pub fn abandoned(&self) -> usize {
        self.state.counts.borrow().abandoned
    }

    /// Waits until `count` requests have come.
    pub async fn asked(&self, count: usize) {
        self.wait("a request to the upstream", |counts| counts.requests >= count).await;
    }

    /// Waits until `count` answers have been sent to their last byte.
    pub async fn answered(&self, count: usize) {
        self.wait("the upstream to answer", |counts| counts.answered >= count).await;
    }

    /// Waits until the gateway has dropped `count` connections in the middle of an answer.
    pub async fn left_alone(&self, count: usize) {
        self.wait("the gateway to drop the upstream", |counts| counts.abandoned >= count).await;
    }

    /// Waits until this server has closed `count` connections by itself.
    pub async fn closed(&self, count: usize) {
        self.wait("the upstream to close", |counts| counts.closed >= count).await;
    }

    async fn wait(&self, what: &str, reached: impl Fn(&Counts) -> bool) {
        let mut counts = self.state.counts.subscribe();
        within(what, counts.wait_for(reached)).await.expect("the server lives as long as this value");
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("counts", &*self.counts.borrow()).finish_non_exhaustive()
    }
}

// === impl Received ===

impl Received {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("the upstream got no JSON: {error}: {}", String::from_utf8_lossy(&self.body))
        })
    }

    /// Everything, as one text to look for secrets in.
    pub fn text(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {}?{}\n{headers}\n{body}", self.method, self.path, self.query)
    }
}

// === serving ===

async fn accept(listener: StdListener, state: Arc<State>) {
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
    while let Ok((stream, _)) = listener.accept().await {
        state.counts.send_modify(|counts| counts.connections += 1);
        tokio::spawn(serve(stream, Arc::clone(&state)));
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
            None => {
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
            Step::Break => return Ok(After::Close),
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
            Step::Break => {
                writing.write_all(&pending).await?;
                return Ok(After::Close);
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
    let broken = usize::from(reply.steps.iter().any(|step| matches!(step, Step::Break | Step::Stall)));
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
