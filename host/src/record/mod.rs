//! Recording what plugins are given and ask for, so that another version can be compared with the same.

mod draft;
mod format;
mod headers;
mod payload;
mod recorder;

pub use format::{
    FormatError, RecordedCall, RecordedEnding, RecordedEvent, RecordedOperation, RecordedRequest, RecordedResponse,
    Recording, VERSION,
};
pub use headers::Headers;
pub use payload::{EventData, Payload};
pub use recorder::{Options, Recorder};
