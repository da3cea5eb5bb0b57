//! `ai-api check`: what of a configuration is honoured.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{PluginArgs, fail};
use crate::app;
use crate::config::{self, ConfigError, Environment, Origin};
use crate::reload;

/// Which configuration to look at.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration [default: the one that would be served]
    file: Option<PathBuf>,
    /// The same
    #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    #[command(flatten)]
    plugins: PluginArgs,
}

impl Check {
    /// Prints the report; a failure when the gateway would not start with it.
    pub(super) fn run(self, environment: &Environment) -> ExitCode {
        let file = self.file.or(self.config);
        let origin = file.map_or_else(|| config::find(None, environment), Origin::File);
        let report = match config::load(origin, environment) {
            Ok(mut loaded) => {
                let plugins = self.plugins.into();
                let checked = super::runtime().map_err(anyhow::Error::from);
                let checked = checked.and_then(|runtime| {
                    runtime.block_on(reload::check(&mut loaded, environment, &plugins, app::cache_folder(environment)))
                });
                if let Err(error) = checked {
                    return fail(&error);
                }
                let rendered = loaded.report.render(&mut std::io::stdout());
                return match (rendered, loaded.config.master_key_problem()) {
                    (Err(error), _) => fail(&error.into()),
                    (Ok(()), Some(problem)) => fail(&anyhow::anyhow!("it would not start: {problem}")),
                    (Ok(()), None) if loaded.report.has_errors() => ExitCode::FAILURE,
                    (Ok(()), None) => ExitCode::SUCCESS,
                };
            }
            Err(ConfigError::Invalid(report)) => report,
            Err(error) => return fail(&error.into()),
        };
        match report.render(&mut std::io::stdout()) {
            Ok(()) => ExitCode::FAILURE,
            Err(error) => fail(&error.into()),
        }
    }
}
