//! `json` and `canonical` as they were before they borrowed: for a plugin that isn't rewritten yet.

pub mod canonical;
pub mod json;
