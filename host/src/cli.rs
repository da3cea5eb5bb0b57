//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::app::{self, Options};
use crate::config::{self, ConfigError, Environment, Loaded, Origin};
use crate::reload::{self, Sources};
use crate::telemetry;

/// LiteLLM's.
const DEFAULT_PORT: u16 = 4000;

/// One OpenAI-compatible door to all AI providers.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, clap::Args)]
struct Serve {
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
    /// Load a provider plugin from a file; may be given several times
    #[arg(long, value_name = "FILE.wasm")]
    plugin: Vec<PathBuf>,
    /// Serve every provider plugin in a folder, and watch it for changes [default: $AI_API_PLUGINS, else
    /// ai_api_settings.plugins, else plugins.d beside the configuration, else /app/plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say, key by key, what of a configuration is honoured, what is ignored and why
    Check {
        /// The configuration [default: the one that would be served]
        file: Option<PathBuf>,
        /// The same
        #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
        /// The folder of provider plugins, each of which is loaded [default: the one that would be served]
        #[arg(long, value_name = "DIR")]
        plugins: Option<PathBuf>,
    },
    /// Ask a gateway on this machine whether it is alive: for container health checks
    Health {
        /// Its port [default: $PORT, else 4000]
        #[arg(long, value_name = "N")]
        port: Option<u16>,
    },
}

impl Cli {
    /// Does what was asked for.
    pub fn run(self) -> ExitCode {
        let environment = Environment::process();
        let done = match self.command {
            Some(Command::Check { file, config, plugins }) => return check(file.or(config), plugins, &environment),
            Some(Command::Health { port }) => port_or(port, &environment).and_then(health),
            None => serve(self.serve, &environment),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    }
}

fn serve(options: Serve, environment: &Environment) -> anyhow::Result<()> {
    let loaded = load(options.config, environment)?;
    telemetry::start(&loaded.config.logging);
    let host = options.host.or_else(|| environment.get("HOST").map(str::to_owned));
    let plugins = Sources { files: options.plugin, folder: options.plugins };
    let options = Options { host, port: port_or(options.port, environment)?, plugins };
    runtime()?.block_on(app::run(loaded, environment, options))
}

/// The port that was given, else the environment's, where an empty variable counts as unset.
fn port_or(given: Option<u16>, environment: &Environment) -> anyhow::Result<u16> {
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

fn check(file: Option<PathBuf>, plugins: Option<PathBuf>, environment: &Environment) -> ExitCode {
    let origin = file.map_or_else(|| config::find(None, environment), Origin::File);
    let report = match config::load(origin, environment) {
        Ok(mut loaded) => {
            let plugins = Sources { files: Vec::new(), folder: plugins };
            let checked = runtime().map_err(anyhow::Error::from);
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

fn health(port: u16) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{port}/health/liveliness");
    let ask = async {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build()?;
        client.get(url).send().await?.error_for_status()
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime()?.block_on(ask).with_context(|| format!("no gateway answers at 127.0.0.1:{port}"))?;
    Ok(())
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
