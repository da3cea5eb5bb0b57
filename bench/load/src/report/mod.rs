//! What was measured, for people and for programs.

mod bars;
mod document;
mod figure;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::machine::Machine;
use crate::measure::{Metric, Spread};
use crate::proxy::Target;
use crate::scenario::Kind;

/// What a quiet machine does beside all this: the kernel's own work, a clock's.
const QUIET: f64 = 0.05;

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// What is not as it should be.
    pub(crate) notes: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) errors: Vec<String>,
}

/// One scenario, through all targets.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) targets: BTreeMap<Target, BTreeMap<Metric, Spread>>,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    report: &'a Report,
    bars: Vec<bars::Verdict>,
}

// === impl Report ===

impl Report {
    pub(crate) fn new(machine: Machine, notes: Vec<String>) -> Self {
        Self { machine, notes, rows: Vec::new(), errors: Vec::new() }
    }

    /// Every figure, in nanoseconds, bytes, or what its name says.
    pub(crate) fn json(&self) -> Result<String> {
        let json = Json { report: self, bars: bars::verdicts(&self.rows) };
        Ok(format!("{}\n", serde_json::to_string_pretty(&json)?))
    }

    /// The tables.
    pub(crate) fn markdown(&self) -> String {
        let mut text = self.preamble();
        text.push_str(&tables::all(&self.rows));
        text.push_str(&bars::table(&bars::verdicts(&self.rows)));
        text
    }

    /// Puts the tables between the markers of a document.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        document::replace(file, &self.markdown())
    }

    /// The most that others used of a core, among the medians.
    fn others_busy(&self) -> Option<f64> {
        let figures = self.rows.iter().flat_map(|row| row.targets.values());
        figures.filter_map(|figures| Some(figures.get(&Metric::OthersBusy)?.median)).max_by(f64::total_cmp)
    }

    fn preamble(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "{}, {} cores, Linux {}. {} ({:.1} MB)",
            machine.processor,
            machine.cores,
            machine.kernel,
            machine.gateway,
            machine.gateway_bytes as f64 / 1_048_576.0
        );
        if let Some(commit) = &machine.commit {
            let _ = write!(text, ", commit {commit}");
        }
        let nginx = machine.nginx.as_deref().unwrap_or("no nginx");
        let pinned = if machine.pinned { "each proxy on one core" } else { "**nothing pinned**" };
        let (rounds, seconds) = (machine.rounds, machine.seconds);
        let plural = if rounds == 1 { "" } else { "s" };
        let _ = write!(
            text,
            "; {nginx}; {pinned}. {rounds} round{plural} of {seconds} s a turn; closed loops with {} connections, open \
             ones with {} calls/s; access logs {}.\n\n",
            machine.connections, machine.rate, machine.log
        );
        if let Some(share) = self.others_busy().filter(|share| *share > QUIET) {
            let _ = write!(
                text,
                "**The machine was not quiet**: others used up to {} % of a core in the median round of a scenario.\n\n",
                figure::number(Metric::OthersBusy, share)
            );
        }
        for note in &self.notes {
            let _ = write!(text, "{note}.\n\n");
        }
        text
    }
}
