//! Numbers for kinds of failures: `{RateLimitErrorRetries: 3}`, `{TimeoutErrorAllowedFails: 10}`.

use super::super::at::At;
use super::super::node::Value;
use super::super::report::Report;
use super::ByKind;
use super::settings::tell_unknown;

/// What LiteLLM's keys begin with.
const KINDS: [&str; 6] = [
    "AuthenticationError",
    "BadRequestError",
    "TimeoutError",
    "RateLimitError",
    "ContentPolicyViolationError",
    "InternalServerError",
];

/// What the keys of a retry policy end with.
pub(super) const RETRIES: &str = "Retries";

/// What the keys of an `allowed_fails_policy` end with.
pub(super) const ALLOWED_FAILS: &str = "AllowedFails";

impl ByKind {
    /// The map `at`, whose keys are those of LiteLLM with this ending.
    pub(super) fn read(at: &At<'_>, ending: &str, report: &mut Report) -> Option<Self> {
        if !matches!(at.node.value, Value::Map(_)) {
            return at.expected("a map", report);
        }
        let keys = KINDS.map(|kind| format!("{kind}{ending}"));
        tell_unknown(at, keys.iter().map(String::as_str), report);
        let [authentication, bad_request, timeout, rate_limit, content_policy, internal_server] =
            keys.each_ref().map(|key| at.get(key)?.count(report));
        Some(Self { authentication, bad_request, timeout, rate_limit, content_policy, internal_server })
    }
}
