//! The whole benchmark: scenarios, rounds and turns, in that order.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use tokio::runtime::Runtime;

use crate::cli::Options;
use crate::fake::Fake;
use crate::machine::{Machine, raise_open_files};
use crate::measure::{Run, compare, summarise};
use crate::proxy::{Setup, Target, core_count, find_nginx, pin};
use crate::report::{Report, Row};
use crate::scenario::{self, Kind, Scenario};
use crate::turn;

/// Files that are open beside those of streams: load and fake have two ends of each, and so has a proxy.
const SPARE_FILES: u64 = 500;

/// Runs what was asked for; fails if an answer was wrong.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let options = options.resolved();
    if options.list {
        for scenario in scenario::all() {
            println!("{:<24}{}", scenario.name, scenario.title);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut chosen = chosen(&options.only)?;
    let (cores, core) = (core_count(), gateway_core(&options)?);
    let open_files = raise_open_files();
    let notes: Vec<String> = chosen.iter_mut().filter_map(|scenario| fit(scenario, open_files)).collect();
    for note in &notes {
        eprintln!("bench: {note}");
    }
    if core.is_some() {
        pin(options.load_core)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fake = Fake::start(&runtime)?;
    let setup = setup(&options, &fake, core)?;
    let machine = Machine::here(&options, &setup, cores)?;
    let mut report = Report::new(machine, notes);
    for scenario in &chosen {
        let row = measure(&runtime, &options, &setup, &fake, scenario, &mut report.errors);
        report.rows.push(row);
    }
    let results = options.folder.join("results.json");
    fs::write(&results, report.json()?).with_context(|| format!("{} can't be written", results.display()))?;
    println!("{}", report.markdown());
    eprintln!("bench: all figures are in {}", results.display());
    if !report.errors.is_empty() {
        for error in &report.errors {
            eprintln!("bench: {error}");
        }
        eprintln!("bench: failed; the figures above count nothing");
        return Ok(ExitCode::FAILURE);
    }
    if let Some(file) = &options.write {
        report.write(file)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen(only: &[String]) -> Result<Vec<Scenario>> {
    let mut all = scenario::all();
    for wanted in only {
        ensure!(
            all.iter().any(|scenario| scenario.name.starts_with(wanted)),
            "no scenario begins with {wanted}; see --list"
        );
    }
    all.retain(|scenario| only.is_empty() || only.iter().any(|wanted| scenario.name.starts_with(wanted)));
    Ok(all)
}

/// Lessens streams that are held open to what may be open; what there is to say of it.
fn fit(scenario: &mut Scenario, open_files: u64) -> Option<String> {
    let Kind::Held(streams) = scenario.kind else { return None };
    let most = u32::try_from(open_files.saturating_sub(SPARE_FILES) / 2).unwrap_or(u32::MAX).max(1);
    (most < streams).then(|| {
        scenario.kind = Kind::Held(most);
        format!("{}: {most} streams, since no more than {open_files} files may be open here", scenario.name)
    })
}

/// The core that proxies are pinned to, unless nothing is.
fn gateway_core(options: &Options) -> Result<Option<usize>> {
    if options.unpinned {
        eprintln!(
            "bench: NOTHING IS PINNED. Load, fake and proxy get in each other's way; don't compare these figures."
        );
        return Ok(None);
    }
    if core_count() < 2 {
        bail!("this takes two cores: one for the proxy, one for load and fake (--unpinned runs it all the same)");
    }
    ensure!(options.gateway_core != options.load_core, "--gateway-core and --load-core have to be two cores");
    Ok(Some(options.gateway_core))
}

fn setup(options: &Options, fake: &Fake, core: Option<usize>) -> Result<Setup> {
    ensure!(
        options.binary.is_file(),
        "{} is missing: build it (make build), or name another with --binary",
        options.binary.display()
    );
    fs::create_dir_all(&options.folder).with_context(|| format!("{} can't be created", options.folder.display()))?;
    let nginx = if options.no_nginx { None } else { find_nginx() };
    if nginx.is_none() && !options.no_nginx {
        eprintln!(
            "bench: nginx is not here, so that there is nothing to compare with (on Debian: apt-get install nginx)"
        );
    }
    Ok(Setup {
        gateway: options.binary.canonicalize()?,
        nginx,
        folder: options.folder.canonicalize()?,
        core,
        log: options.log,
        fake: fake.address(),
    })
}

fn measure(
    runtime: &Runtime,
    options: &Options,
    setup: &Setup,
    fake: &Fake,
    scenario: &Scenario,
    errors: &mut Vec<String>,
) -> Row {
    // Memory hardly differs from round to round, and these take the longest.
    let rounds = if matches!(scenario.kind, Kind::Held(_)) { 1 } else { options.rounds };
    let mut runs: BTreeMap<Target, Vec<Run>> = BTreeMap::new();
    for round in 1..=rounds {
        eprintln!("bench: {} ({round} of {rounds})", scenario.name);
        let mut beside = BTreeMap::new();
        for target in Target::ALL {
            let context = || format!("{} through {}", scenario.name, target.title());
            match turn::take(runtime, options, setup, fake, scenario, target) {
                Ok(Some(turn)) => {
                    errors.extend(turn.errors.into_iter().map(|error| format!("{}: {error}", context())));
                    beside.insert(target, turn.run);
                }
                Ok(None) => {}
                // What else was measured is worth keeping, though the whole counts as failed.
                Err(error) => errors.push(format!("{}: {error:#}", context())),
            }
        }
        compare(&mut beside);
        for (target, run) in beside {
            runs.entry(target).or_default().push(run);
        }
    }
    let targets = runs.into_iter().map(|(target, runs)| (target, summarise(&runs))).collect();
    Row { scenario: scenario.name, title: scenario.title, kind: scenario.kind, targets }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_streams_are_as_many_as_files_may_be_open() {
        let named = |name: &str| chosen(&[name.to_owned()]).unwrap().remove(0);
        let mut scenario = named("held-10000-native");
        assert_eq!(fit(&mut scenario, 40_000), None);
        assert_eq!(scenario.kind, Kind::Held(10_000));
        assert!(fit(&mut scenario, 20_000).unwrap().contains("9750 streams"));
        assert_eq!(scenario.kind, Kind::Held(9750));
        assert_eq!(fit(&mut named("chat-native"), 10), None);
    }

    #[test]
    fn only_what_is_asked_for_is_measured() {
        let names = |only: &[&str]| -> Vec<_> {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            chosen(&only).unwrap().into_iter().map(|scenario| scenario.name).collect()
        };
        assert_eq!(names(&["start", "rate"]), ["rate-native", "rate-anthropic", "start"]);
        assert_eq!(names(&[]).len(), scenario::all().len());
        assert!(chosen(&["nothing".to_owned()]).is_err());
    }
}
