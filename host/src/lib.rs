//! AI-API: one OpenAI-compatible door to all AI providers.
//!
//! A gateway that takes LiteLLM's `config.yml` and the OpenAI API, and asks whichever provider serves a model. The
//! translators are WebAssembly components in a sandbox; they see neither keys nor sockets.
//!
//! Read [`pipeline`] first: it is the path of a request, and the only place that knows all steps. The modules, in the
//! order in which a request meets them: [`api`], [`auth`], [`pipeline`], [`canonical`], [`precall`], [`router`], [`plugin`],
//! [`upstream`], [`stream`], [`usage`]; around them [`cli`], [`config`], [`app`], [`health`], [`reload`] and [`telemetry`].

pub mod accounts;
pub mod admission;
pub mod api;
pub mod app;
pub mod auth;
pub mod canonical;
pub mod cli;
pub mod config;
pub mod conformance;
mod file;
pub mod health;
pub mod keys;
pub mod limits;
mod minute;
pub mod money;
pub mod pipeline;
pub mod plugin;
pub mod precall;
pub mod prices;
pub mod record;
pub mod reload;
pub mod replay;
pub mod router;
pub mod spend;
pub mod store;
pub mod stream;
pub mod telemetry;
pub mod upstream;
pub mod usage;
