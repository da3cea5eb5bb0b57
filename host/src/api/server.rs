//! Accepts connections, and lets go of them when the process is asked to end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};

use super::Gateway;

/// A client that takes longer to send its headers holds a connection for nothing. The clock runs between two requests
/// as well, so it has to be longer than proxies keep idle connections: Traefik and Go 90 s, nginx 60 s.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// A new connection on which nothing comes is closed sooner.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open calls may go on once the process is asked to end. Kubernetes kills after 30 s by default.
const DRAIN: Duration = Duration::from_secs(25);
/// What a connection may hold of an answer that its client doesn't take. A full one stops reading from the provider.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// How an HTTP/2 connection begins: <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves until `stop` is through, then takes no new connection and waits for the calls that are open; when `stop` is
/// through once more, it waits no longer.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, mut stop: impl AsyncFnMut()) {
    let open = GracefulShutdown::new();
    let protocols = Arc::new(Protocols::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, gateway.clone(), protocols.clone(), open.watcher()));
            }
            // Out of file descriptors, mostly: give calls a moment to end instead of spinning.
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
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

async fn connection(stream: TcpStream, gateway: Arc<Gateway>, protocols: Arc<Protocols>, open: Watcher) {
    // Without it a small answer waits 40 ms for the client's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "can't switch Nagle's algorithm off");
    }
    let Ok(Some(speaks_http2)) = tokio::time::timeout(FIRST_BYTES_TIMEOUT, speaks_http2(&stream)).await else { return };
    let service = service_fn(move |request| {
        let gateway = gateway.clone();
        async move { Ok::<_, Infallible>(gateway.handle(request).await) }
    });
    let stream = TokioIo::new(stream);
    let ended = if speaks_http2 {
        open.watch(protocols.http2.serve_connection(stream, service)).await
    } else {
        open.watch(protocols.http1.serve_connection(stream, service)).await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
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
