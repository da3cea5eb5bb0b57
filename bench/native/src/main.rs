//! Times the translators without the sandbox, turn by turn, for `make bench-stages`.
//!
//! A line on standard input has a scenario's number, how many events one call gets, and how many turns; each turn is
//! answered with a line of nanoseconds, a number for each part of the call.

mod native;

#[path = "../../stages/src/inputs.rs"]
#[allow(dead_code, unreachable_pub, reason = "the gateway's stages are measured with the rest of it")]
mod inputs;
#[path = "../../stages/src/timing.rs"]
#[allow(dead_code, unreachable_pub, reason = "what is read here is written there")]
mod timing;

use std::io::{BufRead, Write};

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let scenarios = inputs::scenarios();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut numbers = line.split(' ').map(str::parse::<usize>);
        let mut number = || numbers.next().context("three numbers are expected")?.context("a number is expected");
        let (scenario, events_per_call, turns) = (number()?, number()?, number()?);
        let scenario = scenarios.get(scenario).context("there is no such scenario")?;
        // Told afterwards: between two turns there should be nothing.
        let turns: Vec<_> = (0..turns).map(|_| native::run(scenario, events_per_call)).collect::<Result<_, _>>()?;
        turns.iter().try_for_each(|phases| writeln!(out, "{}", phases.to_line()))?;
    }
    Ok(())
}
