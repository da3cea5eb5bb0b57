//! The translators as ordinary Rust, compiled for this processor: what the sandbox is compared with.
//!
//! Their arguments are made before the clock runs, although somebody has to make them; in the sandbox that is a part of
//! the call. So the comparison errs to the disadvantage of the sandbox.

use ai_api_plugin_anthropic::Anthropic;
use ai_api_plugin_gemini::Gemini;
use ai_api_plugin_sdk::{Begun, Call, Ending, Event, Failure, Header, HttpResponse, Operation, Provider, Reading};
use anyhow::bail;

use crate::inputs::{Answer, Scenario};
use crate::timing::{Clock, Phases};

/// One call without the sandbox.
///
/// # Errors
/// The translator did something else than the scenario asks for.
pub(crate) fn run(scenario: &Scenario, events_per_call: usize) -> anyhow::Result<Phases> {
    match scenario.plugin {
        "anthropic" => drive::<Anthropic>(scenario, events_per_call),
        "gemini" => drive::<Gemini>(scenario, events_per_call),
        other => bail!("{other} is not compiled in"),
    }
}

fn drive<P: Provider>(scenario: &Scenario, events_per_call: usize) -> anyhow::Result<Phases> {
    let call = Call {
        id: "8c5f3e1c-2b7a-4f0e-9d53-0a6a3f1f7c11".to_owned(),
        created: 1_767_629_070,
        operation: Operation::ChatCompletions,
        model: scenario.model.to_owned(),
        requested_model: "the-model".to_owned(),
        streaming: scenario.is_streaming(),
        body: scenario.body.clone(),
        params: vec![("max_output_tokens".to_owned(), "64000".to_owned())],
    };
    let header = |(name, value): (&str, &str)| Header { name: name.to_owned(), value: value.to_owned() };
    let headers = scenario.headers().map(header).to_vec();
    let (body, reads) = match &scenario.answer {
        Answer::Whole(body) => (body.clone(), Vec::new()),
        Answer::Events(events) => {
            let event =
                |(name, data): &(Option<&str>, Vec<u8>)| Event { name: name.map(str::to_owned), data: data.clone() };
            (Vec::new(), events.chunks(events_per_call).map(|read| read.iter().map(event).collect()).collect())
        }
    };
    let response = HttpResponse { status: 200, headers: headers.clone(), body };

    let (mut clock, mut phases) = (Clock::start(), Phases::default());
    let begun = P::begin(call).map_err(refused)?;
    phases.begin = clock.lap();
    let Begun::Send(_) = &begun.begun else { bail!("it answered by itself") };
    let mut exchange = begun.exchange;
    drop((begun.begun, begun.warnings));
    clock.lap();
    let reading = exchange.head(200, &headers).map_err(refused)?;
    phases.head = clock.lap();
    match reading {
        Reading::Whole => {
            let settled = exchange.settle(response).map_err(refused)?;
            phases.answer = clock.lap();
            drop(settled);
        }
        Reading::Events(_) => {
            let mut done = false;
            for read in reads {
                let read: Vec<Event> = read;
                done = exchange.events(read).map_err(refused)?.done;
            }
            if !done {
                exchange.end(Ending::Complete).map_err(refused)?;
            }
            phases.answer = clock.lap();
        }
        Reading::Verbatim => bail!("it reads nothing"),
    }
    clock.lap();
    drop(exchange);
    phases.drop = clock.lap();
    Ok(phases)
}

fn refused(failure: Failure) -> anyhow::Error {
    anyhow::anyhow!("it refused: {}", failure.message)
}
