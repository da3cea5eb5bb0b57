//! How an attempt failed, as far as routing cares: whose fault it is, and what could cure it.

use std::time::Duration;

use crate::config::routing::ByKind;

/// How an attempt at a deployment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In which way.
    pub kind: FailureKind,
    /// The provider said when to come back.
    pub retry_after: Option<Duration>,
}

/// In which way an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// 400, 409, 422 and the like: the request is wrong.
    InvalidRequest,
    /// 413: the request is too large.
    TooLarge,
    /// The prompt doesn't fit the model.
    ContextWindow,
    /// The provider won't answer this.
    ContentPolicy,
    /// The deployment lacks what the request needs.
    Unsupported,
    /// 401: the deployment's key is wrong.
    Authentication,
    /// 403: the deployment's key may not.
    Permission,
    /// 402, `insufficient_quota`: the account is empty.
    Quota,
    /// 404: the provider has no such model.
    NotFound,
    /// 408, 504, or our own clock.
    Timeout,
    /// 429.
    RateLimited,
    /// 503, 529.
    Overloaded,
    /// 500 and the rest of its family.
    Server,
    /// No connection: refused, unknown name, TLS.
    Unreachable,
    /// An answer that is none: broken off, not JSON, empty.
    Malformed,
    /// The gateway itself couldn't ask: the plugin is busy or in quarantine, a key isn't set.
    Unavailable,
}

/// What could bring an answer after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Nothing but another request, or another model: a fallback.
    Nothing,
    /// Another deployment.
    AnotherDeployment,
    /// Another deployment, or the same one later.
    Time,
}

impl FailureKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::InvalidRequest,
        Self::TooLarge,
        Self::ContextWindow,
        Self::ContentPolicy,
        Self::Unsupported,
        Self::Authentication,
        Self::Permission,
        Self::Quota,
        Self::NotFound,
        Self::Timeout,
        Self::RateLimited,
        Self::Overloaded,
        Self::Server,
        Self::Unreachable,
        Self::Malformed,
        Self::Unavailable,
    ];

    /// The word for it in logs, metrics and headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::TooLarge => "too_large",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
            Self::Unsupported => "unsupported",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::Quota => "quota",
            Self::NotFound => "not_found",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Server => "server_error",
            Self::Unreachable => "unreachable",
            Self::Malformed => "malformed",
            Self::Unavailable => "unavailable",
        }
    }

    /// What could bring an answer.
    ///
    /// LiteLLM retries 401 and 403 where there is another deployment, never 404, and always 429, an empty account
    /// included.
    pub fn cure(self) -> Cure {
        match self {
            Self::InvalidRequest | Self::TooLarge | Self::ContextWindow | Self::ContentPolicy | Self::Unsupported => {
                Cure::Nothing
            }
            Self::Authentication | Self::Permission | Self::Quota | Self::NotFound | Self::Unavailable => {
                Cure::AnotherDeployment
            }
            Self::Timeout
            | Self::RateLimited
            | Self::Overloaded
            | Self::Server
            | Self::Unreachable
            | Self::Malformed => Cure::Time,
        }
    }

    /// Whether it says something about the deployment: what a client did wrong, or the gateway lacks, never counts
    /// against one.
    pub fn counts(self) -> bool {
        !matches!(self.cure(), Cure::Nothing) && self != Self::Unavailable
    }

    /// The number that a policy has for it.
    pub fn of(self, policy: &ByKind) -> Option<u32> {
        match self {
            Self::Authentication | Self::Permission => policy.authentication,
            Self::InvalidRequest | Self::TooLarge | Self::ContextWindow | Self::Unsupported | Self::NotFound => {
                policy.bad_request
            }
            Self::ContentPolicy => policy.content_policy,
            Self::Timeout => policy.timeout,
            Self::RateLimited | Self::Quota => policy.rate_limit,
            Self::Overloaded | Self::Server | Self::Unreachable | Self::Malformed => policy.internal_server,
            Self::Unavailable => None,
        }
    }
}
