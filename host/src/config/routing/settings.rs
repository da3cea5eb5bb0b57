//! Where a setting of the router is looked for.

use super::super::at::At;
use super::super::known;
use super::super::report::{Report, Severity};

/// `router_settings`, and `litellm_settings` for what LiteLLM takes from there as well.
#[derive(Clone)]
pub(in super::super) struct Settings<'a> {
    router: Option<At<'a>>,
    litellm: Option<At<'a>>,
}

// === impl Settings ===

impl<'a> Settings<'a> {
    /// Those of a configuration. That both are maps is checked where all their keys are reviewed.
    pub(in super::super) fn of(root: &At<'a>) -> Self {
        Self { router: root.get("router_settings"), litellm: root.get("litellm_settings") }
    }

    /// A key of `router_settings`.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        self.router.as_ref()?.get(key)
    }

    /// A key of `litellm_settings`.
    pub(super) fn get_of_litellm(&self, key: &str) -> Option<At<'a>> {
        self.litellm.as_ref()?.get(key)
    }

    /// A key that may be in both; that of `router_settings` wins.
    pub(super) fn get_of_either(&self, key: &str) -> Option<At<'a>> {
        self.get(key).or_else(|| self.get_of_litellm(key))
    }

    /// A map of `router_settings`.
    pub(super) fn map(&self, key: &str, report: &mut Report) -> Option<At<'a>> {
        self.router.as_ref()?.map(key, report)
    }

    /// A boolean of `router_settings`.
    pub(super) fn flag(&self, key: &str, report: &mut Report) -> Option<bool> {
        self.get(key)?.flag(report)
    }
}

/// Tells of keys that a map shouldn't have.
pub(super) fn tell_unknown<'k>(map: &At<'_>, known: impl Iterator<Item = &'k str> + Clone, report: &mut Report) {
    for (key, at) in map.entries().filter(|(key, _)| known.clone().all(|known| known != *key)) {
        let hint = known::nearest(key, known.clone()).map(|near| format!("; did you mean `{near}`?"));
        let message = format!("unknown key{}", hint.unwrap_or_default());
        report.add(Severity::Ignored, at.place(), at.path.clone(), message);
    }
}
