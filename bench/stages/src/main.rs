//! `make instructions`: counts, compares with the committed file, and says what is to be done. With `--bench`
//! ahead, `make bench-stages`: times. One program for both, for linking it takes minutes.

mod timed;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use ai_api_bench_stages::counts::{Count, Counts, Kind, Tools, compare};
use ai_api_bench_stages::{callgrind, fuel};
use anyhow::Context;
use clap::{Parser, Subcommand};

/// Counts the instructions of each stage of a call.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Compares with a file.
    Check {
        /// The committed counts.
        file: PathBuf,
        /// Writes the file anew instead.
        #[arg(long)]
        accept: bool,
        /// What the plugins were compiled with.
        #[arg(long, default_value = "unknown")]
        guests: String,
        /// It is an error not to count the gateway's own stages.
        #[arg(long)]
        all: bool,
    },
    /// Runs every stage of the gateway: what valgrind is started with.
    #[command(name = STAGES, hide = true)]
    Stages,
}

const STAGES: &str = "stages";

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(timed::FLAG) {
        timed::main();
        return ExitCode::SUCCESS;
    }
    let done = match Arguments::parse().command {
        Task::Stages => callgrind::under_callgrind().map(|()| true),
        Task::Check { file, accept, guests, all } => check(&file, accept, guests, all),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "instructions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is as it was, or better.
fn check(file: &PathBuf, accept: bool, guests: String, all: bool) -> anyhow::Result<bool> {
    let committed = match fs::read_to_string(file) {
        Ok(text) => Counts::parse(&text).with_context(|| file.display().to_string())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && accept => Counts::default(),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", file.display())),
    };
    let mut now = Counts { tools: Tools { guests, host: host() }, all: plugins().context("the plugins")? };
    match callgrind::impossible() {
        Some(why) if all => anyhow::bail!("the gateway's own stages can't be counted: {why}"),
        Some(why) => say(&format!("the gateway's own stages are not counted: {why}\n")),
        None => now.all.extend(callgrind::count(STAGES)?),
    }
    let verdict = compare(&committed, &now);
    say(&verdict.text);
    if accept {
        let now = now.or(&committed, Kind::Host);
        fs::write(file, now.to_text()).with_context(|| format!("can't write {}", file.display()))?;
        say(&format!("written: {}", file.display()));
    }
    Ok(accept || verdict.passes)
}

/// Counts what the plugins do.
fn plugins() -> anyhow::Result<Vec<Count>> {
    // An error of wasmtime's is none of the standard library's.
    fuel::Guests::new().and_then(|guests| guests.count()).map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// What this binary was compiled with, as far as it is known.
fn host() -> String {
    let version =
        Command::new("rustc").arg("--version").output().ok().and_then(|out| String::from_utf8(out.stdout).ok());
    format!("{}, {}", version.unwrap_or_default().trim(), std::env::consts::ARCH)
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
