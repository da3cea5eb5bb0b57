//! `ai-api plugin …`: what a plugin's author and whoever runs one needs.

mod build;
mod call;
mod check;
mod gate;
mod inspect;
mod lines;
mod new;
mod templates;
mod toolchain;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use super::fail;
use crate::app;
use crate::config::{Environment, PluginLimitsTable};
use crate::plugin::{LoadError, Plugin, Runtime};

/// What to do with a plugin. Each has a file of its own here.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write a project for a new plugin that builds at once
    New(new::New),
    /// Build a plugin's project, or make a plugin of a core module
    Build(build::Build),
    /// Say what a component is, what it asks for and what it gets
    Inspect(inspect::Inspect),
    /// Show what a plugin makes of one request, and of its provider's answer: without a network
    Call(call::CallOnce),
    /// Load a plugin as the gateway would and try it in every way; or compare it with another version
    Check(check::Check),
}

impl PluginCommand {
    /// Does it.
    pub(super) fn run(self, environment: &Environment) -> ExitCode {
        let done = match self {
            Self::New(new) => new.run(),
            Self::Build(build) => build.run(environment),
            Self::Inspect(inspect) => inspect.run(environment),
            Self::Call(call) => call.run(environment),
            Self::Check(check) => check.run(environment),
        };
        match done {
            Ok(code) => code,
            Err(error) if is_closed_pipe(&error) => ExitCode::FAILURE,
            Err(error) => fail(&error),
        }
    }
}

/// `ai-api plugin inspect … | head` has seen enough; there is nobody to tell anything.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(closed))
}

/// The engine that the gateway uses, with its cache. Nobody has to be protected from what a plugin does here, and who
/// tries one wants to see each of its failures: there is no quarantine.
fn engine(environment: &Environment) -> anyhow::Result<Runtime> {
    let limits = PluginLimitsTable::default().without_quarantine();
    Runtime::with_limits(app::cache_folder(environment), limits).map_err(|error| anyhow::anyhow!("{error:#}"))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("can't read {}", file.display()))
}

/// Loads a plugin as the gateway would.
async fn load(engine: &Runtime, file: &Path) -> Result<Plugin, LoadError> {
    let bytes = Plugin::read(engine, file).await?;
    Plugin::load(engine, &file.display().to_string(), &bytes).await
}

/// The same for replay: clocks stand still, so that the same gives the same.
async fn load_for_replay(engine: &Runtime, file: &Path) -> Result<Plugin, LoadError> {
    Ok(load(engine, file).await?.deterministic(engine))
}

/// `name=value`, once for each.
fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("give it as NAME=VALUE".to_owned()),
    }
}
