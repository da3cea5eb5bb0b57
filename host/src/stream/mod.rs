//! Streams: bytes to events, events to the client's bytes.

mod aws;
mod decode;
mod frame;
mod json_lines;
mod sse;

pub use decode::{Decoder, StreamError, StreamEvent};
pub use frame::{DONE, data_frame, push_data_frame};
pub use sse::SseDecoder;
