//! `routing_strategy` and `routing_strategy_args`.

use super::super::report::Report;
use super::settings::{Settings, tell_unknown};
use super::{StrategyArgs, StrategyKind};

/// LiteLLM's names, and ours.
const STRATEGIES: [(&str, StrategyKind); 7] = [
    ("simple-shuffle", StrategyKind::SimpleShuffle),
    ("least-busy", StrategyKind::LeastBusy),
    ("latency-based-routing", StrategyKind::Latency),
    ("usage-based-routing", StrategyKind::Usage),
    ("usage-based-routing-v2", StrategyKind::Usage),
    ("cost-based-routing", StrategyKind::Cost),
    ("power-of-two-choices", StrategyKind::PowerOfTwo),
];

impl StrategyKind {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        STRATEGIES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// One that isn't there is a warning: calls are served all the same, only by others.
    pub(super) fn read(settings: &Settings<'_>, report: &mut Report) -> Self {
        let Some(at) = settings.get("routing_strategy") else { return Self::default() };
        let Some(name) = at.text(report) else { return Self::default() };
        let found = STRATEGIES.iter().find(|(known, _)| *known == name.trim());
        found.map(|(_, strategy)| *strategy).unwrap_or_else(|| {
            let names = STRATEGIES.map(|(name, _)| name).join(", ");
            at.warn(
                format!(
                    "there is no strategy {}, so simple-shuffle is used; there are {names}",
                    at.node.shown("routing_strategy")
                ),
                report,
            );
            Self::default()
        })
    }
}

impl StrategyArgs {
    pub(super) fn read(settings: &Settings<'_>, report: &mut Report) -> Self {
        let default = Self::default();
        let Some(at) = settings.map("routing_strategy_args", report) else { return default };
        tell_unknown(&at, ["ttl", "lowest_latency_buffer"].into_iter(), report);
        let buffer = at.get("lowest_latency_buffer").and_then(|at| at.number_from_zero(report));
        Self {
            ttl: at.get("ttl").and_then(|at| at.seconds(report)).unwrap_or(default.ttl),
            lowest_latency_buffer: buffer.unwrap_or(default.lowest_latency_buffer),
        }
    }
}
