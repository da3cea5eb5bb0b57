//! Promises to users, one file each, kept by the real binary over real sockets.

#![allow(clippy::indexing_slicing, reason = "test code: a panic is a failed test, with the line that did it")]

mod accounting;
mod backpressure;
mod capabilities;
mod chaos;
mod cloud;
mod conformance;
mod connections;
mod differential;
mod disconnects;
mod drain;
mod examples;
mod exceptions;
mod failover;
mod fallbacks;
mod faults_midstream;
mod goldens;
mod harness;
mod http;
mod http_auth;
mod http_errors;
mod isolation;
mod leaks;
mod limits;
mod matrix;
mod memory_scan;
mod model_names;
mod odd_answers;
mod operator;
mod params;
mod plugin_cli;
mod plugins_folder;
mod quarantine;
mod record;
mod recorded_outcomes;
mod refusals;
mod reload;
mod replay;
mod reuse;
mod stream;
mod swap;
mod trio;
mod upgrade;
mod wit_reference;
