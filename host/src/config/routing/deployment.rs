//! What an entry of `model_list` says of its own routing, completed by what the router says for all.

use super::super::at::At;
use super::super::budgets::allowance;
use super::super::params::Params;
use super::super::report::Report;
use super::by_kind::ALLOWED_FAILS;
use super::read::Defaults;
use super::timeouts::Timeouts;
use super::{ByKind, DeploymentRouting};

/// Where an entry's keys are.
pub(in super::super) struct Keys<'e, 'a> {
    pub params: &'e Params<'a>,
    pub model_info: Option<&'e At<'a>>,
}

// === impl Keys ===

impl<'a> Keys<'_, 'a> {
    fn get(&self, key: &str) -> Option<At<'a>> {
        self.params.get(key)
    }

    /// A key that may be in `model_info` as well.
    fn get_of_either(&self, key: &str) -> Option<At<'a>> {
        self.get(key).or_else(|| self.model_info?.get(key))
    }
}

// === impl DeploymentRouting ===

impl DeploymentRouting {
    /// All but the prices, which are the deployment's.
    pub(in super::super) fn read(
        keys: &Keys<'_, '_>,
        timeouts: Timeouts,
        defaults: &Defaults,
        report: &mut Report,
    ) -> Self {
        let mut limit = |key: &str| keys.get(key).and_then(|at| at.whole_above_zero(report));
        let (rpm, tpm) = (limit("rpm"), limit("tpm"));
        let max_parallel_requests = keys.get("max_parallel_requests").and_then(|at| at.count_above_zero(report));
        let retries = keys.get("num_retries").or_else(|| keys.get("max_retries"));
        let time = keys.get_of_either("cooldown_time").and_then(|at| at.seconds_or_none(report));
        let places = [keys.get("blocked"), keys.model_info.and_then(|info| info.get("blocked"))];
        let blocked = places.iter().flatten().any(|at| at.flag(report).unwrap_or(false));
        let policy = keys.get_of_either("allowed_fails_policy");
        let policy = policy.and_then(|at| ByKind::read(&at, ALLOWED_FAILS, report));
        Self {
            rpm,
            tpm,
            order: keys.get("order").and_then(|at| at.integer(report)),
            tags: keys.get("tags").and_then(|at| at.texts(report)).unwrap_or_default(),
            max_parallel_requests: max_parallel_requests.or(defaults.max_parallel_requests),
            num_retries: retries.and_then(|at| at.count(report)),
            cooldown_time: Some(time.unwrap_or(defaults.cooldowns.time)),
            allowed_fails: keys.get_of_either("allowed_fails").and_then(|at| at.count(report)),
            allowed_fails_policy: policy.unwrap_or_default(),
            idle_timeout: timeouts.idle_timeout,
            max_stream_duration: timeouts.max_stream_duration,
            prices: None,
            budget: allowance(keys.get("max_budget"), keys.get("budget_duration"), report),
            blocked,
        }
    }
}
