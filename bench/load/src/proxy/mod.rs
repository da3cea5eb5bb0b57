//! What stands between load and fake: nothing, nginx, or the gateway.

mod gateway;
mod nginx;
mod process;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tokio::runtime::Runtime;

pub(crate) use gateway::{CLIENT_KEY, MASTER_KEY, model_of, version as gateway_version};
pub(crate) use nginx::{find as find_nginx, version as nginx_version};
pub(crate) use process::{Process, core_count, pin};

use crate::cli::Log;
use crate::load;
use crate::scenario::Scenario;

/// Who answers the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The fake itself.
    Direct,
    Nginx,
    Gateway,
}

/// All that is needed to start one.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) gateway: PathBuf,
    pub(crate) nginx: Option<PathBuf>,
    /// Where configurations, caches and logs go.
    pub(crate) folder: PathBuf,
    /// The core that it is pinned to.
    pub(crate) core: Option<usize>,
    pub(crate) log: Log,
    pub(crate) fake: SocketAddr,
}

/// A proxy that answers.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// From exec to the first right answer.
    pub(crate) started_in: Duration,
}

/// The longest that a first answer may take: a cold start compiles all plugins, on one core.
const START: Duration = Duration::from_secs(180);

// === impl Target ===

impl Target {
    pub(crate) const ALL: [Self; 3] = [Self::Direct, Self::Nginx, Self::Gateway];

    /// What the report calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Gateway => "AI-API",
        }
    }
}

// === impl Setup ===

impl Setup {
    /// Starts the target for a scenario and waits for its first right answer; `None` for direct calls. `cache` is the
    /// name of the folder that the gateway keeps compiled plugins in.
    pub(crate) fn start(
        &self,
        runtime: &Runtime,
        target: Target,
        scenario: &Scenario,
        cache: &str,
    ) -> Result<Option<Running>> {
        let address = free_address()?;
        let command = match (target, &self.nginx) {
            (Target::Nginx, Some(nginx)) => nginx::command(self, nginx, address, scenario)?,
            (Target::Gateway, _) => gateway::command(self, address, cache)?,
            (Target::Direct, _) | (Target::Nginx, None) => return Ok(None),
        };
        let begin = Instant::now();
        let process = Process::spawn(command, self.core, target.title())?;
        // A call that isn't a stream, so that the first answer isn't the last chunk of a long one.
        let call = scenario.probe(target);
        let started_in = load::first_answer(runtime, address, &call, begin, START, || process.check())?;
        if target == Target::Gateway {
            gateway::issue_key(address)?;
        }
        Ok(Some(Running { process, address, started_in }))
    }
}

/// A port that is free now; whoever is started takes it a moment later.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
