//! What is looked at before a deployment is called, and when a second one is called beside it.

use std::time::Duration;

use super::super::node::Value;
use super::super::report::Report;
use super::settings::{Settings, tell_unknown};
use super::{Checks, Hedging, TagMatch};

/// The one of `optional_pre_call_checks` that there is.
const RATE_LIMITS: &str = "enforce_model_rate_limits";

impl Checks {
    pub(super) fn read(settings: &Settings<'_>, report: &mut Report) -> Self {
        let tags = settings.flag("enable_tag_filtering", report).unwrap_or(false);
        let any = settings.flag("tag_filtering_match_any", report).unwrap_or(true);
        Self {
            before_calls: settings.flag("enable_pre_call_checks", report).unwrap_or(false),
            rate_limits: optional(settings, report),
            tags: tags.then_some(if any { TagMatch::Any } else { TagMatch::All }),
        }
    }
}

/// Whether `enforce_model_rate_limits` is asked for; each other check is a warning, since it may be there to stop something.
fn optional(settings: &Settings<'_>, report: &mut Report) -> bool {
    let Some(list) = settings.get("optional_pre_call_checks") else { return false };
    let names: Vec<_> = match list.node.value {
        Value::List(_) => list.items().filter(|at| !at.node.is_none()).collect(),
        _ => vec![list],
    };
    let mut rate_limits = false;
    for at in names {
        match at.text(report) {
            Some(name) if name.trim() == RATE_LIMITS => rate_limits = true,
            Some(_) => {
                let name = at.node.shown("optional_pre_call_checks");
                at.warn(format!("not applied: there is no check {name}, only {RATE_LIMITS}"), report);
            }
            None => {}
        }
    }
    rate_limits
}

impl Hedging {
    /// `true` is a map without keys.
    pub(super) fn read(settings: &Settings<'_>, report: &mut Report) -> Option<Self> {
        const DEFAULT: Hedging = Hedging { quantile: 0.95, min_delay: Duration::from_millis(50) };
        let at = settings.get("hedging")?;
        if !matches!(at.node.value, Value::Map(_)) {
            return match at.node.value {
                Value::List(_) => at.expected("true, false, or {quantile: …, min_delay: …}", report),
                _ => at.flag(report)?.then_some(DEFAULT),
            };
        }
        tell_unknown(&at, ["quantile", "min_delay"].into_iter(), report);
        let quantile = at.get("quantile").and_then(|at| {
            const WHAT: &str = "a number between 0 and 1";
            let quantile = at.number(WHAT, report)?;
            if quantile > 0.0 && quantile < 1.0 { Some(quantile) } else { at.expected(WHAT, report) }
        });
        let min_delay = at.get("min_delay").and_then(|at| at.seconds_or_none(report));
        Some(Self { quantile: quantile.unwrap_or(DEFAULT.quantile), min_delay: min_delay.unwrap_or(DEFAULT.min_delay) })
    }
}
