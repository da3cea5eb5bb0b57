//! Providers' translators, as WebAssembly components in a sandbox.
//!
//! Nothing here knows sockets or keys: a plugin turns bytes into bytes. An [`Exchange`] is one call in an instance
//! of its own; what it hands back is checked before anything acts on it.

mod account;
mod base_url;
#[doc(hidden)]
pub mod bench;
mod bindings;
mod bounds;
mod builtin;
pub mod capabilities;
mod checks;
mod compiler;
mod digest;
pub mod engine;
mod error;
mod exchange;
mod idle;
mod instance;
mod limits;
mod load;
mod manifest;
mod metered;
mod per_second;
mod quarantine;
mod registry;
mod shape;
mod state;
mod stats;
mod wasi;
mod witness;

pub use base_url::BaseUrl;
pub use bindings::v0_1::ai_api::plugin::types::{
    Call, Failure, FailureKind, HeaderParam, HeaderResult, HttpRequest, HttpResponse, Loss, Operation, Usage, Warning,
};
pub use bindings::v0_1::exports::ai_api::plugin::provider::{
    Batch, Begun, Completion, Credential, Ending, Event, FollowUp, Framing, Reading, Settled,
};
pub use builtin::BUILT_IN;
pub use capabilities::Import;
pub use digest::Digest;
pub use engine::Runtime;
pub use error::{CallError, LoadError};
pub use exchange::Exchange;
pub use manifest::{Manifest, Support, is_name};
pub use quarantine::Standing;
pub use registry::{Life, Plugin, Registry};
pub use shape::Shape;
pub use stats::{Fault, StatsSnapshot};
pub use witness::{Watch, Witness};
