//! The OpenAI API's own JSON: requests taken apart, answers put together.
//!
//! Requests keep what they don't know in a `rest`, so that a translator either carries it over or says that it
//! was lost. Answers are built from types that leave out what isn't there.

mod answer;
mod embedding;
mod message;
mod request;
mod stream;

pub use answer::{AssistantMessage, ChatCompletion, Choice, FinishReason, ToolCall, UsageBody};
pub use embedding::{EmbeddingInput, EmbeddingRequest, embeddings};
pub use message::{CalledTool, File, Message, Part, PartKind, Role};
pub use request::{ChatRequest, FunctionTool, JsonSchema, ResponseFormat, Tool, ToolChoice};
pub use stream::{ChunkWriter, Delta, ToolCallDelta};
