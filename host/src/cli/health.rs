//! `ai-api health`: for container health checks.

use std::time::Duration;

use anyhow::Context;

use super::serve::port_or;
use crate::config::Environment;

/// Which gateway to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Health {
    /// Its port [default: $PORT, else 4000]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

impl Health {
    /// Asks it; an error when it doesn't answer well.
    pub(super) fn run(&self, environment: &Environment) -> anyhow::Result<()> {
        let port = port_or(self.port, environment)?;
        let url = format!("http://127.0.0.1:{port}/health/liveliness");
        let ask = async {
            let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build()?;
            client.get(url).send().await?.error_for_status()
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        super::runtime()?.block_on(ask).with_context(|| format!("no gateway answers at 127.0.0.1:{port}"))?;
        Ok(())
    }
}
