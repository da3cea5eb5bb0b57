//! The plugins inside the binary. They are components like any other, and get nothing that others don't.

/// Names and bytes, in the order in which they are loaded.
pub const BUILT_IN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/plugins.rs"));
