//! Builds every part from the config, once, in order; serves until it is asked to end.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use crate::accounts::Accounts;
use crate::api::{Gateway, server};
use crate::config::{Config, Environment, Loaded, Origin};
use crate::health::Health;
use crate::plugin::Runtime;
use crate::record::{self, Recorder};
use crate::reload::{self, Sources};
use crate::upstream::Upstream;

/// Where to listen, and what else the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address or name to bind; by default every address, or loopback for the built-in config.
    pub host: Option<String>,
    /// The port to bind; 0 for any that is free.
    pub port: u16,
    /// Plugins beside the built-in ones.
    pub plugins: Sources,
    /// Where calls are recorded, if they are.
    pub record: Option<record::Options>,
}

/// Runs the gateway until SIGTERM or SIGINT.
///
/// # Errors
/// It can't start. The message names the one thing to do.
pub async fn run(loaded: Loaded, environment: &Environment, options: Options) -> anyhow::Result<()> {
    let address = address(&options, &loaded.config).await?;
    check_master_key(&loaded.config, address.ip())?;
    announce(&loaded.config);
    raise_file_limit();
    let recorder = options.record.clone().map(Recorder::start).transpose()?;
    let mut runtime = Runtime::with_limits(cache_folder(environment), loaded.config.plugin_limits.clone())
        .map_err(|error| anyhow::anyhow!("{error:#}"))?;
    if let Some(recorder) = &recorder {
        runtime = runtime.watched_by(Arc::clone(recorder) as _);
    }
    let root_path = loaded.config.root_path.as_str().to_owned();
    let accounts = Arc::new(Accounts::open(&loaded.config, environment).await?);
    let (live, reloader) = reload::prepare(
        Arc::new(runtime),
        Upstream::new(loaded.config.routing.connect_timeout)?,
        loaded,
        environment,
        options.plugins,
        accounts.clone(),
    )
    .await?;

    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("can't listen on {address}; choose another address with --host or port with --port")
    })?;
    let stop = stop_signal()?;
    let bound = listener.local_addr()?;
    // On standard output, so that a script can wait for it and read the port.
    writeln!(std::io::stdout(), "listening on http://{bound}{root_path}").context("writing to standard output")?;
    // It ends with the process.
    tokio::spawn(reloader.run());
    let health = Arc::new(Health::default());
    tokio::spawn(health.clone().watch(live.clone()));
    server::serve(Arc::new(Gateway { live, health }), listener, stop).await;
    accounts.close().await;
    if let Some(recorder) = recorder {
        recorder.finish().await;
    }
    tracing::info!("ended");
    Ok(())
}

async fn address(options: &Options, config: &Config) -> anyhow::Result<SocketAddr> {
    let host = match (&options.host, &config.origin) {
        (Some(host), _) => host.as_str(),
        (None, Origin::File(_)) => "0.0.0.0",
        // Nobody has chosen a key for it, so it is for this machine alone.
        (None, Origin::BuiltIn) => "127.0.0.1",
    };
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), options.port)).await;
    let mut found =
        found.with_context(|| format!("--host {host} (or the variable HOST) is no address of this machine"))?;
    found.next().with_context(|| format!("--host {host} has no address"))
}

fn check_master_key(config: &Config, host: IpAddr) -> anyhow::Result<()> {
    if let Some(problem) = config.master_key_problem() {
        bail!("{problem}");
    }
    if config.general.master_key.is_some() {
        return Ok(());
    }
    if matches!(config.origin, Origin::BuiltIn) && !host.is_loopback() {
        bail!(
            "the built-in configuration has no master key, so it listens on this machine only: give a configuration with --config, or leave --host out"
        );
    }
    tracing::warn!(
        "there is no master key: everybody who can reach {host} can use this gateway and its providers' keys"
    );
    Ok(())
}

/// Says what was loaded.
fn announce(config: &Config) {
    let origin = match &config.origin {
        Origin::File(path) => path.display().to_string(),
        Origin::BuiltIn => "built-in configuration".to_owned(),
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = origin,
        deployments = config.deployments.len(),
        "starting"
    );
}

/// Where compiled plugins are kept, so that the next start takes milliseconds.
pub(crate) fn cache_folder(environment: &Environment) -> Option<PathBuf> {
    let own = environment.get("AI_API_CACHE_DIR").map(PathBuf::from);
    let shared = || environment.get("XDG_CACHE_HOME").map(|folder| Path::new(folder).join("ai-api"));
    let home = || environment.get("HOME").map(|folder| Path::new(folder).join(".cache/ai-api"));
    let folder = own.or_else(shared).or_else(home)?;
    std::path::absolute(folder).ok()
}

/// Waits for SIGTERM or SIGINT, as often as it is called.
fn stop_signal() -> anyhow::Result<impl AsyncFnMut()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Lets the process open as many files, connections that is, as it may at all.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        tracing::debug!(%error, "can't raise the limit of open files");
    }
}
