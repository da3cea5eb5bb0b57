//! The way out: one client for all providers. Knows no provider's format, and is the only place that knows keys.

mod ambient;
mod aws;
mod credentials;
mod error;
mod google;
mod headers;
mod redact;
mod source;
mod target;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

pub use credentials::{Authenticator, NO_ADDRESS, NoCredential, Placement};
pub use error::{CredentialError, UpstreamError};
pub use headers::{BadHeader, guest_headers, visible_headers};
pub use redact::Redactor;
pub use source::Source;
pub use target::{BadPath, BadQuery, Base, guest_query, join};

use google::Accounts;
use target::push_query;

/// The client for all providers.
#[derive(Clone)]
pub struct Upstream {
    client: reqwest::Client,
    /// How long a connection may take to be made, TLS included.
    connect_timeout: Duration,
    /// Google's tokens outlive a configuration.
    accounts: Arc<Accounts>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstream")
    }
}

/// One request to a provider, complete with its credential. It has no `Debug`: its URL and headers may hold a key.
pub struct Outbound {
    /// The method.
    pub method: Method,
    /// Where to; may hold a key in its query, so it is never logged.
    pub url: Url,
    /// All headers but those of the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Upstream {
    /// Sets the client up. `connect_timeout`: how long a connection may take to be made, TLS included.
    ///
    /// # Errors
    /// The system's root certificates can't be used.
    pub fn new(connect_timeout: Duration) -> anyhow::Result<Self> {
        Ok(Self { client: client(connect_timeout)?, connect_timeout, accounts: Arc::default() })
    }

    /// The same with another limit; open connections stay with calls under way only.
    #[must_use]
    pub fn with_connect_timeout(&self, connect_timeout: Duration) -> Self {
        if connect_timeout == self.connect_timeout {
            return self.clone();
        }
        match client(connect_timeout) {
            Ok(client) => Self { client, connect_timeout, accounts: self.accounts.clone() },
            Err(error) => {
                tracing::warn!(%error, "connect_timeout stays as it was: no new client can be made");
                self.clone()
            }
        }
    }

    /// Sends a request and waits for the head of the answer, at most `timeout`.
    ///
    /// # Errors
    /// No head came.
    pub async fn send(&self, outbound: Outbound, timeout: Duration) -> Result<Source, UpstreamError> {
        let Outbound { method, url, mut headers, body } = outbound;
        // Compressed events would wait in the provider's compressor; what is compressed all the same is decoded.
        headers.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = self.client.request(method, url).headers(headers).body(body).send();
        match tokio::time::timeout(timeout, request).await {
            Ok(Ok(response)) => Ok(Source::new(response)),
            Ok(Err(error)) => Err(UpstreamError::from_send(&error)),
            Err(_) => Err(UpstreamError::Timeout { waiting_for: "answer", after: timeout }),
        }
    }
}

/// A client that follows nobody anywhere, and repeats nothing by itself.
///
/// # Errors
/// The system's root certificates can't be used.
pub(crate) fn client(connect_timeout: Duration) -> anyhow::Result<reqwest::Client> {
    // Somebody else in the process may have chosen a provider already; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .user_agent(concat!("ai-api/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the key to a host that the operator didn't name.
        .redirect(reqwest::redirect::Policy::none())
        // Retrying is the router's business, which knows what was already said to the client.
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(Duration::from_secs(90))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_adaptive_window(true)
        .build()?;
    Ok(client)
}
