//! `ai-api plugin check`: the conformance suite, and the replay gate.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::gate::{self, FailOn};
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
            None => built_here()?,
        };
        let scenes = gate::recordings(&self.recordings)?;
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
                Err(error) => return Ok(Err(vec![error.in_one_line()])),
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
                results.push((check, verdict));
            }
            Ok(Ok(results))
        })?;
        if self.json {
            writeln!(out, "{:#}", to_json(&results))?;
        } else {
            print(&mut out, paint, &results)?;
        }
        let failed =
            results.map_or(true, |results| results.iter().any(|(_, verdict)| matches!(verdict, Verdict::Fail(_) | Verdict::Hopeless(_))));
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The plugin of the project that one is in.
fn built_here() -> anyhow::Result<PathBuf> {
    let name = super::build::file_name(Path::new("."))?;
    let file = PathBuf::from(&name);
    if !file.is_file() {
        let name = name.display();
        bail!("say which plugin: ai-api plugin check FILE.wasm (there is no {name} here, which `ai-api plugin build` makes)");
    }
    Ok(file)
}

/// What each check came to, or why the plugin doesn't load.
type Results = Result<Vec<(&'static conformance::Check, Verdict)>, Vec<String>>;

/// So many sentences of one check are printed.
const SHOWN: usize = 3;

fn print(out: &mut impl Write, paint: Paint, results: &Results) -> std::io::Result<()> {
    let results = match results {
        Ok(results) => results,
        Err(reasons) => return report(out, paint, "loads", "the gateway would load it", reasons),
    };
    writeln!(out, "{}    {:15} the gateway would load it", paint.good("ok"), "loads")?;
    let (mut failed, mut skipped) = (0, 0);
    for (check, verdict) in results {
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
            }
        }
    }
    writeln!(out, "{} checks, {failed} failed, {skipped} skipped", results.len() + 1)?;
    let without = |(check, verdict): &(&conformance::Check, Verdict)| {
        check.name == conformance::RECORDINGS && matches!(verdict, Verdict::Skip(_))
    };
    if results.iter().any(without) {
        writeln!(out, "no real answer was translated: give some with --recordings")?;
    }
    Ok(())
}

fn report(out: &mut impl Write, paint: Paint, name: &str, promise: &str, found: &[String]) -> std::io::Result<()> {
    writeln!(out, "{}  {name:15} not so: {promise}", paint.bad("FAIL"))?;
    for sentence in found.iter().take(SHOWN) {
        // Some of its words are the plugin's.
        let shown: String = sentence.chars().take(400).map(|c| if c.is_control() { ' ' } else { c }).collect();
        writeln!(out, "        {shown}")?;
    }
    match found.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "        … and {more} more"),
    }
}

fn to_json(results: &Results) -> Value {
    let entry = |name: &str, promise: &str, result: &str, said: &[String]| json!({"check": name, "promise": promise, "result": result, "said": said});
    let loads = "the gateway would load it";
    let checks: Vec<Value> = match results {
        Err(reasons) => vec![entry("loads", loads, "fail", reasons)],
        Ok(results) => std::iter::once(entry("loads", loads, "ok", &[]))
            .chain(results.iter().map(|(check, verdict)| match verdict {
                Verdict::Ok(by) => entry(check.name, check.promise, "ok", by.as_slice()),
                Verdict::Skip(reason) => entry(check.name, check.promise, "skip", std::slice::from_ref(reason)),
                Verdict::Fail(found) | Verdict::Hopeless(found) => entry(check.name, check.promise, "fail", found),
            }))
            .collect(),
    };
    json!({"checks": checks})
}
