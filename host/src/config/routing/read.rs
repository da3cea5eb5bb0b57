//! All of it, in two steps: what deployments are read with, and what is read with the deployments at hand.

use super::super::report::Report;
use super::names::Names;
use super::settings::Settings;
use super::timeouts::DefaultTimeouts;
use super::{Checks, Cooldowns, Fallbacks, Hedging, Retries, Routing, StrategyArgs, StrategyKind};

/// What a deployment falls back on where it says nothing itself.
#[derive(Debug, Default)]
pub(in super::super) struct Defaults {
    pub(in super::super) timeouts: DefaultTimeouts,
    pub(super) cooldowns: Cooldowns,
    pub(super) max_parallel_requests: Option<u32>,
    pub(in super::super) model_successors: bool,
}

impl Defaults {
    pub(in super::super) fn read(settings: &Settings<'_>, report: &mut Report) -> Self {
        let limit = settings.get("default_max_parallel_requests");
        Self {
            timeouts: DefaultTimeouts::read(settings, report),
            cooldowns: Cooldowns::read(settings, report),
            max_parallel_requests: limit.and_then(|at| at.count_above_zero(report)),
            model_successors: settings.flag("model_successors", report).unwrap_or(false),
        }
    }
}

impl Routing {
    pub(in super::super) fn read(
        settings: &Settings<'_>,
        defaults: Defaults,
        names: &Names<'_>,
        report: &mut Report,
    ) -> Self {
        DefaultTimeouts::tell_unused(settings, names, report);
        let connect_timeout = settings.get("connect_timeout").and_then(|at| at.seconds(report));
        let mut flag = |key: &str| settings.flag(key, report).unwrap_or(false);
        let continues_streams = flag("enable_mid_stream_fallback_continuation");
        Self {
            strategy: StrategyKind::read(settings, report),
            strategy_args: StrategyArgs::read(settings, report),
            retries: Retries::read(settings, names, report),
            cooldowns: defaults.cooldowns,
            fallbacks: Fallbacks::read(settings, names, report),
            checks: Checks::read(settings, report),
            hedging: Hedging::read(settings, report),
            continues_streams,
            model_successors: defaults.model_successors,
            connect_timeout: connect_timeout.unwrap_or(Self::default().connect_timeout),
        }
    }
}
