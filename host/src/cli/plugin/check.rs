//! `ai-api plugin check`: the conformance suite, and the replay gate.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::gate::{self, FailOn};
use crate::cli::paint::Paint;
use crate::config::Environment;

/// What to check, and by what.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Check {
    /// The plugin
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
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
        let scenes = gate::recordings(&self.recordings)?;
        let engine = super::engine(environment)?;
        let bytes = super::read(&self.file)?;
        let mut out = std::io::stdout().lock();
        let paint = Paint::stdout(environment);
        let runtime = crate::cli::runtime()?;
        if let Some(against) = &self.against {
            let old_bytes = super::read(against)?;
            let verdict = runtime.block_on(async {
                let old = super::load(&engine, against, &old_bytes).await?;
                let new = super::load(&engine, &self.file, &bytes).await?;
                gate::judge(&old, &new, &scenes).await
            })?;
            if self.json {
                writeln!(out, "{:#}", verdict.to_json())?;
            } else {
                verdict.print(&mut out, paint)?;
            }
            return Ok(verdict.code(self.fail_on));
        }
        let _ = (&self.model, &self.param);
        Ok(ExitCode::SUCCESS)
    }
}
