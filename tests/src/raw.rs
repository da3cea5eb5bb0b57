//! A connection spoken by hand, for what no proper client would send.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually::within;

/// One TCP connection to a gateway.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// What came and was not given out yet.
    waiting: Vec<u8>,
}

impl Raw {
    /// Connects to `127.0.0.1:PORT`.
    pub async fn open(authority: &str) -> Self {
        let stream = within("a connection", TcpStream::connect(authority)).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        Self { stream, waiting: Vec::new() }
    }

    /// A request with a key and perhaps a JSON body, as it goes over the wire.
    pub fn request(method: &str, path: &str, key: &str, body: Option<&Value>) -> String {
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }

    /// Sends all of `bytes`.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within("to send", self.stream.write_all(bytes.as_ref())).await.expect("the gateway takes it");
    }

    /// Reads until `text` has come; gives everything up to its end. What follows it waits for the next call.
    pub async fn until(&mut self, text: &str) -> String {
        loop {
            let found = self.waiting.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = found {
                let before = self.waiting.drain(..at + text.len()).collect::<Vec<u8>>();
                return String::from_utf8_lossy(&before).into_owned();
            }
            let read = within(text, self.stream.read_buf(&mut self.waiting)).await.expect("the connection holds");
            assert!(read > 0, "closed before {text:?}: {}", String::from_utf8_lossy(&self.waiting));
        }
    }

    /// Sends as much of `bytes` as the gateway takes and reads all that it says until it closes.
    pub async fn send_and_read_to_end(mut self, bytes: impl AsRef<[u8]>) -> String {
        let (mut reading, mut writing) = self.stream.split();
        let send = async {
            // A gateway that refuses early doesn't read on.
            let _ = writing.write_all(bytes.as_ref()).await;
            std::future::pending::<()>().await
        };
        let read = async { while matches!(reading.read_buf(&mut self.waiting).await, Ok(count) if count > 0) {} };
        within("the gateway to close", async {
            tokio::select! {
                () = send => {}
                () = read => {}
            }
        })
        .await;
        String::from_utf8_lossy(&self.waiting).into_owned()
    }
}
