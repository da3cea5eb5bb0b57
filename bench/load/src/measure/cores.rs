//! What else a core did.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What the kernel counts in: a hundredth of a second on every machine that this runs on.
const TICK: Duration = Duration::from_millis(10);

/// The time that a core was not idle, whoever used it, other guests of the same machine included.
pub(crate) fn busy(core: usize) -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat can't be read")?;
    busy_in(&stat, core).with_context(|| format!("/proc/stat has no core {core}"))
}

fn busy_in(stat: &str, core: usize) -> Option<Duration> {
    let name = format!("cpu{core}");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(' '))?;
    // user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of the first two.
    let fields = line.split_whitespace().take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4));
    let ticks: u32 = fields.map(|(_, field)| field.parse::<u32>()).sum::<Result<u32, _>>().ok()?;
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_busy_with_everything_but_idling_and_waiting() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu1 1 2 3 1000 1000 4 5 6 7 7\ncpu10 0 0 0 5 5 0 0 0 0 0\n";
        assert_eq!(busy_in(stat, 1), Some(TICK * 21));
        assert_eq!(busy_in(stat, 10), Some(Duration::ZERO));
        assert_eq!(busy_in(stat, 2), None);
    }
}
