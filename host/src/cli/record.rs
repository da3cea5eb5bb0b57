//! `ai-api record`: the gateway, writing down what passes its plugins.

use std::path::PathBuf;

use super::serve::Serve;
use crate::config::Environment;
use crate::record::Options;

/// Where to write, and how to serve meanwhile.
#[derive(Debug, clap::Args)]
pub(super) struct Record {
    /// A folder for the recordings, one file a call; made for you alone where it isn't there
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Write so many files at most; the gateway serves on after that
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max: u64,
    #[command(flatten)]
    serve: Serve,
}

impl Record {
    /// Runs the gateway until it is asked to end.
    pub(super) fn run(self, environment: &Environment) -> anyhow::Result<()> {
        self.serve.run_recording(environment, Some(Options { folder: self.into, max: self.max }))
    }
}
