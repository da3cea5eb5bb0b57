//! What an entry of `model_list` says of its own routing, completed by what the router says for all.

use super::super::at::At;
use super::super::budgets::allowance;
use super::super::models::{ModelTable, Prices};
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
    /// `provider` and `model` are for the table of prices.
    pub(in super::super) fn read(
        keys: &Keys<'_, '_>,
        (provider, model): (&str, &str),
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
            prices: prices(keys, provider, model, report),
            budget: allowance(keys.get("max_budget"), keys.get("budget_duration"), report),
            blocked,
        }
    }
}

/// Of a token of the prompt, and of one of the answer; one that nobody knows costs nothing, if the other is known.
fn prices(keys: &Keys<'_, '_>, provider: &str, model: &str, report: &mut Report) -> Option<(f64, f64)> {
    let mut own = |key: &str| keys.get_of_either(key).and_then(|at| at.number_from_zero(report));
    let (input, output) = (own("input_cost_per_token"), own("output_cost_per_token"));
    let base = keys.model_info.and_then(|info| info.get("base_model")).and_then(|at| at.text(report));
    let base = base.as_deref().unwrap_or(model);
    let base = base.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(base);
    let table: Option<Prices> = ModelTable::embedded().prices(provider, base);
    let input_or_table = input.or(table.map(|prices| prices.input));
    let output_or_table = output.or(table.map(|prices| prices.output));
    if input_or_table.is_none() && output_or_table.is_none() {
        return None;
    }
    Some((input_or_table.unwrap_or(0.0), output_or_table.unwrap_or(0.0)))
}
