//! Looking on while plugins work: what one is given, and what it asks for.

use super::{Call, Ending, Event, HttpRequest, Manifest};

/// Looks on at every exchange of the plugins that were loaded after it was set.
pub trait Watch: Send + Sync {
    /// An exchange begins with this call.
    fn begin(&self, plugin: &Manifest, call: &Call<'_>) -> Box<dyn Witness>;
}

/// Looks on at one exchange. Dropped with it.
pub trait Witness: Send + Sync {
    /// The plugin asks its provider.
    fn request(&mut self, request: &HttpRequest);
    /// The head of the answer is here.
    fn head(&mut self, status: u16, headers: &mut dyn Iterator<Item = (&str, &str)>);
    /// A whole answer is here.
    fn whole(&mut self, body: &[u8]);
    /// Events are here.
    fn events(&mut self, events: &[Event<'_>]);
    /// The plugin has said that its answer is complete.
    fn done(&mut self);
    /// The stream is over without that.
    fn end(&mut self, ending: Ending);
}
