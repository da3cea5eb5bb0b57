//! One table for each kind of scenario.

use std::fmt::Write;

use super::Row;
use super::figure::{number, unit_name, with_range};
use crate::measure::Metric;
use crate::scenario::Kind;

struct Table {
    heading: &'static str,
    is_for: fn(Kind) -> bool,
    columns: &'static [Column],
}

struct Column {
    heading: &'static str,
    metric: Metric,
    /// Whether the least and the most of the rounds are shown too.
    range: bool,
}

const fn column(heading: &'static str, metric: Metric) -> Column {
    Column { heading, metric, range: false }
}

const fn ranged(heading: &'static str, metric: Metric) -> Column {
    Column { heading, metric, range: true }
}

const TABLES: [Table; 6] = [
    Table {
        heading: "Calls, closed loop",
        is_for: |kind| kind == Kind::Calls,
        columns: &[
            ranged("answers/s", Metric::AnswersPerSecond),
            ranged("of nginx's", Metric::AnswersRatio),
            ranged("CPU a call", Metric::CpuPerAnswer),
            ranged("of nginx's", Metric::CpuRatio),
            column("p50", Metric::LatencyP50),
            column("p99", Metric::LatencyP99),
            column("p99.9", Metric::LatencyP999),
            column("RSS peak", Metric::ResidentPeak),
            column("proxy busy", Metric::ProxyBusy),
            column("load busy", Metric::LoadBusy),
        ],
    },
    Table {
        heading: "Calls, open loop: beyond direct calls, and beyond nginx",
        is_for: |kind| kind == Kind::Rate,
        columns: &[
            column("p50", Metric::LatencyP50),
            column("p99", Metric::LatencyP99),
            ranged("added p50", Metric::AddedP50),
            ranged("added p99", Metric::AddedP99),
            ranged("added p99.9", Metric::AddedP999),
            ranged("p50 beyond nginx", Metric::BeyondNginxP50),
            ranged("p99 beyond nginx", Metric::BeyondNginxP99),
            column("CPU a call", Metric::CpuPerAnswer),
            column("answers/s", Metric::AnswersPerSecond),
        ],
    },
    Table {
        heading: "Streams without delay, closed loop",
        is_for: |kind| kind == Kind::Streams,
        columns: &[
            ranged("streams/s", Metric::AnswersPerSecond),
            ranged("of nginx's", Metric::AnswersRatio),
            ranged("CPU a stream", Metric::CpuPerAnswer),
            ranged("of nginx's", Metric::CpuRatio),
            column("CPU a chunk", Metric::CpuPerChunk),
            column("first text p50", Metric::FirstP50),
            column("first text p99", Metric::FirstP99),
            column("RSS peak", Metric::ResidentPeak),
            column("proxy busy", Metric::ProxyBusy),
            column("load busy", Metric::LoadBusy),
        ],
    },
    Table {
        heading: "Streams with a chunk every 20 ms: beyond direct ones",
        is_for: |kind| matches!(kind, Kind::Paced(_)),
        columns: &[
            column("first text p50", Metric::FirstP50),
            column("first text p99", Metric::FirstP99),
            ranged("added p50", Metric::AddedFirstP50),
            ranged("added p99", Metric::AddedFirstP99),
            column("lag of a chunk p50", Metric::LagP50),
            column("lag of a chunk p99", Metric::LagP99),
            ranged("added lag p50", Metric::AddedLagP50),
            ranged("added lag p99", Metric::AddedLagP99),
            ranged("CPU a chunk", Metric::CpuPerChunk),
            column("streams/s", Metric::AnswersPerSecond),
            column("proxy busy", Metric::ProxyBusy),
        ],
    },
    Table {
        heading: "Open streams with a chunk every two seconds",
        is_for: |kind| matches!(kind, Kind::Held(_)),
        columns: &[
            column("open", Metric::OpenStreams),
            column("RSS idle", Metric::ResidentIdle),
            column("RSS peak", Metric::ResidentPeak),
            column("RSS a stream", Metric::ResidentPerStream),
            column("lag of a chunk p50", Metric::LagP50),
            column("lag of a chunk p99", Metric::LagP99),
            column("CPU a chunk", Metric::CpuPerChunk),
            column("proxy busy", Metric::ProxyBusy),
        ],
    },
    Table {
        heading: "From exec to the first answer, on one core",
        is_for: |kind| kind == Kind::Start,
        columns: &[
            ranged("cold", Metric::ColdStart),
            ranged("warm", Metric::WarmStart),
            ranged("RSS idle", Metric::ResidentIdle),
        ],
    },
];

/// All tables that have rows.
pub(super) fn all(rows: &[Row]) -> String {
    let mut text = String::new();
    for table in &TABLES {
        let rows: Vec<&Row> = rows.iter().filter(|row| (table.is_for)(row.kind) && !row.targets.is_empty()).collect();
        if !rows.is_empty() {
            table.write(&mut text, &rows);
        }
    }
    text
}

// === impl Table ===

impl Table {
    fn write(&self, text: &mut String, rows: &[&Row]) {
        let _ = write!(text, "**{}**\n\n| | |", self.heading);
        for Column { heading, metric, .. } in self.columns {
            let unit = unit_name(*metric);
            let _ = if unit.is_empty() { write!(text, " {heading} |") } else { write!(text, " {heading}, {unit} |") };
        }
        let _ = writeln!(text, "\n| --- | --- |{}", " ---: |".repeat(self.columns.len()));
        for row in rows {
            for (index, (target, figures)) in row.targets.iter().enumerate() {
                let title = if index == 0 { row.title } else { "" };
                let _ = write!(text, "| {title} | {} |", target.title());
                for column in self.columns {
                    let cell = figures.get(&column.metric).map_or_else(String::new, |spread| match column.range {
                        true => with_range(column.metric, *spread),
                        false => number(column.metric, spread.median),
                    });
                    let _ = write!(text, " {cell} |");
                }
                text.push('\n');
            }
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::measure::Spread;
    use crate::proxy::Target;

    #[test]
    fn a_table_has_a_line_for_each_target_and_a_cell_for_each_column() {
        let figures = |median| BTreeMap::from([(Metric::WarmStart, Spread { median, min: median, max: median })]);
        let row = Row {
            scenario: "start",
            title: "start",
            kind: Kind::Start,
            targets: BTreeMap::from([(Target::Nginx, figures(5e6)), (Target::Gateway, figures(50e6))]),
        };

        let text = all(&[row]);

        let lines: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(
            lines,
            [
                "| | | cold, ms | warm, ms | RSS idle, MB |",
                "| --- | --- | ---: | ---: | ---: |",
                "| start | nginx |  | 5.00 |  |",
                "|  | AI-API |  | 50.0 |  |",
            ]
        );
    }
}
