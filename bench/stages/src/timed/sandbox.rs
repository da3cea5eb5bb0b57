//! What the sandbox costs: each function of a plugin as the gateway calls it, and of the same translator without it, in
//! turns, so that whatever else the machine does meets both.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use ai_api::plugin::{Plugin, Runtime};
use ai_api_bench_stages::inputs::{Scenario, scenarios};
use ai_api_bench_stages::sandbox::{in_the_sandbox, load};
use ai_api_bench_stages::setup::runtime;
use ai_api_bench_stages::timing::{Clock, Phases};

/// How often a call is made on either side: a short one, and one with a long prompt; and so many at a time.
const TURNS: usize = 2_000;
const LONG_TURNS: usize = 100;
const AT_A_TIME: usize = 20;

/// The other program, where `make` has built it.
struct Native {
    program: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Native {
    fn start() -> Option<Self> {
        let program = std::env::var_os("AI_API_BENCH_NATIVE")?;
        let mut program = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (questions, answers) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
        Some(Self { program, questions, answers: BufReader::new(answers).lines() })
    }

    fn run(&mut self, scenario: usize, events_per_call: usize, samples: &mut Samples) {
        writeln!(self.questions, "{scenario} {events_per_call} {AT_A_TIME}").unwrap();
        for _ in 0..AT_A_TIME {
            samples.add(&Phases::parse(&self.answers.next().unwrap().unwrap()).unwrap());
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Samples by the name of what was timed.
#[derive(Default)]
struct Samples(BTreeMap<&'static str, Vec<Duration>>);

impl Samples {
    fn add(&mut self, phases: &Phases) {
        for (name, time) in phases.named() {
            self.0.entry(name).or_default().push(time);
        }
    }

    /// In nanoseconds, without what the clock itself takes.
    fn median(&mut self, name: &str, clock: Duration) -> Option<f64> {
        let samples = self.0.get_mut(name)?;
        samples.sort_unstable();
        Some(samples.get(samples.len() / 2)?.saturating_sub(clock).as_nanos() as f64)
    }
}

/// Measures and prints.
pub(super) fn table() {
    let tokio = runtime().unwrap();
    tokio.block_on(async {
        let runtime = Runtime::new(None).map_err(|error| format!("{error:#}")).unwrap();
        let (clock, mut native) = (clock(), Native::start());
        println!("\nplugins in the sandbox and the same code without it; medians, in turns");
        println!("{:<42}{:<8}{:>14}{:>14}{:>9}", "", "", "sandbox", "native", "ratio");
        for name in ["anthropic", "gemini"] {
            let plugin = load(&runtime, name).await.unwrap();
            instantiate(&plugin, clock).await;
            for (number, scenario) in scenarios().iter().enumerate().filter(|(_, scenario)| scenario.plugin == name) {
                let sizes: &[usize] = if scenario.is_streaming() { &[1, 16] } else { &[1] };
                for events_per_call in sizes {
                    let call = MeasuredCall { number, scenario, events_per_call: *events_per_call };
                    compare(&plugin, call, native.as_mut(), clock).await;
                }
            }
        }
    });
}

async fn instantiate(plugin: &Plugin, clock: Duration) {
    let mut samples = Samples::default();
    for _ in 0..TURNS {
        let mut watch = Clock::start();
        let fresh = plugin.fresh().await.unwrap();
        let begin = watch.lap();
        drop(fresh);
        samples.add(&Phases { begin, drop: watch.lap(), ..Phases::default() });
    }
    for (name, shown) in [("begin", "make"), ("drop", "drop")] {
        line(&format!("{}: an instance", plugin.manifest.name), shown, samples.median(name, clock), None);
    }
}

/// A scenario, and how its events come.
struct MeasuredCall<'a> {
    number: usize,
    scenario: &'a Scenario,
    events_per_call: usize,
}

async fn compare(plugin: &Plugin, call: MeasuredCall<'_>, mut other: Option<&mut Native>, clock: Duration) {
    let MeasuredCall { number, scenario, events_per_call } = call;
    let turns = if scenario.body.len() > 50_000 { LONG_TURNS } else { TURNS };
    let (mut sandbox, mut native) = (Samples::default(), Samples::default());
    for _ in 0..turns / AT_A_TIME {
        for _ in 0..AT_A_TIME {
            sandbox.add(&in_the_sandbox(plugin, scenario, events_per_call).await.unwrap());
        }
        if let Some(other) = &mut other {
            other.run(number, events_per_call, &mut native);
        }
    }
    let how = if scenario.is_streaming() { format!(", {events_per_call} events a call") } else { String::new() };
    for (phase, _) in Phases::default().named() {
        // The whole is read off the clock four times.
        let clock = if phase == "all" { clock * 4 } else { clock };
        let (sandbox, native) = (sandbox.median(phase, clock), native.median(phase, clock));
        line(&format!("{}: {}{how}", scenario.plugin, scenario.name), phase, sandbox, native);
    }
}

/// What reading the clock takes.
fn clock() -> Duration {
    let mut laps: Vec<Duration> = (0..10_001).map(|_| Clock::start().lap()).collect();
    laps.sort_unstable();
    laps[laps.len() / 2]
}

fn line(call: &str, phase: &str, sandbox: Option<f64>, native: Option<f64>) {
    let time = |nanoseconds: Option<f64>| nanoseconds.map_or_else(String::new, |ns| format!("{:.2} µs", ns / 1000.0));
    // Below this the clock says little, and nobody cares.
    let ratio = sandbox.zip(native.filter(|native| *native >= 1000.0)).map(|(sandbox, native)| sandbox / native);
    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    println!("{call:<42}{phase:<8}{:>14}{:>14}{ratio:>9}", time(sandbox), time(native));
}
