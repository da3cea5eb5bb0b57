//! A program on a core of its own, ended with its owner.

use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::measure::with_children;

/// How long a program may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    child: Mutex<Child>,
    pid: u32,
    name: &'static str,
}

/// How many cores this program may run on.
pub(crate) fn core_count() -> usize {
    sched_getaffinity(None).map_or(1, |cores| usize::try_from(cores.count()).unwrap_or(1))
}

/// Puts the calling thread, and the threads and programs that it will start, on one core.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    ensure!(core < CpuSet::MAX_CPU, "there is no core {core}");
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("can't run on core {core}"))
}

// === impl Process ===

impl Process {
    /// Starts it, on that core if one is given.
    pub(crate) fn spawn(mut command: Command, core: Option<usize>, name: &'static str) -> Result<Self> {
        // A program runs where the thread runs that started it.
        let start = move || -> Result<Child> {
            if let Some(core) = core {
                pin(core)?;
            }
            let program = command.get_program().to_owned();
            command.spawn().with_context(|| format!("{} can't be started", program.display()))
        };
        let child = thread::spawn(start).join().map_err(|_| anyhow::anyhow!("{name} can't be started"))??;
        Ok(Self { pid: child.id(), child: Mutex::new(child), name })
    }

    /// It and its children.
    pub(crate) fn pids(&self) -> Result<Vec<u32>> {
        with_children(self.pid)
    }

    /// An error if it ended.
    pub(crate) fn check(&self) -> Result<()> {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match child.try_wait()? {
            Some(status) => bail!("{} ended: {status}; --log file keeps what it said", self.name),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if child.try_wait()?.is_none()
            && let Some(pid) = Pid::from_raw(self.pid.cast_signed())
        {
            kill_process(pid, Signal::TERM)?;
        }
        let latest = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() {
            if Instant::now() > latest {
                child.kill()?;
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever is left behind disturbs every measurement after this one.
        if self.end().is_err() && fs::exists(format!("/proc/{}", self.pid)).unwrap_or(false) {
            eprintln!("bench: {} (process {}) could not be ended", self.name, self.pid);
        }
    }
}
