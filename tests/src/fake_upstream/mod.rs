//! A provider over real sockets: HTTP/1.1 by hand, so that it can answer wrongly in every way that a real one can.

mod serve;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::eventually::within;
use crate::port::Port;
use crate::reply::Reply;
use serve::Switch;

/// A server on a free loopback port that answers by script and remembers what it was asked.
///
/// It runs in a thread of its own, whatever the test's runtime does, and ends with its value.
#[derive(Debug)]
pub struct FakeUpstream {
    address: SocketAddr,
    state: Arc<State>,
    up: AtomicBool,
    switch: mpsc::UnboundedSender<Switch>,
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
    /// When the gateway dropped a connection in the middle of an answer.
    left: Mutex<Vec<Instant>>,
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
        let port = Port::reserve();
        let (address, listener) = (port.address(), port.listen());
        let state = Arc::new(State {
            answer: Box::new(answer),
            received: Mutex::default(),
            counts: watch::Sender::new(Counts::default()),
            left: Mutex::default(),
        });
        let (switch, switched) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(async {
                tokio::select! {
                    () = serve::run(port, listener, serving, switched) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, up: AtomicBool::new(true), switch, stop: Some(stop), thread: Some(thread) }
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

    /// When the gateway dropped connections in the middle of an answer, in order.
    pub fn left_at(&self) -> Vec<Instant> {
        self.state.left.lock().expect("no test panics inside").clone()
    }

    /// Whether it takes connections.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// Drops all connections; new ones are refused once this has returned.
    pub async fn go_down(&self) {
        self.turn(false).await;
    }

    /// Takes connections again.
    pub async fn come_back(&self) {
        self.turn(true).await;
    }

    async fn turn(&self, up: bool) {
        if self.up.swap(up, Ordering::SeqCst) != up {
            let (done, turned) = oneshot::channel();
            self.switch.send((up, done)).expect("the server lives as long as this value");
            within("the upstream to go down or come back", turned).await.expect("it does");
        }
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
