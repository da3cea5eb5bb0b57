//! How long a deployment may take, where it doesn't say so itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::at::At;
use super::super::node::Value;
use super::super::report::Report;
use super::names::Names;
use super::settings::{Settings, tell_unknown};

/// LiteLLM waits 6000 s; no client does.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The keys of a group's timeouts.
const KEYS: [&str; 4] = ["timeout", "stream_timeout", "idle_timeout", "max_stream_duration"];

/// Timeouts of the router, of a group, or of a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in super::super) struct Timeouts {
    timeout: Option<Duration>,
    pub(in super::super) stream_timeout: Option<Duration>,
    pub(in super::super) idle_timeout: Option<Duration>,
    pub(in super::super) max_stream_duration: Option<Duration>,
}

/// The timeouts of all that don't say.
#[derive(Debug, Default)]
pub(in super::super) struct DefaultTimeouts {
    router: Timeouts,
    groups: BTreeMap<String, Timeouts>,
}

// === impl Timeouts ===

impl Timeouts {
    /// Those that `get` finds under the keys.
    pub(in super::super) fn read<'a>(get: impl Fn(&str) -> Option<At<'a>>, report: &mut Report) -> Self {
        let [timeout, stream_timeout, idle_timeout, max_stream_duration] = KEYS.map(|key| get(key)?.seconds(report));
        Self { timeout, stream_timeout, idle_timeout, max_stream_duration }
    }

    /// These, and those of `other` that are missing here.
    pub(in super::super) fn or(self, other: Self) -> Self {
        Self {
            timeout: self.timeout.or(other.timeout),
            stream_timeout: self.stream_timeout.or(other.stream_timeout),
            idle_timeout: self.idle_timeout.or(other.idle_timeout),
            max_stream_duration: self.max_stream_duration.or(other.max_stream_duration),
        }
    }

    /// That of an attempt, 600 s where nobody says.
    pub(in super::super) fn of_attempt(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }
}

// === impl DefaultTimeouts ===

impl DefaultTimeouts {
    pub(super) fn read(settings: &Settings<'_>, report: &mut Report) -> Self {
        let router = Timeouts::read(|key| settings.get(key), report);
        let litellm = |key: &str| match key {
            "timeout" => settings.get_of_litellm("request_timeout"),
            "stream_timeout" => settings.get_of_litellm(key),
            _ => None,
        };
        let router = router.or(Timeouts::read(litellm, report));
        Self { router, groups: groups(settings, report) }
    }

    /// What the group of this name says, else the router.
    pub(in super::super) fn of_group(&self, model_name: &str) -> Timeouts {
        self.groups.get(model_name).copied().unwrap_or_default().or(self.router)
    }

    /// Warns of groups that are not there.
    pub(super) fn tell_unused(settings: &Settings<'_>, names: &Names<'_>, report: &mut Report) {
        for (group, at) in settings.get("model_group_timeouts").iter().flat_map(At::entries) {
            names.tell_if_no_group(group, &at, report);
        }
    }
}

fn groups(settings: &Settings<'_>, report: &mut Report) -> BTreeMap<String, Timeouts> {
    let mut groups = BTreeMap::new();
    let Some(section) = settings.map("model_group_timeouts", report) else { return groups };
    for (group, at) in section.entries().filter(|(_, at)| !at.node.is_none()) {
        if !matches!(at.node.value, Value::Map(_)) {
            at.expected::<()>("a map", report);
        }
        tell_unknown(&at, KEYS.into_iter(), report);
        groups.insert(group.to_owned(), Timeouts::read(|key| at.get(key), report));
    }
    groups
}
