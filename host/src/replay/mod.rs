//! Calls played to a plugin without a network: what the gateway would have it do, with answers from a file.
//!
//! A plugin is a pure function of what it is given, so two versions of one can be compared exactly ([`gate`]), and one
//! can be tried out without a provider. [`drive`] is the pipeline's way through a plugin, with its checks, less the
//! sockets.

pub mod diff;
pub mod drive;
pub mod gate;
pub mod meaning;
mod scene;
pub mod view;

pub use drive::{Cuts, End, Played, play};
pub use scene::{Answer, Content, Scene};
