//! `ai-api plugin check`: the conformance suite, and the replay gate.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::gate::{self, FailOn};
use super::lines::Lines;
use crate::cli::paint::Paint;
use crate::config::Environment;
use crate::conformance::{self, CHECKS, Subject, Verdict};
use crate::plugin::LoadError;

/// What to check, and by what.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Check {
    /// The plugin [default: what `ai-api plugin build` leaves in this folder]
    #[arg(value_name = "FILE.wasm")]
    file: Option<PathBuf>,
    /// A folder of recorded exchanges, to be tried as well; may be given several times
    #[arg(long, value_name = "DIR")]
    recordings: Vec<PathBuf>,
    /// Another version: play the recordings through both and show what differs, and nothing else
    #[arg(long, value_name = "OLD.wasm", requires = "recordings")]
    against: Option<PathBuf>,
    /// Which differences from the other version are a failure
    #[arg(long, value_name = "WHAT", default_value = "any", requires = "against")]
    fail_on: FailOn,
    /// The provider's name of a model that the plugin translates [default: one by its manifest]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// A parameter of the deployment; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::parameter)]
    param: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Runs the checks; a failure where one fails.
    pub(in crate::cli) fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => built_in(Path::new("."))?,
        };
        let scenes = gate::recordings(&self.recordings)?;
        let lines = Lines::keep();
        let engine = super::engine(environment)?;
        let runtime = crate::cli::runtime()?;
        let mut out = std::io::stdout().lock();
        let paint = Paint::stdout(environment);
        if let Some(against) = &self.against {
            let verdict = runtime.block_on(async {
                let old = super::load_for_replay(&engine, against).await?;
                let new = super::load_for_replay(&engine, &file).await?;
                gate::judge(&old, &new, &scenes).await
            })?;
            if self.json {
                writeln!(out, "{:#}", verdict.to_json())?;
            } else {
                verdict.print(&mut out, paint)?;
            }
            return Ok(verdict.code(self.fail_on));
        }
        let results = runtime.block_on(async {
            let served = match super::load(&engine, &file).await {
                Ok(plugin) => plugin,
                // Nothing was learned of the plugin.
                Err(error @ LoadError::Read { .. }) => return Err(anyhow::Error::from(error)),
                Err(error) => return Ok(Err([vec![error.in_one_line()], lines.take()].concat())),
            };
            let subject = Subject {
                fresh: &served.without_reuse(&engine),
                plugin: &served.deterministic(&engine),
                served: &served,
                model: self.model.as_deref(),
                params: &self.param,
                recordings: &scenes,
            };
            let (mut results, mut hopeless) = (Vec::new(), false);
            for check in CHECKS {
                let verdict = if hopeless && check.needs_requests() {
                    Verdict::Skip("requests failed".to_owned())
                } else {
                    check.run(&subject).await
                };
                hopeless |= matches!(verdict, Verdict::Hopeless(_));
                results.push(Checked { check, verdict, log: lines.take() });
            }
            Ok(Ok(results))
        })?;
        if self.json {
            writeln!(out, "{:#}", to_json(&results))?;
        } else {
            print(&mut out, paint, &results)?;
        }
        let failed = results.map_or(true, |results| {
            results.iter().any(|it| matches!(it.verdict, Verdict::Fail(_) | Verdict::Hopeless(_)))
        });
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The plugin of the project in `dir`.
fn built_in(dir: &Path) -> anyhow::Result<PathBuf> {
    let name = super::build::file_name(dir)?;
    let file = dir.join(&name);
    if !file.is_file() {
        let name = name.display();
        bail!(
            "say which plugin: ai-api plugin check FILE.wasm (there is no {name} here, which `ai-api plugin build` makes)"
        );
    }
    Ok(file)
}

/// What each check came to, or why the plugin doesn't load.
type Results = Result<Vec<Checked>, Vec<String>>;

/// What a check came to.
struct Checked {
    check: &'static conformance::Check,
    verdict: Verdict,
    /// The first lines that the plugin wrote to its log meanwhile.
    log: Vec<String>,
}

/// So many sentences of one check are printed.
const SHOWN: usize = 3;

fn print(out: &mut impl Write, paint: Paint, results: &Results) -> std::io::Result<()> {
    let results = match results {
        Ok(results) => results,
        Err(reasons) => return report(out, paint, "loads", "the gateway would load it", reasons),
    };
    writeln!(out, "{}    {:15} the gateway would load it", paint.good("ok"), "loads")?;
    let (mut failed, mut skipped) = (0, 0);
    for Checked { check, verdict, log } in results {
        match verdict {
            Verdict::Ok(by) => {
                let by = by.as_ref().map_or_else(String::new, |by| format!(" ({by})"));
                writeln!(out, "{}    {:15} {}{by}", paint.good("ok"), check.name, check.promise)?;
            }
            Verdict::Skip(reason) => {
                skipped += 1;
                writeln!(out, "{}  {:15} {reason}", paint.dim("skip"), check.name)?;
            }
            Verdict::Fail(found) | Verdict::Hopeless(found) => {
                failed += 1;
                report(out, paint, check.name, check.promise, found)?;
                sentences(out, log)?;
            }
        }
    }
    writeln!(out, "{} checks, {failed} failed, {skipped} skipped", results.len() + 1)?;
    let without = |it: &Checked| it.check.name == conformance::RECORDINGS && matches!(it.verdict, Verdict::Skip(_));
    if results.iter().any(without) {
        writeln!(out, "no real answer was translated: give some with --recordings")?;
    }
    Ok(())
}

fn report(out: &mut impl Write, paint: Paint, name: &str, promise: &str, found: &[String]) -> std::io::Result<()> {
    writeln!(out, "{}  {name:15} not so: {promise}", paint.bad("FAIL"))?;
    sentences(out, found.get(..SHOWN).unwrap_or(found))?;
    match found.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "        … and {more} more"),
    }
}

/// Some of their words are the plugin's.
fn sentences(out: &mut impl Write, said: &[String]) -> std::io::Result<()> {
    said.iter().try_for_each(|sentence| {
        let shown: String = sentence.chars().take(400).map(|c| if c.is_control() { ' ' } else { c }).collect();
        writeln!(out, "        {shown}")
    })
}

fn to_json(results: &Results) -> Value {
    let entry = |name: &str, promise: &str, result: &str, said: &[String]| json!({"check": name, "promise": promise, "result": result, "said": said});
    let loads = "the gateway would load it";
    let checks: Vec<Value> = match results {
        Err(reasons) => vec![entry("loads", loads, "fail", reasons)],
        Ok(results) => std::iter::once(entry("loads", loads, "ok", &[]))
            .chain(results.iter().map(|Checked { check, verdict, .. }| match verdict {
                Verdict::Ok(by) => entry(check.name, check.promise, "ok", by.as_slice()),
                Verdict::Skip(reason) => entry(check.name, check.promise, "skip", std::slice::from_ref(reason)),
                Verdict::Fail(found) | Verdict::Hopeless(found) => entry(check.name, check.promise, "fail", found),
            }))
            .collect(),
    };
    json!({"checks": checks})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_plugin_is_taken_where_it_was_built() {
        let dir = std::env::temp_dir().join(format!("ai-api-check-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let name = format!("{}.wasm", dir.file_name().unwrap().display());
        assert!(built_in(&dir).unwrap_err().to_string().contains(&name));
        std::fs::write(dir.join(&name), "").unwrap();
        assert_eq!(built_in(&dir).unwrap(), dir.join(&name));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
