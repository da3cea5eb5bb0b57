//! The trait that an author implements, and its adapter to the generated one.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::exports::ai_api::plugin::provider as wit;
use crate::{
    Batch, Begun, Call, Completion, Ending, Event, Failure, Framing, Header, HttpResponse, Manifest, Reading, Settled,
    Warning,
};

/// One call's translation, from the client's request to the end of the answer.
///
/// The value that `begin` makes lives until the answer is complete and is then thrown away with its instance.
pub trait Provider: Sized + 'static {
    /// What this plugin is. Must always return the same.
    fn manifest() -> Manifest;

    /// Translates the request.
    ///
    /// # Errors
    /// The request can't be translated; the client sees this failure.
    fn begin(call: Call) -> Result<Begin<Self>, Failure>;

    /// Decides how the provider's answer is read: by default a successful streamed answer as server-sent events,
    /// everything else whole.
    ///
    /// # Errors
    /// The call failed already.
    fn head(&mut self, status: u16, headers: &[Header]) -> Result<Reading, Failure> {
        let _ = headers;
        let ok = (200..300).contains(&status);
        Ok(if ok && self.streaming() { Reading::Events(Framing::Sse) } else { Reading::Whole })
    }

    /// Whether the client asked for a stream. Only the default `head` asks.
    fn streaming(&self) -> bool;

    /// Translates a whole answer; `response.status` may be an error's.
    ///
    /// # Errors
    /// The provider refused or failed, or its answer makes no sense.
    fn whole(&mut self, response: HttpResponse) -> Result<Completion, Failure>;

    /// What the gateway calls for a whole answer: [`Provider::whole`], unless the answer still has to be fetched.
    ///
    /// # Errors
    /// Those of [`Provider::whole`].
    fn settle(&mut self, response: HttpResponse) -> Result<Settled, Failure> {
        self.whole(response).map(Settled::Done)
    }

    /// Translates the events of one network read.
    ///
    /// # Errors
    /// The stream said that it failed, or makes no sense.
    fn events(&mut self, events: Vec<Event>) -> Result<Batch, Failure>;

    /// The stream is over and no batch was `done`: what still belongs to the answer.
    ///
    /// # Errors
    /// The answer isn't complete.
    fn end(&mut self, ending: Ending) -> Result<Batch, Failure>;
}

/// What [`Provider::begin`] returns.
#[derive(Debug)]
pub struct Begin<P> {
    /// What has to be remembered until the answer comes.
    pub exchange: P,
    /// What to send, or the answer itself.
    pub begun: Begun,
    /// What the translation lost.
    pub warnings: Vec<Warning>,
}

/// Makes the generated exports of a [`Provider`]. Named by [`export_provider!`](crate::export_provider) only.
#[derive(Debug)]
pub struct Adapter<P>(PhantomData<P>);

/// The generated resource around a [`Provider`].
#[derive(Debug)]
pub struct AdapterExchange<P>(RefCell<P>);

impl<P: Provider> wit::Guest for Adapter<P> {
    type Exchange = AdapterExchange<P>;

    fn describe() -> Manifest {
        #[cfg(target_arch = "wasm32")]
        crate::panics::tell();
        P::manifest()
    }
}

impl<P: Provider> wit::GuestExchange for AdapterExchange<P> {
    fn begin(call: Call) -> Result<(wit::Exchange, Begun, Vec<Warning>), Failure> {
        #[cfg(target_arch = "wasm32")]
        crate::panics::tell();
        let Begin { exchange, begun, warnings } = P::begin(call)?;
        Ok((wit::Exchange::new(Self(RefCell::new(exchange))), begun, warnings))
    }

    fn head(&self, status: u16, headers: Vec<Header>) -> Result<Reading, Failure> {
        self.0.borrow_mut().head(status, &headers)
    }

    fn whole(&self, response: HttpResponse) -> Result<Settled, Failure> {
        self.0.borrow_mut().settle(response)
    }

    fn events(&self, events: Vec<Event>) -> Result<Batch, Failure> {
        self.0.borrow_mut().events(events)
    }

    fn end(&self, ending: Ending) -> Result<Batch, Failure> {
        self.0.borrow_mut().end(ending)
    }
}

/// Exports a [`Provider`] as this component's `provider` interface.
///
/// Only for the Wasm target: natively the export's symbol names don't link, and tests don't need it.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::Adapter<$provider>;
    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}
