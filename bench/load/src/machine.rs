//! Where figures come from: the machine, and the versions of what was measured.

use std::fs;
use std::process::Command;

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::cli::{Log, Options};
use crate::proxy::{Setup, gateway_version, nginx_version};

/// What stands above the tables.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) gateway: String,
    pub(crate) gateway_bytes: u64,
    pub(crate) nginx: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) pinned: bool,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) connections: u32,
    pub(crate) rate: u32,
    pub(crate) log: &'static str,
}

/// Open files that ten thousand streams take here: a client's end and a fake's end each, and some more.
const WANTED_FILES: u64 = 40_000;

// === impl Machine ===

impl Machine {
    pub(crate) fn here(options: &Options, setup: &Setup, cores: usize) -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            processor: model.map_or("unknown", |(_, model)| model).trim().to_owned(),
            cores,
            kernel: kernel.trim().to_owned(),
            gateway: gateway_version(&setup.gateway)?,
            gateway_bytes: fs::metadata(&setup.gateway)?.len(),
            nginx: setup.nginx.as_deref().map(nginx_version).transpose()?,
            commit: commit(),
            pinned: setup.core.is_some(),
            rounds: options.rounds,
            seconds: options.seconds.as_secs_f64(),
            connections: options.connections,
            rate: options.rate,
            log: match options.log {
                Log::Null => "written to /dev/null",
                Log::File => "written to files",
                Log::Off => "off",
            },
        })
    }
}

/// Raises the limit of open files as far as it may and is needed; what it is then.
pub(crate) fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let attempts = [Some(limit.maximum.map_or(WANTED_FILES, |maximum| maximum.max(WANTED_FILES))), limit.maximum];
    for files in attempts {
        if setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files }).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The commit that is checked out, and its day; not what a binary was built from, if that is older.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["log", "-1", "--format=%h of %cs"]).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_never_gets_lower() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(raise_open_files() >= before);
    }
}
