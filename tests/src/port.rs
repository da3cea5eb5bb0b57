//! Ports that belong to a test, whether something listens there or not.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A fatal alert, `handshake_failure`: <https://www.rfc-editor.org/rfc/rfc8446#section-6>.
const TLS_ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];

/// A loopback port that nobody else gets. Connections to it are refused unless something listens.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    /// Bound, and never listening: who listens binds a second socket to the same address.
    _holder: Socket,
}

impl Port {
    /// Takes a free one.
    pub fn reserve() -> Self {
        let holder = bound(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a loopback port is free");
        let address = holder.local_addr().ok().and_then(|address| address.as_socket());
        Self { address: address.expect("a bound socket has an address"), _holder: holder }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections to it are being made, and hang.
    pub fn connecting(&self) -> usize {
        // The remote address and the state SYN_SENT: <https://docs.kernel.org/networking/proc_net_tcp.html>.
        let there = format!(" 0100007F:{:04X} 02 ", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").expect("these tests run on Linux");
        table.lines().filter(|line| line.contains(&there)).count()
    }

    /// Listens, without blocking, until the listener is dropped.
    pub fn listen(&self) -> StdListener {
        self.listen_with(1024)
    }

    /// The same with room for one connection more than `backlog` that nobody has accepted; a later one hangs.
    pub fn listen_with(&self, backlog: i32) -> StdListener {
        let listening = bound(self.address).and_then(|socket| {
            socket.listen(backlog)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        listening.expect("the port is ours, and nobody else listens there").into()
    }
}

/// With the option that lets a second socket have the address, as long as the first doesn't listen.
fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Something that takes connections and ends each TLS handshake with an alert.
#[derive(Debug)]
pub struct NoTls {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl NoTls {
    /// Starts it in the test's runtime.
    pub fn start() -> Self {
        let port = Port::reserve();
        let (address, listener) = (port.address(), port.listen());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let _port = port;
            let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut hello = [0; 4096];
                    let _ = stream.read(&mut hello).await;
                    let _ = stream.write_all(&TLS_ALERT).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, connections, task }
    }

    /// `https://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        format!("https://{}", self.address)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for NoTls {
    fn drop(&mut self) {
        self.task.abort();
    }
}
