//! Recording what plugins are given and ask for, so that another version can be compared with the same.

mod draft;
mod format;
mod recorder;

pub use format::{
    EventData, FormatError, Headers, Payload, RecordedCall, RecordedEnding, RecordedEvent, RecordedOperation,
    RecordedRequest, RecordedResponse, Recording, VERSION,
};
pub use recorder::{Options, Recorder};
