//! `ai-api plugin check NEW --against OLD`: recorded exchanges through both, and what differs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::paint::Paint;
use crate::plugin::Plugin;
use crate::record::Recording;
use crate::replay::Scene;
use crate::replay::diff::Difference;
use crate::replay::gate::{Comparison, Part, compare, dollars};

/// So many differences of one recording are printed.
const SHOWN: usize = 20;

/// Which differences make the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FailOn {
    /// Every difference
    Any,
    /// What goes to the provider, and what is told of losses
    Request,
    /// What the client gets
    Answer,
    /// What is accounted
    Usage,
    /// What it costs
    Cost,
    /// None: only show them
    None,
}

/// What two versions made of all recordings.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    files: usize,
    differing: BTreeMap<String, Vec<(Part, Difference)>>,
    cost: (f64, f64),
    /// Recordings of models without a known price, or without usage.
    unpriced: usize,
}

/// The recordings in `folders`, by file name, in order. A folder's own folders are not looked into.
pub(super) fn recordings(folders: &[PathBuf]) -> anyhow::Result<Vec<(String, Scene)>> {
    let mut files = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
        for entry in entries {
            files.push(entry.with_context(|| format!("can't read {}", folder.display()))?.path());
        }
    }
    files.retain(|file| {
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        file.extension().is_some_and(|extension| extension == "json") && !hidden
    });
    files.sort();
    files.iter().map(|file| scene(file)).collect()
}

fn scene(file: &Path) -> anyhow::Result<(String, Scene)> {
    let recording = Recording::read(file).and_then(|recording| Scene::of(&recording));
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((name, recording.with_context(|| file.display().to_string())?))
}

/// Plays every recording through both.
pub(super) async fn judge(old: &Plugin, new: &Plugin, scenes: &[(String, Scene)]) -> anyhow::Result<Verdict> {
    if scenes.is_empty() {
        bail!("there is no recording (*.json) to compare by; `ai-api record --into DIR` makes some");
    }
    let mut verdict = Verdict::default();
    for (name, scene) in scenes {
        let Comparison { differences, cost } = compare(old, new, scene).await;
        verdict.files += 1;
        match cost {
            Some((before, after)) => verdict.cost = (verdict.cost.0 + before, verdict.cost.1 + after),
            None => verdict.unpriced += 1,
        }
        if !differences.is_empty() {
            verdict.differing.entry(name.clone()).or_default().extend(differences);
        }
    }
    Ok(verdict)
}

impl Verdict {
    /// The exit code by policy.
    pub(super) fn code(&self, policy: FailOn) -> ExitCode {
        let part = match policy {
            FailOn::Any => None,
            FailOn::Request => Some(Part::Request),
            FailOn::Answer => Some(Part::Answer),
            FailOn::Usage => Some(Part::Usage),
            FailOn::Cost => Some(Part::Cost),
            FailOn::None => return ExitCode::SUCCESS,
        };
        let found = self.all().any(|(found, _)| part.is_none_or(|part| part == *found));
        if found { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn all(&self) -> impl Iterator<Item = &(Part, Difference)> {
        self.differing.values().flatten()
    }

    fn count(&self, part: Part) -> usize {
        self.all().filter(|(found, _)| *found == part).count()
    }

    pub(super) fn to_json(&self) -> Value {
        let differing: BTreeMap<&str, Value> = (self.differing.iter())
            .map(|(name, found)| {
                let list = found.iter().map(|(part, difference)| {
                    json!({"part": part.to_string(), "path": difference.path, "old": difference.old, "new": difference.new})
                });
                (name.as_str(), list.collect())
            })
            .collect();
        json!({
            "recordings": self.files,
            "differing": differing,
            "cost": {"old": dollars(self.cost.0), "new": dollars(self.cost.1), "unpriced": self.unpriced},
        })
    }

    pub(super) fn print(&self, out: &mut impl Write, paint: Paint) -> std::io::Result<()> {
        for (name, found) in &self.differing {
            for (_, difference) in found.iter().take(SHOWN) {
                writeln!(out, "{}  {difference}", paint.head(name))?;
            }
            if found.len() > SHOWN {
                writeln!(out, "{}  {} more differences", paint.head(name), found.len() - SHOWN)?;
            }
        }
        let differing = self.differing.len();
        let summary = format!("{} recordings, {differing} with differences", self.files);
        if differing == 0 {
            writeln!(out, "{}", paint.good(summary))?;
        } else {
            let parts = [Part::Request, Part::Answer, Part::Usage, Part::Cost];
            let counts: Vec<String> = parts.iter().map(|part| format!("{part} {}", self.count(*part))).collect();
            writeln!(out, "{} ({})", paint.bad(summary), counts.join(", "))?;
        }
        let of_unknown = match self.unpriced {
            0 => String::new(),
            count => format!(", without {count} of models or calls whose price is not known"),
        };
        let (before, after) = (dollars(self.cost.0), dollars(self.cost.1));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        writeln!(out, "cost: {} → {}{of_unknown}", text(&before), text(&after))
    }
}
