//! The command line.

mod check;
mod explain;
mod health;
mod paint;
mod plugin;
mod record;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Environment;
use crate::reload::Sources;

/// One OpenAI-compatible door to all AI providers.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say, key by key, what of a configuration is honoured, what is ignored and why
    Check(check::Check),
    /// Say what the router would do with a request, and why, without sending it anywhere
    Explain(explain::Explain),
    /// Ask a gateway on this machine whether it is alive: for container health checks
    Health(health::Health),
    /// Write, check and try out provider plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Serve, and write what plugins were given and asked for to files: prompts and answers, never a key
    Record(record::Record),
}

/// Where plugins come from, beside those inside the binary.
#[derive(Debug, clap::Args)]
struct PluginArgs {
    /// Load a provider plugin from a file; may be given several times
    #[arg(long, value_name = "FILE.wasm")]
    plugin: Vec<PathBuf>,
    /// Serve every provider plugin in a folder, which a running gateway watches for changes [default:
    /// $AI_API_PLUGINS, else ai_api_settings.plugins, else plugins.d beside the configuration, else /app/plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
}

impl From<PluginArgs> for Sources {
    fn from(args: PluginArgs) -> Self {
        Self { files: args.plugin, folder: args.plugins }
    }
}

impl Cli {
    /// Does what was asked for.
    pub fn run(self) -> ExitCode {
        let environment = Environment::process();
        let done = match self.command {
            Some(Command::Check(check)) => return check.run(&environment),
            Some(Command::Plugin(command)) => return command.run(&environment),
            Some(Command::Record(record)) => record.run(&environment),
            Some(Command::Explain(explain)) => explain.run(&environment),
            Some(Command::Health(health)) => health.run(&environment),
            None => self.serve.run(&environment),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// One line, or several for several errors, and no backtrace: the reader is an operator.
fn fail(error: &anyhow::Error) -> ExitCode {
    use std::io::Write;
    // Nothing is left to tell it to when standard error is gone too.
    let _ = writeln!(std::io::stderr(), "ai-api: {error:#}");
    ExitCode::FAILURE
}
