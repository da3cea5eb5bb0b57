//! When failing deployments are left alone: `allowed_fails`, `allowed_fails_policy`, `cooldown_time`.

use super::super::report::Report;
use super::by_kind::ALLOWED_FAILS;
use super::settings::Settings;
use super::{ByKind, Cooldowns};

impl Cooldowns {
    pub(super) fn read(settings: &Settings<'_>, report: &mut Report) -> Self {
        let policy = settings.get("allowed_fails_policy").and_then(|at| ByKind::read(&at, ALLOWED_FAILS, report));
        let time = settings.get_of_either("cooldown_time").and_then(|at| at.seconds_or_none(report));
        Self {
            enabled: !settings.flag("disable_cooldowns", report).unwrap_or(false),
            allowed_fails: settings.get_of_either("allowed_fails").and_then(|at| at.count(report)),
            policy: policy.unwrap_or_default(),
            time: time.unwrap_or(Self::default().time),
        }
    }
}
