//! `ai-api plugin …`: what a plugin's author and whoever runs one needs.

use std::process::ExitCode;

use clap::Subcommand;

/// What to do with a plugin. Each has a file of its own here.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {}

impl PluginCommand {
    /// Does it.
    pub(super) fn run(self, _environment: &crate::config::Environment) -> ExitCode {
        match self {}
    }
}
