//! The bars that the project set itself, and whether they are met.

use std::fmt::Write;

use serde::Serialize;

use super::Row;
use super::figure::{number, unit_name, with_range};
use crate::measure::{Metric, Spread};
use crate::proxy::Target;

struct Bar {
    what: &'static str,
    scenario: &'static str,
    metric: Metric,
    /// In the metric's own unit: nanoseconds, bytes, multiples.
    bar: f64,
    stretch: f64,
}

const MS: f64 = 1e6;
const KB: f64 = 1024.0;
const MB: f64 = 1024.0 * KB;

const fn bar(what: &'static str, scenario: &'static str, metric: Metric, bar: f64, stretch: f64) -> Bar {
    Bar { what, scenario, metric, bar, stretch }
}

const BARS: [Bar; 13] = [
    bar("CPU a small chat, passed, of nginx's", "chat-native", Metric::CpuRatio, 3.0, 2.0),
    bar("CPU a small chat, translated, of nginx's", "chat-anthropic", Metric::CpuRatio, 4.0, 3.0),
    bar("answers/s, passed, of nginx's", "chat-native", Metric::AnswersRatio, 0.35, 0.5),
    bar("answers/s, translated, of nginx's", "chat-anthropic", Metric::AnswersRatio, 0.25, 0.35),
    bar("CPU a stream, passed, of nginx's", "stream-native", Metric::CpuRatio, 1.5, 1.0),
    bar("CPU a stream, translated, of nginx's", "stream-anthropic", Metric::CpuRatio, 2.0, 1.4),
    bar("CPU a 100 KB prompt, translated, of nginx's", "prompt-100k-anthropic", Metric::CpuRatio, 10.0, 6.0),
    bar("p50 beyond nginx, translated, open loop", "rate-anthropic", Metric::BeyondNginxP50, 0.15 * MS, 0.05 * MS),
    bar("p99 beyond nginx, translated, open loop", "rate-anthropic", Metric::BeyondNginxP99, 0.5 * MS, 0.2 * MS),
    bar("added p99 to the first text, 200 streams", "paced-anthropic", Metric::AddedFirstP99, MS, 0.3 * MS),
    bar("RSS idle", "start", Metric::ResidentIdle, 40.0 * MB, 20.0 * MB),
    bar(
        "RSS an open stream of 10,000, translated",
        "held-10000-anthropic",
        Metric::ResidentPerStream,
        100.0 * KB,
        60.0 * KB,
    ),
    bar("exec to first answer, warm", "start", Metric::WarmStart, 100.0 * MS, 30.0 * MS),
];

/// What became of a bar.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    what: &'static str,
    scenario: &'static str,
    metric: Metric,
    measured: Spread,
    bar: f64,
    stretch: f64,
    met: Met,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Met {
    No,
    Bar,
    Stretch,
}

/// Those whose scenario was measured.
pub(super) fn verdicts(rows: &[Row]) -> Vec<Verdict> {
    BARS.iter().filter_map(|bar| bar.verdict(rows)).collect()
}

/// As Markdown; nothing where there are none.
pub(super) fn table(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    if !verdicts.is_empty() {
        text.push_str("**Bars**\n\n| | measured | bar | stretch | met |\n| --- | ---: | ---: | ---: | --- |\n");
    }
    for verdict in verdicts {
        let (metric, unit) = (verdict.metric, unit_name(verdict.metric));
        let relation = if is_more_better(metric) { "≥" } else { "≤" };
        let met = match verdict.met {
            Met::No => "**no**",
            Met::Bar => "yes",
            Met::Stretch => "yes, the stretch too",
        };
        let _ = writeln!(
            text,
            "| {} | {} {unit} | {relation} {} {unit} | {relation} {} {unit} | {met} |",
            verdict.what,
            with_range(metric, verdict.measured),
            number(metric, verdict.bar),
            number(metric, verdict.stretch),
        );
    }
    text
}

fn is_more_better(metric: Metric) -> bool {
    matches!(metric, Metric::AnswersRatio | Metric::AnswersPerSecond)
}

// === impl Bar ===

impl Bar {
    fn verdict(&self, rows: &[Row]) -> Option<Verdict> {
        let row = rows.iter().find(|row| row.scenario == self.scenario)?;
        let measured = *row.targets.get(&Target::Gateway)?.get(&self.metric)?;
        let reaches = |wanted: f64| match is_more_better(self.metric) {
            true => measured.median >= wanted,
            false => measured.median <= wanted,
        };
        let met = match (reaches(self.bar), reaches(self.stretch)) {
            (_, true) => Met::Stretch,
            (true, false) => Met::Bar,
            (false, false) => Met::No,
        };
        let &Self { what, scenario, metric, bar, stretch } = self;
        Some(Verdict { what, scenario, metric, measured, bar, stretch, met })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::{self, Kind};

    fn row(scenario: &'static str, metric: Metric, median: f64) -> Row {
        let figures = BTreeMap::from([(metric, Spread { median, min: median, max: median })]);
        Row { scenario, title: "", kind: Kind::Calls, targets: BTreeMap::from([(Target::Gateway, figures)]) }
    }

    #[test]
    fn a_bar_is_met_from_the_side_that_is_better() {
        for (metric, median, met) in [
            (Metric::CpuRatio, 3.5, Met::No),
            (Metric::CpuRatio, 3.0, Met::Bar),
            (Metric::CpuRatio, 1.9, Met::Stretch),
            (Metric::AnswersRatio, 0.34, Met::No),
            (Metric::AnswersRatio, 0.4, Met::Bar),
            (Metric::AnswersRatio, 0.6, Met::Stretch),
        ] {
            let verdicts = verdicts(&[row("chat-native", metric, median)]);
            assert_eq!(verdicts.len(), 1);
            assert_eq!(verdicts[0].met, met, "{metric:?} {median}");
        }
    }

    #[test]
    fn every_bar_is_of_a_scenario_that_there_is() {
        let all = scenario::all();
        for bar in &BARS {
            assert!(all.iter().any(|scenario| scenario.name == bar.scenario), "{}", bar.scenario);
        }
    }
}
