//! Accepts connections, and lets go of them when the process is asked to end.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Gateway;

/// A client that takes longer to send its headers holds a connection for nothing. The clock runs between two requests
/// as well, so it has to be longer than proxies keep idle connections: Traefik and Go 90 s, nginx 60 s.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// A new connection on which nothing comes is closed sooner.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open calls may go on once the process is asked to end. Kubernetes kills after 30 s by default.
const DRAIN: Duration = Duration::from_secs(25);
/// How long a connection without a call is left open then.
const IDLE_AT_THE_END: Duration = Duration::from_secs(1);
/// What a connection may hold of an answer that its client doesn't take. A full one stops reading from the provider.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// How an HTTP/2 connection begins: <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves until `stop` is through, then takes no new connection and waits for the calls that are open; when `stop` is
/// through once more, it waits no longer.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, mut stop: impl AsyncFnMut()) {
    let open = GracefulShutdown::new();
    let (close, closing) = watch::channel(false);
    let protocols = Arc::new(Protocols::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection =
                    Connection { gateway: gateway.clone(), protocols: protocols.clone(), closing: closing.clone() };
                tokio::spawn(connection.run(stream, open.watcher()));
            }
            // Out of file descriptors, mostly: give calls a moment to end instead of spinning.
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    gateway.health.drain();
    drop(listener);
    // Nobody listens where nobody is connected.
    let _ = close.send(true);
    tracing::info!("draining: no new connections, waiting for open calls");
    tokio::select! {
        () = open.shutdown() => {}
        () = stop() => tracing::warn!("asked again; ending with calls open"),
        () = tokio::time::sleep(DRAIN) => tracing::warn!("calls were still open after {DRAIN:?}; ending all the same"),
    }
}

/// How the two versions of HTTP are spoken.
struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    fn new() -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(SEND_BUFFER_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .max_concurrent_streams(1000)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(Some(Duration::from_secs(30)));
        Self { http1, http2 }
    }
}

/// What a connection needs.
struct Connection {
    gateway: Arc<Gateway>,
    protocols: Arc<Protocols>,
    /// Turns true when the process is asked to end.
    closing: watch::Receiver<bool>,
}

impl Connection {
    async fn run(mut self, stream: TcpStream, open: Watcher) {
        // Without it a small answer waits 40 ms for the client's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "can't switch Nagle's algorithm off");
        }
        let speaks_http2 = tokio::select! {
            seen = tokio::time::timeout(FIRST_BYTES_TIMEOUT, speaks_http2(&stream)) => seen,
            _ = self.closing.wait_for(|closing| *closing) => return,
        };
        let Ok(Some(speaks_http2)) = speaks_http2 else { return };
        let token = Arc::new(());
        let under_way = Arc::downgrade(&token);
        let gateway = self.gateway.clone();
        let service = service_fn(move |request| {
            let (gateway, token) = (gateway.clone(), token.clone());
            async move {
                // Boxed, for a connection keeps the room of its largest call, and an open stream needs none of it.
                let mut response = Box::pin(gateway.handle(request)).await;
                response.body_mut().hold(token);
                Ok::<_, Infallible>(response)
            }
        });
        let stream = TokioIo::new(stream);
        let serve = async {
            if speaks_http2 {
                open.watch(self.protocols.http2.serve_connection(stream, service)).await
            } else {
                open.watch(self.protocols.http1.serve_connection(stream, service)).await
            }
        };
        tokio::select! {
            ended = serve => if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            },
            () = idle_at_the_end(self.closing, &under_way) => {}
        }
    }
}

/// Through when the process is to end and no call is under way on a connection: half a request doesn't hold up the end.
async fn idle_at_the_end(mut closing: watch::Receiver<bool>, under_way: &Weak<()>) {
    // The sender lives as long as the server.
    let _ = closing.wait_for(|closing| *closing).await;
    loop {
        tokio::time::sleep(IDLE_AT_THE_END).await;
        // One is the service's own.
        if under_way.strong_count() <= 1 {
            return;
        }
    }
}

/// Looks at a connection's first bytes without taking them; `None` where none come any more.
async fn speaks_http2(stream: &TcpStream) -> Option<bool> {
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await.ok().filter(|seen| *seen > 0)?;
        let begins_alike = first.get(..seen) == HTTP2_PREFACE.get(..seen);
        if !begins_alike || seen == HTTP2_PREFACE.len() {
            return Some(begins_alike);
        }
        // A preface that comes in pieces: a look doesn't wait for more than it has seen before.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
