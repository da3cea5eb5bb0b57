//! How the way to a provider fails. None of these texts holds a URL, for a URL may hold a key.

use std::error::Error as _;
use std::time::Duration;

/// Why a provider's answer did not come, or not whole.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection.
    #[error("can't connect: {0}")]
    Connect(String),
    /// A connection, but no answer or half of one.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("no {waiting_for} within {:.1} s", .after.as_secs_f64())]
    Timeout {
        /// What was awaited.
        waiting_for: &'static str,
        /// For how long.
        after: Duration,
    },
    /// The same, but it was the caller who was in a hurry, or the operator who wants no stream to last longer.
    #[error("no {waiting_for} within {:.1} s", .after.as_secs_f64())]
    OutOfTime {
        /// What was awaited.
        waiting_for: &'static str,
        /// For how long.
        after: Duration,
    },
    /// More came than the gateway takes.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// Why a request could not be authenticated. None of these texts holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialError {
    /// The signer failed.
    #[error("the request can't be signed")]
    Unsigned,
    /// The token endpoint doesn't answer.
    #[error("the token endpoint: {0}")]
    Unreachable(UpstreamError),
    /// The token endpoint took longer than the call may.
    #[error("the token endpoint took too long")]
    Slow,
    /// The token endpoint gives no token for this key.
    #[error("the token endpoint answered {status}: {reason}")]
    Refused {
        /// Its status.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// The token endpoint said yes and gave no token.
    #[error("the token endpoint's answer holds no access token")]
    Malformed,
}

impl UpstreamError {
    pub(super) fn from_send(error: &reqwest::Error) -> Self {
        let cause = root_cause(error);
        if error.is_timeout() {
            Self::Connect("timed out".to_owned())
        } else if error.is_connect() {
            Self::Connect(cause)
        } else {
            Self::Broken(cause)
        }
    }

    pub(super) fn from_read(error: &reqwest::Error) -> Self {
        Self::Broken(root_cause(error))
    }
}

/// The innermost reason: the outer ones hold the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = "no reason given".to_owned();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}
