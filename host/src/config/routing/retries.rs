//! `num_retries`, the policies of retries, their waits and their budget.

use std::collections::BTreeMap;

use super::super::report::Report;
use super::by_kind::RETRIES;
use super::names::Names;
use super::settings::{Settings, tell_unknown};
use super::{ByKind, Retries, RetryBudget};

impl Retries {
    pub(super) fn read(settings: &Settings<'_>, names: &Names<'_>, report: &mut Report) -> Self {
        let default = Self::default();
        let count = settings.get_of_either("num_retries").and_then(|at| at.count(report));
        let policy = settings.get_of_either("retry_policy").and_then(|at| ByKind::read(&at, RETRIES, report));
        let mut wait = |key: &str| settings.get(key).and_then(|at| at.seconds_or_none(report));
        let (min_wait, max_wait) = (wait("retry_after"), wait("max_wait"));
        Self {
            count: count.unwrap_or(default.count),
            policy: policy.unwrap_or_default(),
            group_policies: group_policies(settings, names, report),
            min_wait: min_wait.unwrap_or(default.min_wait),
            max_wait: max_wait.unwrap_or(default.max_wait),
            budget: RetryBudget::read(settings, default.budget, report),
        }
    }
}

fn group_policies(settings: &Settings<'_>, names: &Names<'_>, report: &mut Report) -> BTreeMap<String, ByKind> {
    let mut policies = BTreeMap::new();
    let Some(groups) = settings.map("model_group_retry_policy", report) else { return policies };
    for (group, at) in groups.entries().filter(|(_, at)| !at.node.is_none()) {
        names.tell_if_no_group(group, &at, report);
        if let Some(policy) = ByKind::read(&at, RETRIES, report) {
            policies.insert(group.to_owned(), policy);
        }
    }
    policies
}

impl RetryBudget {
    fn read(settings: &Settings<'_>, default: Self, report: &mut Report) -> Self {
        let Some(at) = settings.map("retry_budget", report) else { return default };
        tell_unknown(&at, ["percent", "min_per_second"].into_iter(), report);
        let percent = at.get("percent").and_then(|at| {
            const WHAT: &str = "a number from 0 to 100";
            let percent = at.number(WHAT, report)?;
            if (0.0..=100.0).contains(&percent) { Some(percent) } else { at.expected(WHAT, report) }
        });
        let min_per_second = at.get("min_per_second").and_then(|at| at.number_from_zero(report));
        Self {
            share: percent.map_or(default.share, |percent| percent / 100.0),
            min_per_second: min_per_second.unwrap_or(default.min_per_second),
        }
    }
}
