//! A call through a plugin, function by function, and how long each takes.

use std::time::{Duration, Instant};

use ai_api::plugin::{
    BUILT_IN, Begun, Call, Ending, Event, HeaderParam, HttpResponse, Operation, Plugin, Reading, Runtime,
};
use anyhow::{Context, bail};

use crate::inputs::{Answer, Scenario};

/// How long the parts of one call took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    /// The request's translation; in the sandbox with an instance made for it.
    pub begin: Duration,
    /// The look at the answer's head.
    pub head: Duration,
    /// The answer's translation, all events of a stream together.
    pub answer: Duration,
    /// The end of the instance, or of the translator's value.
    pub drop: Duration,
}

impl Phases {
    /// All of them, by name.
    pub fn named(&self) -> [(&'static str, Duration); 5] {
        let Self { begin, head, answer, drop } = *self;
        [("begin", begin), ("head", head), ("answer", answer), ("drop", drop), ("all", begin + head + answer + drop)]
    }
}

/// Reads a clock between the parts of a call.
#[derive(Debug)]
pub struct Clock(Instant);

impl Clock {
    /// From now on.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the last lap.
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}

/// Loads a plugin as the gateway does.
///
/// # Errors
/// There is none of this name.
pub async fn load(runtime: &Runtime, name: &str) -> anyhow::Result<Plugin> {
    let (_, bytes) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name).context("there is no such plugin")?;
    Ok(Plugin::load(runtime, name, bytes).await?)
}

/// One call in the sandbox.
///
/// # Errors
/// The plugin did something else than the scenario asks for.
pub async fn in_the_sandbox(plugin: &Plugin, scenario: &Scenario, events_per_call: usize) -> anyhow::Result<Phases> {
    let headers = scenario.headers().map(|(name, value)| HeaderParam { name, value });
    let call = Call {
        id: "8c5f3e1c-2b7a-4f0e-9d53-0a6a3f1f7c11",
        created: 1_767_629_070,
        operation: Operation::ChatCompletions,
        model: scenario.model,
        requested_model: "the-model",
        streaming: scenario.is_streaming(),
        body: &scenario.body,
        params: &[("max_output_tokens", "64000")],
    };
    let events: Vec<Event<'_>> = match &scenario.answer {
        Answer::Whole(_) => Vec::new(),
        Answer::Events(events) => events.iter().map(|(name, data)| Event { name: *name, data }).collect(),
    };
    let (mut clock, mut phases) = (Clock::start(), Phases::default());
    let (mut exchange, begun, warnings) = plugin.begin(call).await?;
    phases.begin = clock.lap();
    let Begun::Send(_) = &begun else { bail!("it answered by itself") };
    drop((begun, warnings));
    clock.lap();
    let reading = exchange.head(200, &headers).await?;
    phases.head = clock.lap();
    match (reading, &scenario.answer) {
        (Reading::Whole, Answer::Whole(body)) => {
            let settled = exchange.whole(HttpResponse { status: 200, headers: &headers, body }).await?;
            phases.answer = clock.lap();
            drop(settled);
        }
        (Reading::Events(_), Answer::Events(_)) => {
            let mut done = false;
            for events in events.chunks(events_per_call) {
                done = exchange.events(events).await?.done;
            }
            if !done {
                exchange.end(Ending::Complete).await?;
            }
            phases.answer = clock.lap();
        }
        (reading, _) => bail!("its answer is read as {reading:?}"),
    }
    clock.lap();
    drop(exchange);
    phases.drop = clock.lap();
    Ok(phases)
}
