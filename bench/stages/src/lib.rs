//! What each stage of a call costs: in nanoseconds (`make bench-stages`), and in instructions, which are the same on a
//! busy machine and which CI therefore holds against `instructions.tsv` (`make instructions`).
//!
//! - [`inputs`]: what is measured with.
//! - [`host`]: the gateway's own stages, without any plugin; counted under callgrind by [`callgrind`].
//! - [`fuel`]: the plugins' functions, counted by wasmtime itself.
//! - [`counts`]: what was counted against what was committed.
//! - [`setup`]: a gateway in memory, for both.
//! - [`sandbox`]: a call through a plugin, timed function by function; `bench/native` does the same with the same
//!   translators without the sandbox.

pub mod callgrind;
pub mod counts;
pub mod fuel;
pub mod host;
pub mod inputs;
pub mod sandbox;
pub mod setup;
pub mod timing;
