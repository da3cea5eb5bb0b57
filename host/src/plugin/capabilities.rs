//! What a component may import, and what it gets.
//!
//! Everything is decided by name before anything is linked, and only what may be imported is linked at all.

use wasmtime::component::{HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings;
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

use super::bindings::v0_1::ai_api::plugin::log;
use super::state::GuestState;

/// Imports by name, without version, and what stands behind each.
const GIVEN: &[(&str, &str)] = &[
    ("ai-api:plugin/log", "lines in the gateway's log, limited"),
    ("ai-api:plugin/types", "types, no functions"),
    ("wasi:cli/environment", "no variables, no arguments, no working directory"),
    ("wasi:cli/exit", "ends the call with an error"),
    ("wasi:cli/stdin", "empty"),
    ("wasi:cli/stdout", "lines in the gateway's log at debug level, limited"),
    ("wasi:cli/stderr", "lines in the gateway's log at debug level, limited"),
    ("wasi:cli/terminal-input", "no terminal"),
    ("wasi:cli/terminal-output", "no terminal"),
    ("wasi:cli/terminal-stdin", "no terminal"),
    ("wasi:cli/terminal-stdout", "no terminal"),
    ("wasi:cli/terminal-stderr", "no terminal"),
    ("wasi:clocks/monotonic-clock", "a clock"),
    ("wasi:clocks/wall-clock", "a clock"),
    ("wasi:filesystem/preopens", "no folders"),
    ("wasi:filesystem/types", "no files: there is no folder to open one in"),
    ("wasi:io/error", "errors of streams"),
    ("wasi:io/poll", "waiting for a clock, within the time of a call"),
    ("wasi:io/streams", "streams of the standard inputs and outputs"),
    ("wasi:random/insecure", "random numbers"),
    ("wasi:random/insecure-seed", "random numbers"),
    ("wasi:random/random", "random numbers"),
];

/// Imports that somebody will try, by their beginning, and why they aren't given.
const REFUSED: &[(&str, &str)] = &[
    ("wasi:http/", "a plugin has no network; the gateway sends its requests"),
    ("wasi:sockets/", "a plugin has no network; the gateway sends its requests"),
    ("wasi:keyvalue/", "nothing is shared between calls"),
    ("wasi:blobstore/", "a plugin has no storage"),
    ("wasi:filesystem/", "a plugin has no files"),
    ("wasi:config/", "the operator's settings come with each call, in its params"),
];

/// An import of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// As the component names it: `wasi:random/random@0.2.6`.
    pub name: String,
    /// What stands behind it.
    pub gets: &'static str,
}

/// What the import `name` gets.
///
/// # Errors
/// Why it is refused.
pub fn of(name: &str) -> Result<Import, String> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let wanted = if interface.starts_with("wasi:") { "0.2." } else { "0.1.0" };
    match GIVEN.iter().find(|(given, _)| *given == interface) {
        Some((_, gets)) if version.starts_with(wanted) => Ok(Import { name: name.to_owned(), gets }),
        Some(_) if interface.starts_with("wasi:") => Err(format!("imports {name}, and this host has WASI 0.2")),
        Some(_) => Err(format!("imports {name}, and this host speaks ai-api:plugin@0.1.0")),
        None => {
            let why = REFUSED.iter().find(|(refused, _)| interface.starts_with(refused)).map_or(
                "plugins get ai-api:plugin/log, and of WASI what language runtimes need to start",
                |(_, why)| why,
            );
            Err(format!("imports {name}, which plugins don't get: {why}"))
        }
    }
}

/// Streams and what can be waited for.
struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links everything that a plugin may import.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    use bindings::{cli, clocks, filesystem, io, random};
    log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    io::error::add_to_linker::<GuestState, Io>(linker, |state| state.ctx().table)?;
    io::poll::add_to_linker::<GuestState, Io>(linker, |state| state.ctx().table)?;
    io::streams::add_to_linker::<GuestState, Io>(linker, |state| state.ctx().table)?;
    clocks::wall_clock::add_to_linker::<GuestState, WasiClocks>(linker, GuestState::clocks)?;
    clocks::monotonic_clock::add_to_linker::<GuestState, WasiClocks>(linker, GuestState::clocks)?;
    random::random::add_to_linker::<GuestState, WasiRandom>(linker, GuestState::random)?;
    random::insecure::add_to_linker::<GuestState, WasiRandom>(linker, GuestState::random)?;
    random::insecure_seed::add_to_linker::<GuestState, WasiRandom>(linker, GuestState::random)?;
    filesystem::types::add_to_linker::<GuestState, WasiFilesystem>(linker, GuestState::filesystem)?;
    filesystem::preopens::add_to_linker::<GuestState, WasiFilesystem>(linker, GuestState::filesystem)?;
    cli::environment::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::exit::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::stdin::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::stdout::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::stderr::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_input::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_output::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_stdin::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_stdout::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_stderr::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_given_or_refused_by_name() {
        for (name, gets) in [
            ("ai-api:plugin/log@0.1.0", Ok("limited")),
            ("ai-api:plugin/types@0.1.0", Ok("no functions")),
            ("wasi:random/random@0.2.0", Ok("random numbers")),
            ("wasi:cli/environment@0.2.11", Ok("no variables")),
            ("wasi:random/random@0.3.0", Err("WASI 0.2")),
            ("wasi:random/random@0.20.0", Err("WASI 0.2")),
            ("wasi:random/random", Err("WASI 0.2")),
            ("ai-api:plugin/log@0.2.0", Err("ai-api:plugin@0.1.0")),
            ("wasi:http/outgoing-handler@0.2.0", Err("no network")),
            ("wasi:sockets/tcp@0.2.6", Err("no network")),
            ("wasi:cli/run@0.2.0", Err("don't get")),
            ("acme:backdoor/door@1.0.0", Err("don't get")),
            ("env", Err("don't get")),
            ("", Err("don't get")),
        ] {
            match (of(name), gets) {
                (Ok(import), Ok(gets)) => assert!(import.gets.contains(gets), "{import:?}"),
                (Err(reason), Err(says)) => assert!(reason.contains(says) && reason.contains(name), "{reason}"),
                (found, wanted) => panic!("{name}: {found:?} instead of {wanted:?}"),
            }
        }
    }
}
