//! Events for the client.

use bytes::Bytes;

/// What ends a stream that is complete.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// Appends one event.
pub fn push_data_frame(out: &mut Vec<u8>, data: &[u8]) {
    out.reserve(data.len() + 8);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// One event.
pub fn data_frame(data: &[u8]) -> Bytes {
    let mut out = Vec::new();
    push_data_frame(&mut out, data);
    out.into()
}
