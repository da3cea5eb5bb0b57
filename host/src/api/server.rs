//! Accepts connections, and lets go of them when the process is asked to end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::patience::{Calls, Patient};
use super::stalled::Streams;
use super::upload::Upload;
use super::{Gateway, Surplus};
use crate::admission::{Open, Shed, Standing};
use crate::config::ClientLimits;

/// A connection that is one too many has so long for its request, so long to take its answer, and is not kept.
const SURPLUS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may last at most, whatever it does: its headers, what is read on of its body, its answer.
const SURPLUS_LIFE: Duration = SURPLUS_TIMEOUT.saturating_mul(3);
/// How long open calls may go on once the process is asked to end. Kubernetes kills after 30 s by default.
const DRAIN: Duration = Duration::from_secs(25);
/// How long a connection without a call is left open then.
const IDLE_AT_THE_END: Duration = Duration::from_secs(1);
/// How long one of HTTP/2 without a call may say nothing then, a ping's answer included.
const SILENT_AT_THE_END: Duration = Duration::from_secs(5);
/// What a connection may hold of an answer that its client doesn't take. A full one stops reading from the provider.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// The most that a request's headers may come to, line of the request included. What is more is answered with a 431.
const HEADER_BYTES: usize = 32 << 10;
/// Calls at a time on one HTTP/2 connection. A proxy in front sends all of its clients' over a few.
const HTTP2_STREAMS: u32 = 1000;
/// Streams that a client may have reset before anybody looked at them ("rapid reset", CVE-2023-44487), and streams that
/// the server had to reset for the client's errors; more end the connection.
const HTTP2_RESETS: usize = 20;
const HTTP2_ERRORS: usize = 1024;
/// Where the system doesn't say how many files may be open.
const UNLIMITED_CONNECTIONS: usize = 1_000_000;
/// How an HTTP/2 connection begins: <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between two looks at half a preface.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop` is through, then takes no new connection and waits for the calls that are open; when `stop` is
/// through once more, it waits no longer.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, mut stop: impl AsyncFnMut()) {
    let default_max = half_of_the_files();
    let close = watch::Sender::new(false);
    let protocols = Arc::new(Protocols::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(connection) = Connection::of(&gateway, peer, default_max, &protocols, &close) else {
                    // Closed without a word: there are so many that a word is too much.
                    gateway.live.admission.refused(Shed::Connections);
                    continue;
                };
                tokio::spawn(connection.run(stream));
            }
            // Out of file descriptors, mostly: give calls a moment to end instead of spinning.
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    gateway.health.end();
    drop(listener);
    // Nobody listens where nobody is connected.
    let _ = close.send(true);
    tracing::info!("draining: no new connections, waiting for open calls");
    tokio::select! {
        // Every connection has a receiver.
        () = close.closed() => {}
        () = stop() => tracing::warn!("asked again; ending with calls open"),
        () = tokio::time::sleep(DRAIN) => tracing::warn!("calls were still open after {DRAIN:?}; ending all the same"),
    }
}

/// How the two versions of HTTP are spoken.
struct Protocols {
    http1: http1::Builder,
}

impl Protocols {
    fn new() -> Self {
        let mut http1 = http1::Builder::new();
        // `Patient` has the clock.
        http1.header_read_timeout(None).max_header_size(HEADER_BYTES).max_buf_size(SEND_BUFFER_BYTES);
        Self { http1 }
    }

    /// One for each connection, for it runs that connection's streams.
    fn http2(write_timeout: Duration) -> http2::Builder<Streams> {
        let mut http2 = http2::Builder::new(Streams { write_timeout });
        http2
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .max_concurrent_streams(HTTP2_STREAMS)
            .max_header_list_size(HEADER_BYTES as u32)
            .max_pending_accept_reset_streams(HTTP2_RESETS)
            .max_local_error_reset_streams(HTTP2_ERRORS)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(Some(Duration::from_secs(30)));
        http2
    }
}

/// What a connection needs.
struct Connection {
    gateway: Arc<Gateway>,
    protocols: Arc<Protocols>,
    /// As they were when it came.
    limits: ClientLimits,
    standing: Standing,
    /// Where it came from.
    peer: IpAddr,
    /// Counts it.
    open: Open,
    /// Turns true when the process is asked to end.
    closing: watch::Receiver<bool>,
}

impl Connection {
    /// One that `peer` has just opened, if there can be one more.
    fn of(
        gateway: &Arc<Gateway>,
        peer: SocketAddr,
        default_max: usize,
        protocols: &Arc<Protocols>,
        close: &watch::Sender<bool>,
    ) -> Option<Self> {
        let mut limits = gateway.live.state().pipeline.config.load.client;
        let max = limits.max_connections.unwrap_or(default_max);
        let (open, standing) = gateway.live.connections.open(peer.ip(), max, limits.max_connections_per_ip)?;
        if standing == Standing::Surplus {
            limits.header_timeout = limits.header_timeout.min(SURPLUS_TIMEOUT);
            limits.idle_timeout = limits.idle_timeout.min(SURPLUS_TIMEOUT);
            limits.write_timeout = limits.write_timeout.min(SURPLUS_TIMEOUT);
        }
        let (gateway, protocols, closing) = (gateway.clone(), protocols.clone(), close.subscribe());
        Some(Self { gateway, protocols, limits, standing, peer: peer.ip().to_canonical(), open, closing })
    }

    async fn run(self, stream: TcpStream) {
        let Self { gateway, protocols, limits, standing, peer, open, mut closing } = self;
        // Without it a small answer waits 40 ms for the client's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "can't switch Nagle's algorithm off");
        }
        let speaks_http2 = tokio::select! {
            seen = tokio::time::timeout(limits.header_timeout, speaks_http2(&stream)) => seen,
            _ = closing.wait_for(|closing| *closing) => return,
            () = open.has_to_go() => return gateway.live.admission.refused(Shed::Connections),
        };
        let Ok(Some(speaks_http2)) = speaks_http2 else { return };
        open.spoke();
        let calls = Arc::new(Calls::of(peer));
        let (under_way, listening) = (calls.clone(), calls.clone());
        // Of a connection that is one too many: HTTP/2 has no header that says so, but a frame.
        let answered = Arc::new(Notify::new());
        let first_answer = answered.clone();
        let stream = TokioIo::new(Patient::new(stream, limits, speaks_http2, &calls));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (gateway, call) = (gateway.clone(), calls.begin());
            let uploading = calls.clone();
            let surplus = (standing == Standing::Surplus).then(|| answered.clone());
            if surplus.is_some() {
                request.extensions_mut().insert(Surplus);
            }
            async move {
                // Boxed, for a connection keeps the room of its largest call, and an open stream needs none of it.
                let mut response = Box::pin(gateway.handle(Upload::of(request, uploading))).await;
                if let Some(answered) = surplus {
                    answered.notify_one();
                    if !speaks_http2 {
                        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                    }
                }
                response.body_mut().hold(call);
                Ok::<_, Infallible>(response)
            }
        });
        let mut ending = closing.clone();
        let no_more = async {
            tokio::select! {
                // The sender lives as long as the server.
                _ = ending.wait_for(|ending| *ending) => {}
                () = first_answer.notified(), if speaks_http2 => {}
            }
            // Before the farewell goes out, for its ping may be answered at once.
            listening.listen_anew();
        };
        let serve = async {
            if speaks_http2 {
                serve_until(Protocols::http2(limits.write_timeout).serve_connection(stream, service), no_more).await
            } else {
                serve_until(protocols.http1.serve_connection(stream, service), no_more).await
            }
        };
        tokio::select! {
            ended = serve => if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            },
            () = idle_at_the_end(closing, &under_way, speaks_http2) => {}
            () = tokio::time::sleep(SURPLUS_LIFE), if standing == Standing::Surplus => {}
        }
        drop(open);
    }
}

/// Serves a connection, and takes no further call on it once `no_more` is through.
async fn serve_until<C: GracefulConnection>(connection: C, no_more: impl Future<Output = ()>) -> C::Output {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = no_more => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Through when the process is to end and a connection has nothing to do any more: half a request doesn't hold up the end.
///
/// A call is over when the last of its answer is handed on, so what isn't written yet is waited for. With HTTP/2 it may
/// also wait for its stream's window, which only the connection knows: it ends by itself then, and only one whose client
/// is gone (it doesn't even answer the ping that comes with the farewell) is ended here.
async fn idle_at_the_end(mut closing: watch::Receiver<bool>, calls: &Calls, is_http2: bool) {
    // The sender lives as long as the server.
    let _ = closing.wait_for(|closing| *closing).await;
    loop {
        tokio::time::sleep(if is_http2 { SILENT_AT_THE_END } else { IDLE_AT_THE_END }).await;
        let is_waited_for = is_http2 && calls.were_heard();
        if !calls.are_under_way() && !calls.have_unwritten() && !calls.have_unwanted() && !is_waited_for {
            return;
        }
    }
}

/// Connections at a time where nobody says: each may have a call with a connection of its own to a provider.
fn half_of_the_files() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(UNLIMITED_CONNECTIONS);
    (files / 2).clamp(1, UNLIMITED_CONNECTIONS)
}

/// Looks at a connection's first bytes without taking them; `None` where none come any more.
async fn speaks_http2(stream: &TcpStream) -> Option<bool> {
    let mut first = [0; HTTP2_PREFACE.len()];
    let mut pause = Duration::from_millis(10);
    loop {
        let seen = stream.peek(&mut first).await.ok().filter(|seen| *seen > 0)?;
        let begins_alike = first.get(..seen) == HTTP2_PREFACE.get(..seen);
        if !begins_alike || seen == HTTP2_PREFACE.len() {
            return Some(begins_alike);
        }
        // A preface that comes in pieces: a look doesn't wait for more than it has seen before. Who stops in the middle
        // is looked at ever less often.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
