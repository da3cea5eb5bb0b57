//! Counts what plugins do, by wasmtime's fuel: one for nearly every WebAssembly instruction, and one for every byte that
//! is copied at once. The same component and the same input give the same count on every machine.
//!
//! The engine is one of this file's own, which counts, over the very bytes that the gateway embeds. What the gateway
//! spends around a guest, instantiating it and carrying its arguments over, isn't in these counts.

use std::collections::BTreeMap;

use ai_api::plugin::BUILT_IN;
use wasmtime::component::{Component, HasSelf, Linker, ResourceAny};
use wasmtime::error::Context;
use wasmtime::{Config, Engine, Store, bail};

use self::bindings::ai_api::plugin::log::{self, Level};
use self::bindings::ai_api::plugin::types::{self, Call, Failure, HeaderParam, HttpResponse, Operation};
use self::bindings::exports::ai_api::plugin::provider::{Begun, Ending, Event, Reading};
use self::bindings::{ProviderPlugin, ProviderPluginPre};
use crate::counts::{Count, Kind};
use crate::inputs::{Answer, Scenario, prose, scenarios};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/plugin-0.1.0",
        world: "provider-plugin",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// More than any call uses.
const PLENTY: u64 = u64::MAX / 2;

/// What a store holds: plugins may log.
struct Log;

impl types::Host for Log {}

impl log::Host for Log {
    fn log(&mut self, _level: Level, _message: String) {}
}

/// Plugins in an engine that counts.
pub struct Guests {
    plugins: BTreeMap<&'static str, ProviderPluginPre<Log>>,
}

impl std::fmt::Debug for Guests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.plugins.keys()).finish()
    }
}

/// An instance, and the call in it.
struct Guest<'a> {
    store: Store<Log>,
    plugin: ProviderPlugin,
    exchange: Option<ResourceAny>,
    counts: &'a mut Vec<Count>,
    named: String,
}

impl Guests {
    /// Compiles the plugins that are in the gateway's binary.
    ///
    /// # Errors
    /// One of them isn't what it should be.
    pub fn new() -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        ProviderPlugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |log| log)?;
        let mut plugins = BTreeMap::new();
        for (name, bytes) in BUILT_IN {
            let component = Component::new(&engine, bytes)?;
            plugins.insert(*name, ProviderPluginPre::new(linker.instantiate_pre(&component)?)?);
        }
        Ok(Self { plugins })
    }

    /// Counts every function of every scenario, in a fixed order.
    ///
    /// # Errors
    /// A plugin did something else than its scenario asks for.
    pub fn count(&self) -> wasmtime::Result<Vec<Count>> {
        let mut counts = Vec::new();
        for scenario in &scenarios() {
            let sizes: &[usize] = if scenario.is_streaming() { &[1, 16] } else { &[1] };
            for events_per_call in sizes {
                let of_stage = || format!("{}, {}", scenario.plugin, scenario.name);
                self.run(scenario, *events_per_call, &mut counts).with_context(of_stage)?;
            }
        }
        // The same stage in two variants of a scenario is counted once.
        let mut seen = std::collections::HashSet::new();
        counts.retain(|count: &Count| seen.insert(count.stage.clone()));
        counts.extend(self.reasoning()?);
        Ok(counts)
    }

    fn run(&self, scenario: &Scenario, events_per_call: usize, counts: &mut Vec<Count>) -> wasmtime::Result<()> {
        let mut guest = self.guest(scenario.plugin, format!("{}, {}", scenario.plugin, scenario.name), counts)?;
        guest.begin(scenario.model, &scenario.body, scenario.is_streaming())?;
        let headers = scenario.headers().map(|(name, value)| HeaderParam { name, value });
        match (guest.head(&headers)?, &scenario.answer) {
            (Reading::Whole, Answer::Whole(body)) => guest.whole(&headers, body),
            (Reading::Events(_), Answer::Events(events)) => {
                let events: Vec<Event<'_>> = events.iter().map(|(name, data)| Event { name: *name, data }).collect();
                guest.events(&events, events_per_call)
            }
            (reading, _) => bail!("its answer is read as {reading:?}"),
        }
    }

    /// OpenAI's plugin sees reasoning models only, and only their requests.
    fn reasoning(&self) -> wasmtime::Result<Vec<Count>> {
        let mut counts = Vec::new();
        let mut guest = self.guest("openai", "openai, reasoning".to_owned(), &mut counts)?;
        let messages = serde_json::json!([{"role": "user", "content": prose(4000)}]);
        let body = serde_json::json!({"model": "o3", "messages": messages, "max_tokens": 1000, "seed": 1});
        guest.begin("o3", &crate::inputs::bytes(&body), false)?;
        guest.head(&[HeaderParam { name: "content-type", value: "application/json" }])?;
        Ok(counts)
    }

    fn guest<'a>(&self, plugin: &str, named: String, counts: &'a mut Vec<Count>) -> wasmtime::Result<Guest<'a>> {
        let pre = self.plugins.get(plugin).context("there is no such plugin")?;
        let mut store = Store::new(pre.engine(), Log);
        store.set_fuel(PLENTY)?;
        let instance = pre.instantiate(&mut store)?;
        let mut guest = Guest { store, plugin: instance, exchange: None, counts, named: plugin.to_owned() };
        guest.took("instantiate")?;
        guest.named = named;
        Ok(guest)
    }
}

impl Guest<'_> {
    fn begin(&mut self, model: &str, body: &[u8], streaming: bool) -> wasmtime::Result<()> {
        let call = Call {
            id: "8c5f3e1c-2b7a-4f0e-9d53-0a6a3f1f7c11",
            created: 1_767_629_070,
            operation: Operation::ChatCompletions,
            model,
            requested_model: "the-model",
            streaming,
            body,
            params: &[("max_output_tokens", "64000")],
        };
        let begun = self.plugin.ai_api_plugin_provider().exchange().call_begin(&mut self.store, call)?;
        let (exchange, begun, _warnings) = begun.map_err(refused)?;
        let Begun::Send(_) = begun else { bail!("it answered by itself") };
        self.exchange = Some(exchange);
        self.took("begin")
    }

    fn head(&mut self, headers: &[HeaderParam<'_>]) -> wasmtime::Result<Reading> {
        let (exchange, this) = (self.plugin.ai_api_plugin_provider().exchange(), begun(self.exchange)?);
        let reading = exchange.call_head(&mut self.store, this, 200, headers)?.map_err(refused)?;
        self.took("head")?;
        Ok(reading)
    }

    fn whole(&mut self, headers: &[HeaderParam<'_>], body: &[u8]) -> wasmtime::Result<()> {
        let (exchange, this) = (self.plugin.ai_api_plugin_provider().exchange(), begun(self.exchange)?);
        let response = HttpResponse { status: 200, headers, body };
        exchange.call_whole(&mut self.store, this, response)?.map_err(refused)?;
        self.took("whole")
    }

    /// A stream to its end.
    fn events(&mut self, events: &[Event<'_>], events_per_call: usize) -> wasmtime::Result<()> {
        let (exchange, this) = (self.plugin.ai_api_plugin_provider().exchange(), begun(self.exchange)?);
        let mut done = false;
        for events in events.chunks(events_per_call) {
            done = exchange.call_events(&mut self.store, this, events)?.map_err(refused)?.done;
        }
        self.took(&format!("events, {events_per_call} in a call"))?;
        if done {
            return Ok(());
        }
        let exchange = self.plugin.ai_api_plugin_provider().exchange();
        exchange.call_end(&mut self.store, this, Ending::Complete)?.map_err(refused)?;
        self.took("end")
    }

    /// Writes down what was used since the last time.
    fn took(&mut self, function: &str) -> wasmtime::Result<()> {
        let count = PLENTY - self.store.get_fuel()?;
        self.store.set_fuel(PLENTY)?;
        self.counts.push(Count { kind: Kind::Fuel, stage: format!("{}: {function}", self.named), count });
        Ok(())
    }
}

fn begun(exchange: Option<ResourceAny>) -> wasmtime::Result<ResourceAny> {
    exchange.context("it hasn't begun")
}

fn refused(failure: Failure) -> wasmtime::Error {
    wasmtime::format_err!("it refused: {}", failure.message)
}
