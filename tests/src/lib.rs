//! The harness of the end-to-end tests: the real binary between a fake upstream and an OpenAI-like client.
//!
//! [`FakeUpstream`] plays a provider over real sockets, scripted by [`Reply`] down to the byte; [`Gateway`] is the
//! `ai-api` binary as a child process; [`Client`] talks to it as an application would and reads its streams
//! strictly. Nothing here sleeps to "wait enough": tests hold the upstream back with a [`Gate`] and await what
//! they look for.

#![allow(clippy::indexing_slicing, reason = "test code: a panic is a failed test, with the line that did it")]

mod client;
mod eventually;
mod fake_upstream;
mod gateway;
mod meaning;
mod port;
mod postgres;
mod raw;
mod recordings;
mod redis;
mod relay;
mod reply;
mod rng;
mod sse;
mod temp_dir;
mod transcript;
mod versioned;
mod wires;

pub use client::{Answer, Client, LiveStream, check_error};
pub use eventually::{eventually, eventually_async, within};
pub use fake_upstream::{FakeUpstream, Received};
pub use gateway::{Builder, Gateway, MASTER_KEY, Run, example, examples, guest, shipped};
pub use meaning::{Meaning, ToolCall};
pub use port::{NoTls, Port};
pub use postgres::{PASSWORD, Postgres};
pub use raw::Raw;
pub use recordings::{Recording, recordings, shared_json};
pub use redis::RedisServer;
pub use relay::Relay;
pub use reply::{Framing, Gate, Reply, Step};
pub use rng::Rng;
pub use sse::{Decoder, Event};
pub use temp_dir::TempDir;
pub use transcript::Transcript;
pub use versioned::{patched, versioned};
pub use wires::Wire;
