//! Canonical JSON, the OpenAI API's own, as far as the host looks into it.
//!
//! The host never parses a body whole: it looks at the top level, splices, and forwards the bytes.

mod answer;
mod edit;
mod error;
mod request;
mod usage;
mod wait;

pub use answer::{AnswerView, ChunkView, carries_content, is_object};
pub use edit::Edits;
pub use error::{ProviderError, error_type};
pub use request::{BadBody, RequestBody};
