//! A call through a plugin in the sandbox, timed function by function.

use ai_api::plugin::{
    BUILT_IN, Begun, Call, Ending, Event, HeaderParam, HttpResponse, Operation, Plugin, Reading, Runtime,
};
use anyhow::{Context, bail};

use crate::inputs::{Answer, Scenario};
use crate::timing::{Clock, Phases};

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
