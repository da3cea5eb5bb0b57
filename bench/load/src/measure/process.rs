//! Processor time and memory of processes.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What a process and its children hold in memory, in bytes. Pages that several share count for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// The most so far.
    pub(crate) peak: u64,
}

/// The processor time of processes, exited threads included: the kernel's own count, not ticks.
pub(crate) fn cpu_of(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| process_cpu(*pid)).sum()
}

/// This program's processor time: load and fake together.
pub(crate) fn own_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// A process and its children.
pub(crate) fn with_children(pid: u32) -> Result<Vec<u32>> {
    let mut pids = vec![pid];
    for entry in fs::read_dir("/proc").context("/proc can't be read")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end between the two.
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        if parent_in(&stat) == Some(pid) {
            pids.push(child);
        }
    }
    Ok(pids)
}

fn process_cpu(pid: u32) -> Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))
        .with_context(|| format!("process {pid} has no clock; it may have ended"))?;
    Ok(clock_gettime(clock)?.into())
}

/// The fourth field; the second, the program's name, is in parentheses and may hold anything.
fn parent_in(stat: &str) -> Option<u32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

// === impl Memory ===

impl Memory {
    pub(crate) fn of(pids: &[u32]) -> Result<Self> {
        let mut sum = Self::default();
        for pid in pids {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))
                .with_context(|| format!("process {pid} has no memory; it may have ended"))?;
            sum.resident += kilobytes(&status, "VmRSS:") * 1024;
            sum.peak += kilobytes(&status, "VmHWM:") * 1024;
        }
        Ok(sum)
    }
}

fn kilobytes(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_whatever_a_program_is_called() {
        assert_eq!(parent_in("77 (a) b (c) S 42 77 77 0 -1"), Some(42));
        assert_eq!(parent_in(""), None);
    }

    #[test]
    fn memory_is_read_from_a_status() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((kilobytes(status, "VmRSS:"), kilobytes(status, "VmHWM:")), (1024, 2048));
        let own = Memory::of(&[std::process::id()]).unwrap();
        assert!(own.resident > 0 && own.peak >= own.resident);
    }

    #[test]
    fn the_clock_of_a_process_is_the_processors() {
        let own = [std::process::id()];
        let (before, mut spent) = (cpu_of(&own).unwrap(), 0_u64);
        while cpu_of(&own).unwrap() == before {
            spent = std::hint::black_box(spent + 1);
        }
        assert!(cpu_of(&own).unwrap() <= own_cpu().unwrap());
    }
}
