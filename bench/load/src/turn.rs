//! One turn: a scenario through one target.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;

use crate::cli::Options;
use crate::fake::{Fake, Pace};
use crate::load::{self, Load, Outcome, Shape, Tally};
use crate::measure::{Memory, Metric, Run, Spread, busy, cpu_of, own_cpu};
use crate::proxy::{Running, Setup, Target};
use crate::scenario::{Kind, Scenario};

/// Connections of an open loop: enough that a stall of some milliseconds leaves one free.
const OPEN_CONNECTIONS: u32 = 64;
/// What a process does after its first answer is over by then.
const SETTLE: Duration = Duration::from_millis(500);
/// Warm starts in a turn; the cold one takes long enough.
const WARM_STARTS: usize = 5;

/// What a turn showed, and what went wrong in it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) run: Run,
    pub(crate) errors: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    proxy_cpu: Duration,
    own_cpu: Duration,
    memory: Memory,
    /// How long the cores of proxy and load were not idle.
    busy: Option<(Duration, Duration)>,
}

/// Takes a turn; `None` where the target has none in this scenario.
pub(crate) fn take(
    runtime: &Runtime,
    options: &Options,
    setup: &Setup,
    fake: &Fake,
    scenario: &Scenario,
    target: Target,
) -> Result<Option<Turn>> {
    fake.set_pace(Pace::Whole);
    if scenario.kind == Kind::Start {
        return starts(runtime, setup, scenario, target);
    }
    let running = setup.start(runtime, target, scenario, "cache")?;
    if running.is_none() && target != Target::Direct {
        return Ok(None);
    }
    let (address, pids) = match &running {
        Some(running) => (running.address, running.process.pids()?),
        None => (fake.address(), Vec::new()),
    };
    thread::sleep(SETTLE);
    let idle = Memory::of(&pids)?;
    fake.set_pace(scenario.kind.pace());
    let load = Load {
        address,
        call: scenario.call(target),
        shape: shape(options, scenario.kind),
        // Streams that begin one after the other have all begun then.
        warm_up: options.warm_up.max(scenario.kind.stream_time()),
        window: options.seconds,
    };
    let probe = || reading(options, setup, &pids);
    let outcome = load::run(runtime, load, probe, || fake.finish())?;
    if let Some(running) = &running {
        running.process.check()?;
    }
    let mut turn = Turn { run: figures(scenario.kind, &outcome), errors: errors(scenario.kind, &outcome.tally) };
    if target != Target::Direct {
        turn.run.extend(of_proxy(scenario.kind, &outcome, idle));
    }
    turn.errors.extend(fake.complaint());
    Ok(Some(turn))
}

fn reading(options: &Options, setup: &Setup, pids: &[u32]) -> Result<Reading> {
    let busy = setup.core.map(|core| Ok::<_, anyhow::Error>((busy(core)?, busy(options.load_core)?))).transpose()?;
    Ok(Reading { proxy_cpu: cpu_of(pids)?, own_cpu: own_cpu()?, memory: Memory::of(pids)?, busy })
}

fn shape(options: &Options, kind: Kind) -> Shape {
    match kind {
        Kind::Calls | Kind::Streams | Kind::Start => {
            Shape::Closed { connections: options.connections, spread: Duration::ZERO }
        }
        Kind::Rate => Shape::Open { per_second: options.rate, connections: OPEN_CONNECTIONS },
        Kind::Paced(streams) => Shape::Closed { connections: streams, spread: kind.stream_time() },
        Kind::Held(streams) => Shape::Held { streams },
    }
}

/// What the client saw, and what load and fake spent.
fn figures(kind: Kind, outcome: &Outcome<Reading>) -> Run {
    let (tally, seconds) = (&outcome.tally, outcome.window.as_secs_f64());
    let mut run = Run::new();
    let own = outcome.after.own_cpu.saturating_sub(outcome.before.own_cpu);
    run.insert(Metric::LoadBusy, own.as_secs_f64() / seconds);
    run.extend(others(outcome).map(|share| (Metric::OthersBusy, share)));
    match kind {
        Kind::Held(streams) => run.insert(Metric::OpenStreams, f64::from(streams)),
        _ => run.insert(Metric::AnswersPerSecond, tally.answers() as f64 / seconds),
    };
    let quantiles = [
        (tally.latency().quantile(0.5), Metric::LatencyP50),
        (tally.latency().quantile(0.99), Metric::LatencyP99),
        (tally.latency().quantile(0.999), Metric::LatencyP999),
        (tally.lag().quantile(0.5), Metric::LagP50),
        (tally.lag().quantile(0.99), Metric::LagP99),
    ];
    run.extend(quantiles.into_iter().filter_map(|(value, metric)| Some((metric, value?))));
    if kind.is_streamed() {
        run.extend(tally.first().quantile(0.5).map(|value| (Metric::FirstP50, value)));
        run.extend(tally.first().quantile(0.99).map(|value| (Metric::FirstP99, value)));
    }
    run
}

/// What neither proxy nor load spent of their cores' time: the larger share. Unknown where nothing is pinned.
fn others(outcome: &Outcome<Reading>) -> Option<f64> {
    let (before, after) = (&outcome.before, &outcome.after);
    let ((proxy_then, load_then), (proxy_now, load_now)) = (before.busy?, after.busy?);
    let share = |then: Duration, now: Duration, used: Duration| {
        now.saturating_sub(then).saturating_sub(used).as_secs_f64() / outcome.window.as_secs_f64()
    };
    let proxy = share(proxy_then, proxy_now, after.proxy_cpu.saturating_sub(before.proxy_cpu));
    let load = share(load_then, load_now, after.own_cpu.saturating_sub(before.own_cpu));
    Some(proxy.max(load))
}

/// What the proxy spent on it.
fn of_proxy(kind: Kind, outcome: &Outcome<Reading>, idle: Memory) -> Run {
    let (before, after, tally) = (&outcome.before, &outcome.after, &outcome.tally);
    let spent = after.proxy_cpu.saturating_sub(before.proxy_cpu);
    let nanos = spent.as_nanos() as f64;
    let mut run = Run::from([
        (Metric::ProxyBusy, spent.as_secs_f64() / outcome.window.as_secs_f64()),
        (Metric::ResidentIdle, idle.resident as f64),
        (Metric::ResidentPeak, after.memory.peak as f64),
    ]);
    if tally.answers() > 0 {
        run.insert(Metric::CpuPerAnswer, nanos / tally.answers() as f64);
    }
    if kind.is_streamed() && tally.chunks() > 0 {
        run.insert(Metric::CpuPerChunk, nanos / tally.chunks() as f64);
    }
    if let Kind::Held(streams) = kind {
        let grown = after.memory.resident as f64 - idle.resident as f64;
        run.insert(Metric::ResidentPerStream, grown / f64::from(streams));
    }
    run
}

fn errors(kind: Kind, tally: &Tally) -> Vec<String> {
    let mut errors = Vec::new();
    if let Some(first) = tally.first_error() {
        errors.push(format!("{} wrong answers, the first: {first}", tally.errors()));
    }
    let seen = if matches!(kind, Kind::Held(_)) { tally.chunks() } else { tally.answers() };
    if seen == 0 {
        errors.push("nothing was answered while it counted".to_owned());
    }
    errors
}

/// A start without compiled plugins, for the gateway, and several more with.
fn starts(runtime: &Runtime, setup: &Setup, scenario: &Scenario, target: Target) -> Result<Option<Turn>> {
    const CACHE: &str = "cache-start";
    let start = || -> Result<Option<Running>> { setup.start(runtime, target, scenario, CACHE) };
    let mut turn = Turn::default();
    if target == Target::Gateway {
        let cache = setup.folder.join(CACHE);
        if cache.exists() {
            fs::remove_dir_all(&cache).with_context(|| format!("{} can't be removed", cache.display()))?;
        }
        let Some(running) = start()? else { return Ok(None) };
        turn.run.insert(Metric::ColdStart, running.started_in.as_nanos() as f64);
    }
    let mut warm = Vec::new();
    for _ in 0..WARM_STARTS {
        let Some(running) = start()? else { return Ok(None) };
        warm.push(running.started_in.as_nanos() as f64);
        if warm.len() == WARM_STARTS {
            thread::sleep(SETTLE);
            let memory = Memory::of(&running.process.pids()?)?;
            turn.run.insert(Metric::ResidentIdle, memory.resident as f64);
        }
    }
    turn.run.extend(Spread::of(warm).map(|spread| (Metric::WarmStart, spread.median)));
    Ok(Some(turn))
}
