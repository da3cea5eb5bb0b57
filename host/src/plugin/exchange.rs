//! One call in an instance of its own.

use std::sync::Arc;

use wasmtime::component::ResourceAny;
use wasmtime::{Store, Trap, UpdateDeadline};

use super::bindings::v0_1::exports::ai_api::plugin::provider as wit;
use super::bindings::v0_1::{ProviderPlugin, ProviderPluginPre};
use super::engine::ticks;
use super::limits::Limits;
use super::state::GuestState;
use super::witness::Witness;
use super::{
    Batch, Begun, Call, CallError, Ending, Event, Failure, HeaderParam, HttpResponse, Plugin, Reading, Settled, Warning,
};

/// One call's instance. Dropped, it is gone, whatever it was doing.
pub struct Exchange {
    store: Store<GuestState>,
    bindings: ProviderPlugin,
    /// The guest's own value for this call.
    resource: ResourceAny,
    limits: Limits,
    /// Somebody who looks on.
    witness: Option<Box<dyn Witness>>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

/// Calls one function of the exchange's resource, on the clock.
macro_rules! guest_call {
    ($self:ident, $function:ident $(, $argument:expr)*) => {{
        rewind(&mut $self.store);
        let provider = $self.bindings.ai_api_plugin_provider();
        let called = provider.exchange().$function(&mut $self.store, $self.resource $(, $argument)*).await;
        told(called, &$self.store, &$self.limits)
    }};
}

impl Exchange {
    pub(super) async fn begin(plugin: &Plugin, call: Call<'_>) -> Result<(Self, Begun, Vec<Warning>), CallError> {
        let limits = plugin.limits;
        let mut witness = plugin.watch.as_ref().map(|watch| watch.begin(&plugin.manifest, &call));
        let (mut store, bindings) = instantiate(&plugin.pre, plugin.name.clone(), limits).await?;
        let called = bindings.ai_api_plugin_provider().exchange().call_begin(&mut store, call).await;
        let (resource, begun, warnings) = told(called, &store, &limits)?;
        if let (Some(witness), Begun::Send(request)) = (&mut witness, &begun) {
            witness.request(request);
        }
        Ok((Self { store, bindings, resource, limits, witness }, begun, warnings))
    }

    pub(super) async fn describe(
        pre: &ProviderPluginPre<GuestState>,
        name: Arc<str>,
        limits: Limits,
    ) -> Result<wit::Manifest, CallError> {
        let (mut store, bindings) = instantiate(pre, name, limits).await?;
        let called = bindings.ai_api_plugin_provider().call_describe(&mut store).await;
        told(called.map(Ok), &store, &limits)
    }

    /// The head of the provider's answer is here.
    ///
    /// # Errors
    /// See [`CallError`]; so for every call below.
    pub async fn head(&mut self, status: u16, headers: &[HeaderParam<'_>]) -> Result<Reading, CallError> {
        if let Some(witness) = &mut self.witness {
            witness.head(status, &mut headers.iter().map(|header| (header.name, header.value)));
        }
        guest_call!(self, call_head, status, headers)
    }

    /// The provider's whole answer is here.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn whole(&mut self, response: HttpResponse<'_>) -> Result<Settled, CallError> {
        if let Some(witness) = &mut self.witness {
            witness.whole(response.body);
        }
        let settled = guest_call!(self, call_whole, response);
        if let (Some(witness), Ok(Settled::Again(next))) = (&mut self.witness, &settled) {
            witness.request(&next.request);
        }
        settled
    }

    /// Events of the provider's stream are here.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn events(&mut self, events: &[Event<'_>]) -> Result<Batch, CallError> {
        if let Some(witness) = &mut self.witness {
            witness.events(events);
        }
        let batch = guest_call!(self, call_events, events);
        if let (Some(witness), Ok(Batch { done: true, .. })) = (&mut self.witness, &batch) {
            witness.done();
        }
        batch
    }

    /// The provider's stream is over.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn end(&mut self, ending: Ending) -> Result<Batch, CallError> {
        if let Some(witness) = &mut self.witness {
            witness.end(ending);
        }
        guest_call!(self, call_end, ending)
    }
}

async fn instantiate(
    pre: &ProviderPluginPre<GuestState>,
    name: Arc<str>,
    limits: Limits,
) -> Result<(Store<GuestState>, ProviderPlugin), CallError> {
    let mut store = Store::new(pre.engine(), GuestState::new(name, limits));
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits.output_bytes);
    let allowed = ticks(limits.call_time);
    store.epoch_deadline_callback(move |mut context| {
        let state = context.data_mut();
        state.ticks += 1;
        Ok(if state.ticks > allowed { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
    });
    rewind(&mut store);
    match pre.instantiate_async(&mut store).await {
        Ok(bindings) => Ok((store, bindings)),
        Err(error) if error.is::<Trap>() => Err(classify(&error, &store, &limits)),
        // The pool is used up, or the kernel has no more mappings.
        Err(error) => Err(CallError::Busy(format!("{error:#}"))),
    }
}

/// Every call has its time anew.
fn rewind(store: &mut Store<GuestState>) {
    store.data_mut().ticks = 0;
    store.set_epoch_deadline(1);
}

/// What a guest call came to: its answer, its own failure, or how it broke.
fn told<T>(
    called: wasmtime::Result<Result<T, Failure>>,
    store: &Store<GuestState>,
    limits: &Limits,
) -> Result<T, CallError> {
    match called {
        Ok(answer) => answer.map_err(CallError::Failed),
        Err(error) => Err(classify(&error, store, limits)),
    }
}

fn classify(error: &wasmtime::Error, store: &Store<GuestState>, limits: &Limits) -> CallError {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallError::OutOfTime(limits.call_time),
        Some(_) if store.data().limiter.refused => CallError::OutOfMemory(limits.memory_bytes),
        Some(trap) => CallError::Trapped(trap.to_string()),
        // Not a trap: what it returned can't be read (bad UTF-8, a list longer than its memory, too much of it).
        None => CallError::Refused(format!("returned what can't be read: {}", error.root_cause())),
    }
}
