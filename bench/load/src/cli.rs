//! Arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// What AI-API costs beside nginx's `proxy_pass` and calls without anything between.
///
/// A load generator and a fake of the providers share one core; nginx or the gateway has another. Runs of direct calls,
/// nginx and the gateway take turns, and each figure is the median over the rounds, with the least and the most. Every
/// answer is checked; a wrong one fails the benchmark.
#[derive(Debug, Clone, Parser)]
#[command(name = "ai-api-bench-load", version, args_override_self = true)]
pub(crate) struct Options {
    /// The gateway's binary
    #[arg(long, value_name = "FILE", default_value = "target/release/ai-api")]
    pub(crate) binary: PathBuf,
    /// Rounds; in each, every target has its turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// How long a turn counts, after its warm-up
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// How long a turn runs before it counts
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) warm_up: Duration,
    /// Connections of the closed loops
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) connections: u32,
    /// Calls a second of the open loops
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// One round of about a second a turn: to try it, not to believe it
    #[arg(long, conflicts_with_all = ["rounds", "seconds", "warm_up"])]
    pub(crate) quick: bool,
    /// Only scenarios whose name begins so; may be given several times
    #[arg(long, value_name = "SCENARIO")]
    pub(crate) only: Vec<String>,
    /// Print the names of the scenarios, and end
    #[arg(long)]
    pub(crate) list: bool,
    /// The core of nginx and of the gateway
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    pub(crate) gateway_core: usize,
    /// The core of the load and of the fake
    #[arg(long, value_name = "CORE", default_value_t = 1)]
    pub(crate) load_core: usize,
    /// Let the system choose the cores: figures of a machine with one core mean little
    #[arg(long)]
    pub(crate) unpinned: bool,
    /// Leave nginx out, and with it every figure relative to it
    #[arg(long)]
    pub(crate) no_nginx: bool,
    /// Where the access logs of nginx and the gateway go; both log every call unless it is off
    #[arg(long, value_enum, default_value_t = Log::Null)]
    pub(crate) log: Log,
    /// Where results, configurations and caches are written
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pub(crate) folder: PathBuf,
    /// Replace what is between the markers in this Markdown file with the report
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

/// Where access logs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    /// To /dev/null: lines are made and written, no disk is measured
    Null,
    /// To files beside the results
    File,
    /// Nowhere: no lines are made
    Off,
}

// === impl Options ===

impl Options {
    /// With `--quick` worked in.
    pub(crate) fn resolved(mut self) -> Self {
        if self.quick {
            self.rounds = 1;
            (self.seconds, self.warm_up) = (Duration::from_secs(1), Duration::from_millis(300));
        }
        self
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    if !(0.1..=600.0).contains(&seconds) {
        return Err("0.1 to 600 seconds are possible".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn seconds_are_a_number_in_range() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for wrong in ["", "a", "0", "-1", "NaN", "inf", "601"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
