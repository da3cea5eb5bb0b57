//! The client's side: calls in closed loops, at fixed rates, and as streams that are held open.
//!
//! It runs on one thread and checks every answer; one that isn't what it should be counts as an error, never as an
//! answer.

mod answer;
mod client;
mod closed;
mod held;
mod open;
mod schedule;
mod tally;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

pub(crate) use answer::Expect;
pub(crate) use client::{Client, Wrong};
pub(crate) use tally::Tally;

/// After so many the callers give up.
const MAX_ERRORS: u64 = 100;

/// One request, sent again and again.
#[derive(Debug)]
pub(crate) struct Call {
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
    /// What has to come back.
    pub(crate) expect: Expect,
}

/// Load on one address.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) call: Call,
    pub(crate) shape: Shape,
    /// Before anything counts.
    pub(crate) warm_up: Duration,
    /// While it counts.
    pub(crate) window: Duration,
}

/// How calls follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each connection sends its next call when the last was answered. They begin spread over `spread`.
    Closed { connections: u32, spread: Duration },
    /// Calls begin at a fixed rate, whatever happened to those before.
    Open { per_second: u32, connections: u32 },
    /// That many streams, all open at once.
    Held { streams: u32 },
}

/// What the window showed.
#[derive(Debug)]
pub(crate) struct Outcome<R> {
    pub(crate) tally: Rc<Tally>,
    pub(crate) window: Duration,
    /// What the probe said at the window's begin and end.
    pub(crate) before: R,
    pub(crate) after: R,
}

/// Puts load on, in a runtime of one thread; `probe` reads the processors' clocks and memory, and `finish` ends streams that are held open.
pub(crate) fn run<R>(
    runtime: &Runtime,
    load: Load,
    probe: impl Fn() -> Result<R>,
    finish: impl Fn(),
) -> Result<Outcome<R>> {
    runtime.block_on(LocalSet::new().run_until(async {
        let (warm_up, window) = (load.warm_up, load.window);
        let tally = Rc::new(Tally::default());
        let load = Rc::new(load);
        let callers = match load.shape {
            Shape::Closed { connections, spread } => closed::start(&load, &tally, connections, spread),
            Shape::Open { per_second, connections } => open::start(&load, &tally, per_second, connections)?,
            Shape::Held { streams } => held::start(&load, &tally, streams).await?,
        };
        tokio::time::sleep(warm_up).await;
        let before = probe()?;
        let begin = Instant::now();
        tally.begin();
        tokio::time::sleep(window).await;
        tally.end();
        let window = begin.elapsed();
        let after = probe()?;
        finish();
        tally.stop();
        for caller in callers {
            tokio::time::timeout(Duration::from_secs(60), caller).await.context("a call that never ended")??;
        }
        Ok(Outcome { tally, window, before, after })
    }))
}

/// Asks until there is the right answer; how long that took since `from`.
pub(crate) fn first_answer(
    runtime: &Runtime,
    address: SocketAddr,
    call: &Call,
    from: Instant,
    longest: Duration,
    is_alive: impl Fn() -> Result<()>,
) -> Result<Duration> {
    runtime.block_on(async {
        loop {
            let tally = Tally::default();
            let failure = match Client::connect(address).await {
                Ok(mut client) => match client.call(call, Instant::now(), &tally).await {
                    Ok(()) => return Ok(from.elapsed()),
                    Err(wrong) => wrong.to_string(),
                },
                Err(wrong) => wrong.to_string(),
            };
            is_alive()?;
            ensure!(from.elapsed() < longest, "no answer within {longest:?}: {failure}");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    })
}
