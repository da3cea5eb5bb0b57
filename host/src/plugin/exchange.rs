//! One call in an instance of its own.

use std::sync::Arc;

use wasmtime::component::ResourceAny;

use super::account::{Account, Tally};
use super::bindings::v0_1::ProviderPluginPre;
use super::bindings::v0_1::exports::ai_api::plugin::provider as wit;
use super::checks::{self, Refusal};
use super::idle::IdleInstances;
use super::instance::{Instance, patience, told};
use super::metered::{Metered, metered};
use super::state::GuestState;
use super::witness::Witness;
use super::{
    Batch, Begun, Call, CallError, Ending, Event, HeaderParam, HttpResponse, Plugin, Reading, Settled, Warning,
};

const WHOLE_FOR_STREAM: &str = "returned a whole answer where a stream was asked for";

/// One call's instance. Dropped, it is gone, whatever it was doing; or it waits for its plugin's next call, where the
/// plugin is reusable and nothing went wrong.
pub struct Exchange {
    /// `None` while it runs and once it has failed.
    instance: Option<Instance>,
    /// The guest's own value for this call.
    resource: ResourceAny,
    streaming: bool,
    tally: Tally,
    idle: Option<Arc<IdleInstances>>,
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
        let mut instance = $self.instance.take().ok_or_else(gone)?;
        instance.rewind();
        let Instance { store, bindings, .. } = &mut instance;
        let exchange = bindings.ai_api_plugin_provider().exchange();
        let called = exchange.$function(&mut *store, $self.resource $(, $argument)*);
        let called = metered(called, patience($self.tally.account()), &$self.tally.account().places).await;
        match told(called, &instance.store, $self.tally.account()) {
            Ok(answer) => {
                $self.instance = Some(instance);
                Ok(answer)
            }
            Err(error) => {
                $self.tally.failed(&error);
                if matches!(error, CallError::Failed(_)) {
                    $self.instance = Some(instance);
                }
                Err(error)
            }
        }
    }};
}

impl Exchange {
    pub(super) async fn begin(plugin: &Plugin, call: Call<'_>) -> Result<(Self, Begun, Vec<Warning>), CallError> {
        let mut tally = plugin.account.admit()?;
        let streaming = call.streaming;
        let witness = plugin.watch.as_ref().map(|watch| watch.begin(&plugin.manifest, &call));
        let begun = Self::begin_in(plugin, call).await;
        let (instance, (resource, mut begun, mut warnings)) = begun.inspect_err(|error| tally.failed(error))?;
        let idle = plugin.idle.clone();
        let mut exchange = Self { instance: Some(instance), resource, streaming, tally, idle, witness };
        let checked = checks::warnings(&mut warnings).and_then(|()| match (&mut begun, streaming) {
            (Begun::Send(request), _) => checks::request(request),
            (Begun::Reply(_), true) => Err(WHOLE_FOR_STREAM.to_owned()),
            (Begun::Reply(completion), false) => checks::completion(completion),
            (Begun::ReplyStream(_), false) => Err("returned a stream where a whole answer was asked for".to_owned()),
            (Begun::ReplyStream(batch), true) => checks::ready(batch),
        });
        exchange.check(checked)?;
        match (&begun, &mut exchange.witness) {
            (Begun::Send(request), Some(witness)) => witness.request(request),
            (Begun::Send(_), None) => {}
            _ => exchange.tally.went_well(),
        }
        Ok((exchange, begun, warnings))
    }

    /// Begins in an instance that waits, or in a new one.
    async fn begin_in(
        plugin: &Plugin,
        call: Call<'_>,
    ) -> Result<(Instance, (ResourceAny, Begun, Vec<Warning>)), CallError> {
        let account = &plugin.account;
        let mut instance = loop {
            match plugin.idle.as_ref().and_then(|idle| idle.take()) {
                None => break Instance::new(&plugin.pre, account).await?,
                Some(idle) => match idle.renewed(account).await {
                    Some(instance) => break instance,
                    None => continue,
                },
            }
        };
        instance.served += 1;
        instance.rewind();
        let exchange = instance.bindings.ai_api_plugin_provider().exchange();
        let called = metered(exchange.call_begin(&mut instance.store, call), patience(account), &account.places).await;
        match (told(called, &instance.store, account), &plugin.idle) {
            (Ok(begun), _) => Ok((instance, begun)),
            (Err(error @ CallError::Failed(_)), Some(idle)) if instance.is_fit(account) => {
                idle.put(instance);
                Err(error)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// What the plugin says of itself, in an instance of its own.
    pub(super) async fn describe(
        pre: &ProviderPluginPre<GuestState>,
        account: &Arc<Account>,
    ) -> Result<wit::Manifest, CallError> {
        let mut instance = Instance::new(pre, account).await?;
        instance.rewind();
        let called = instance.bindings.ai_api_plugin_provider().call_describe(&mut instance.store);
        let Metered { output, cpu } = metered(called, patience(account), &account.places).await;
        told(Metered { output: output.map(|called| called.map(Ok)), cpu }, &instance.store, account)
    }

    /// The head of the provider's answer is here.
    ///
    /// # Errors
    /// See [`CallError`]; so for every call below.
    pub async fn head(&mut self, status: u16, headers: &[HeaderParam<'_>]) -> Result<Reading, CallError> {
        if let Some(witness) = &mut self.witness {
            witness.head(status, &mut headers.iter().map(|header| (header.name, header.value)));
        }
        let reading = guest_call!(self, call_head, status, headers)?;
        let checked = match reading {
            Reading::Events(_) if !self.streaming => Err("reads a stream where the client asked for none".to_owned()),
            Reading::Events(_) | Reading::Whole => Ok(()),
            Reading::Verbatim => {
                self.tally.went_well();
                Ok(())
            }
        };
        self.check(checked)?;
        Ok(reading)
    }

    /// The provider's whole answer is here.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn whole(&mut self, response: HttpResponse<'_>) -> Result<Settled, CallError> {
        if let Some(witness) = &mut self.witness {
            witness.whole(response.body);
        }
        let mut settled = guest_call!(self, call_whole, response)?;
        let checked = match &mut settled {
            Settled::Done(_) if self.streaming => Err(WHOLE_FOR_STREAM.to_owned()),
            Settled::Done(completion) => checks::completion(completion),
            Settled::Again(next) => checks::request(&next.request),
        };
        self.check(checked)?;
        self.tally.went_well();
        if let (Some(witness), Settled::Again(next)) = (&mut self.witness, &settled) {
            witness.request(&next.request);
        }
        Ok(settled)
    }

    /// Events of the provider's stream are here.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn events(&mut self, events: &[Event<'_>]) -> Result<Batch, CallError> {
        if let Some(witness) = &mut self.witness {
            witness.events(events);
        }
        let mut batch = guest_call!(self, call_events, events)?;
        self.check(checks::batch(&mut batch, events.len(), self.tally.account().limits.chunks_per_event))?;
        self.tally.went_well();
        if let (Some(witness), true) = (&mut self.witness, batch.done) {
            witness.done();
        }
        Ok(batch)
    }

    /// The provider's stream is over.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn end(&mut self, ending: Ending) -> Result<Batch, CallError> {
        if let Some(witness) = &mut self.witness {
            witness.end(ending);
        }
        let mut batch = guest_call!(self, call_end, ending)?;
        self.check(checks::batch(&mut batch, 1, self.tally.account().limits.chunks_per_event))?;
        self.tally.went_well();
        Ok(batch)
    }

    /// Puts it on the plugin's books that it did `what`, which no plugin may, where the host found out.
    pub fn refuse(&mut self, what: impl Into<String>) -> CallError {
        let error = CallError::Refused(what.into());
        self.tally.failed(&error);
        self.instance = None;
        error
    }

    fn check(&mut self, checked: Result<(), Refusal>) -> Result<(), CallError> {
        checked.map_err(|what| self.refuse(what))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let (Some(idle), Some(mut instance)) = (&self.idle, self.instance.take())
            && instance.is_fit(self.tally.account())
        {
            instance.spent = Some(self.resource);
            idle.put(instance);
        }
    }
}

/// An exchange that has failed is asked again.
fn gone() -> CallError {
    CallError::Refused("is asked to go on with a call in which it failed".to_owned())
}
