//! `make bench`: what the gateway costs beside nginx and beside calls without anything between.
//!
//! [`mod@bench`] goes through the scenarios of [`scenario`]; each [`turn`] puts [`load`] on one [`proxy`], behind which
//! [`fake`] answers as the providers do, and [`measure`] says what that took; [`report`] writes it down.

#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod fake;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod prompt;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod scenario;
#[cfg(target_os = "linux")]
mod turn;
#[cfg(target_os = "linux")]
mod wire;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    bench::run(cli::Options::parse()).unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::FAILURE
    })
}

/// Cores, clocks and memory are read and set as Linux has them.
#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("bench: this runs on Linux only");
    ExitCode::FAILURE
}
