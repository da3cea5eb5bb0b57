//! Serving, the default: what it takes from the command line, the environment and LiteLLM's defaults.

use std::path::PathBuf;

use anyhow::Context;

use super::PluginArgs;
use crate::app::{self, Options};
use crate::config::{self, ConfigError, Environment, Loaded};
use crate::record;
use crate::telemetry;

/// LiteLLM's.
const DEFAULT_PORT: u16 = 4000;

/// How the gateway is to run.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// LiteLLM's config.yml. Without it: $CONFIG_FILE_PATH, /app/config.yaml, /app/config.yml, ./config.yaml,
    /// ./config.yml, then the built-in one.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on [default: $HOST, else 0.0.0.0, or 127.0.0.1 for the built-in configuration]
    #[arg(long, value_name = "ADDR")]
    host: Option<String>,
    /// The port to listen on; 0 takes any that is free [default: $PORT, else 4000]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    #[command(flatten)]
    plugins: PluginArgs,
}

impl Serve {
    /// Runs the gateway until it is asked to end.
    pub(super) fn run(self, environment: &Environment) -> anyhow::Result<()> {
        self.run_recording(environment, None)
    }

    /// The same, where calls are recorded.
    pub(super) fn run_recording(
        self,
        environment: &Environment,
        record: Option<record::Options>,
    ) -> anyhow::Result<()> {
        let loaded = load(self.config, environment)?;
        let _log = telemetry::start(&loaded.config.logging).context("can't start the log")?;
        let host = self.host.or_else(|| environment.get("HOST").map(str::to_owned));
        let options = Options { host, port: port_or(self.port, environment)?, plugins: self.plugins.into(), record };
        let runtime = super::runtime()?;
        let done = runtime.block_on(app::run(loaded, environment, options));
        // All calls are answered: a plugin that is compiling, or a disk that is slow, holds up nobody's end.
        runtime.shutdown_background();
        done
    }
}

/// The port that was given, else the environment's, where an empty variable counts as unset.
pub(super) fn port_or(given: Option<u16>, environment: &Environment) -> anyhow::Result<u16> {
    match (given, environment.get("PORT")) {
        (Some(port), _) => Ok(port),
        (None, Some(text)) => {
            text.trim().parse().with_context(|| format!("the variable PORT is '{text}', no port's number"))
        }
        (None, None) => Ok(DEFAULT_PORT),
    }
}

fn load(file: Option<PathBuf>, environment: &Environment) -> Result<Loaded, ConfigError> {
    config::load(config::find(file, environment), environment)
}
