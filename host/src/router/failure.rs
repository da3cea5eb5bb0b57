//! How an attempt failed, as far as routing cares: whose fault it is, and what could cure it.

use std::time::Duration;

use crate::config::routing::{ByKind, Retries};

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
    /// 400, 422 and the like: the request is wrong.
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
    /// 409: two calls were in each other's way.
    Conflict,
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

/// A key of `retry_policy` and `allowed_fails_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyKey {
    Authentication,
    BadRequest,
    ContentPolicy,
    Timeout,
    RateLimit,
    InternalServer,
}

impl FailureKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::InvalidRequest,
        Self::TooLarge,
        Self::ContextWindow,
        Self::ContentPolicy,
        Self::Unsupported,
        Self::Authentication,
        Self::Permission,
        Self::Quota,
        Self::NotFound,
        Self::Conflict,
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
            Self::Conflict => "conflict",
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
            Self::Conflict
            | Self::Timeout
            | Self::RateLimited
            | Self::Overloaded
            | Self::Server
            | Self::Unreachable
            | Self::Malformed => Cure::Time,
        }
    }

    /// Whether it says something about the deployment: what a client did wrong, what two calls did to each other, or
    /// what the gateway lacks, never counts against one.
    pub fn counts(self) -> bool {
        !matches!(self.cure(), Cure::Nothing) && !matches!(self, Self::Conflict | Self::Unavailable)
    }

    /// How often a call may be retried after it: `own` where the client or the deployment says so, else the policy's
    /// number for such failures (the group's policy before the general one), else `num_retries`.
    pub fn retries(self, retries: &Retries, group: &str, own: Option<u32>) -> u32 {
        let policy = || retries.group_policies.get(group).and_then(|policy| self.of(policy));
        own.or_else(policy).or_else(|| self.of(&retries.policy)).unwrap_or(retries.count)
    }

    /// The number that a policy has for it.
    pub fn of(self, policy: &ByKind) -> Option<u32> {
        match self.policy()? {
            PolicyKey::Authentication => policy.authentication,
            PolicyKey::BadRequest => policy.bad_request,
            PolicyKey::ContentPolicy => policy.content_policy,
            PolicyKey::Timeout => policy.timeout,
            PolicyKey::RateLimit => policy.rate_limit,
            PolicyKey::InternalServer => policy.internal_server,
        }
    }

    /// The key that speaks of it in a policy.
    pub(super) fn policy(self) -> Option<PolicyKey> {
        Some(match self {
            Self::Authentication | Self::Permission => PolicyKey::Authentication,
            Self::InvalidRequest | Self::TooLarge | Self::ContextWindow | Self::Unsupported | Self::NotFound => {
                PolicyKey::BadRequest
            }
            Self::ContentPolicy => PolicyKey::ContentPolicy,
            Self::Timeout => PolicyKey::Timeout,
            Self::RateLimited | Self::Quota => PolicyKey::RateLimit,
            Self::Overloaded | Self::Server | Self::Unreachable | Self::Malformed => PolicyKey::InternalServer,
            Self::Conflict | Self::Unavailable => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kinds_number_is_its_place_in_the_list() {
        for (number, kind) in FailureKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number, "{kind:?}");
        }
    }

    #[test]
    fn nothing_that_a_client_did_counts() {
        let counting = FailureKind::ALL.into_iter().filter(|kind| kind.counts());
        assert!(counting.clone().all(|kind| kind.cure() != Cure::Nothing));
        assert_eq!(counting.count(), 10);
    }

    #[test]
    fn a_conflict_passes_and_is_nobodys_fault() {
        let kind = FailureKind::Conflict;
        assert_eq!((kind.cure(), kind.counts(), kind.name()), (Cure::Time, false, "conflict"));
        let retries = Retries { count: 3, ..Retries::default() };
        assert_eq!((kind.retries(&retries, "m", None), kind.of(&retries.policy)), (3, None));
    }
}
