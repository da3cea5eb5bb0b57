//! The `ai-api` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ai_api::cli::Cli::parse().run()
}
