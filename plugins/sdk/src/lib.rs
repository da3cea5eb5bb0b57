//! What a Rust plugin author needs: the interface's types, a trait to implement, canonical bodies, failures.
//!
//! A plugin is a pure translator. Implement [`Provider`], say [`export_provider!`], compile for
//! `wasm32-unknown-unknown`: `plugins/echo` is the smallest complete example. Everything but the export macro
//! works natively too, so that translations are tested without a sandbox (module `testing`, behind the feature of that name).

// The export macro names this crate by its name, also from inside its own doc tests.
extern crate self as ai_api_plugin_sdk;

#[cfg(any(test, all(target_arch = "wasm32", feature = "allocator")))]
mod allocator;
pub mod bindings;
pub mod canonical;
pub mod failure;
pub mod json;
pub mod names;
#[cfg(target_arch = "wasm32")]
mod panics;
mod provider;
#[cfg(feature = "testing")]
pub mod testing;

pub use bindings::ai_api::plugin::log::Level;
pub use bindings::ai_api::plugin::types::{FailureKind, Loss};
pub use bindings::exports::ai_api::plugin::provider::{
    Batch, Begun, Call, Completion, Credential, Ending, Event, Failure, FollowUp, Framing, Header, HttpRequest,
    HttpResponse, Manifest, Operation, Reading, Settled, Support, Usage, Warning,
};
#[doc(hidden)]
pub use provider::{Adapter, AdapterExchange};
pub use provider::{Begin, Provider};
pub use serde_json;

/// Writes a line to the operator's log; in native tests, to standard error. Never log prompts or answers.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    bindings::ai_api::plugin::log::log(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {message}");
}
