//! From a file's bytes to a plugin that is ready: every check in order, each with a reason in one sentence.
//!
//! ```text
//! size -> magic -> bounds -> compile -> role and version -> imports -> functions -> limits -> describe -> manifest -> warm up
//! ```

use std::sync::Arc;

use wasmtime::ResourcesRequired;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::account::{Account, Accounts};
use super::bindings::v0_1::ProviderPluginPre;
use super::capabilities::{self, Import};
use super::exchange::Exchange;
use super::idle::IdleInstances;
use super::{CallError, Digest, LoadError, Manifest, Plugin, Runtime, bounds};
use crate::config::PluginLimits;

/// The interface that a provider exports.
const PROVIDER: &str = "ai-api:plugin/provider@0.1.0";
/// The version of the package that this host speaks.
const SPOKEN: (u64, u64, u64) = (0, 1, 0);
/// What the interface has.
const FUNCTIONS: [&str; 6] = [
    "describe",
    "[static]exchange.begin",
    "[method]exchange.head",
    "[method]exchange.whole",
    "[method]exchange.events",
    "[method]exchange.end",
];

/// Loads a component.
pub(super) async fn load(runtime: &Runtime, file: &str, bytes: &[u8]) -> Result<Plugin, LoadError> {
    let file = || file.to_owned();
    let table = runtime.limits();
    check_size(&file(), bytes.len() as u64, table.max_wasm_bytes)?;
    check_magic(&file(), bytes)?;
    bounds::check(bytes).map_err(|reason| LoadError::TooComplex { file: file(), reason })?;
    let (component, digest) = compile(runtime, &file(), bytes).await?;
    check_role(runtime, &component, &file())?;
    let imports = check_imports(runtime, &component, &file())?;
    check_functions(runtime, &component, &file())?;
    let pre = (runtime.linker.instantiate_pre(&component))
        .and_then(ProviderPluginPre::new)
        .map_err(|error| LoadError::Interface { file: file(), reason: format!("{error:#}") })?;
    // It has no name yet that limits could belong to: the operator trusts some plugin with as much.
    let asked = Accounts::default().open(&file(), &digest, table.most(), false);
    let manifest = describe(&pre, &Arc::new(asked), &file()).await?;

    let limits = runtime.within_pool(*table.of(&manifest.name));
    check_limits(&component, &limits, &file())?;
    let account = Arc::new(runtime.accounts.open(&manifest.name, &digest, limits, false));
    // Once more, under its own limits: it warms the instance's slot up, and a pure function says the same again.
    let again = describe(&pre, &account, &file()).await?;
    if format!("{manifest:?}") != format!("{again:?}") {
        return Err(LoadError::Unsteady { file: file() });
    }
    let idle = manifest.reusable.then(|| IdleInstances::new(limits.idle_instances));
    Ok(Plugin { manifest, digest, imports, account, idle, pre, watch: runtime.watch.clone() })
}

/// Whether a file is no larger than a plugin may be.
pub(super) fn check_size(file: &str, bytes: u64, most: usize) -> Result<(), LoadError> {
    if bytes <= most as u64 {
        return Ok(());
    }
    Err(LoadError::TooLarge { file: file.to_owned(), mebibytes: bytes.div_ceil(1 << 20), most: most >> 20 })
}

fn check_magic(file: &str, bytes: &[u8]) -> Result<(), LoadError> {
    let not = |reason: &str| Err(LoadError::NotAComponent { file: file.to_owned(), reason: reason.to_owned() });
    match bytes {
        [] => not("it is empty"),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            not("it is a core module; `ai-api plugin build` makes a component of it")
        }
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', _, _, _, _, ..] => {
            not("it is of a version of WebAssembly that this host doesn't know")
        }
        [b'\0', b'a', b's', b'm', ..] => not("it ends in its first 8 bytes; is it written yet?"),
        _ => not("it is not WebAssembly"),
    }
}

/// Compiles, away from the threads that serve.
async fn compile(runtime: &Runtime, file: &str, bytes: &[u8]) -> Result<(Component, Digest), LoadError> {
    let (engine, bytes) = (runtime.engine.clone(), bytes.to_vec());
    let compiled = runtime.compiler.run(move || {
        let digest = Digest::of(&bytes);
        Component::new(&engine, &bytes).map(|component| (component, digest))
    });
    let file = file.to_owned();
    match compiled.await {
        Ok(Ok(compiled)) => Ok(compiled),
        Ok(Err(error)) => {
            let reason = format!("{error:#}");
            // The pool's word: it has no slot for a component of this size.
            if reason.contains("exceeds the") && (reason.contains("configured maximum") || reason.contains("limit")) {
                return Err(LoadError::Limits { file, reason });
            }
            let reason = if reason.contains("unexpected end") || reason.contains("out of bounds") {
                format!("it ends too early ({reason}); is it written yet?")
            } else {
                reason
            };
            Err(LoadError::NotAComponent { file, reason })
        }
        Err(_) => Err(LoadError::NotAComponent { file, reason: "the compiler failed over it".to_owned() }),
    }
}

/// Tells a component of another version, or of another world, by its exports.
fn check_role(runtime: &Runtime, component: &Component, file: &str) -> Result<(), LoadError> {
    let ty = component.component_type();
    let names: Vec<&str> = ty.exports(&runtime.engine).map(|(name, _)| name).collect();
    if names.contains(&PROVIDER) {
        return Ok(());
    }
    let file = file.to_owned();
    match names.into_iter().find(|name| name.starts_with("ai-api:plugin/")) {
        Some(found) => Err(LoadError::WrongVersion { file, found: found.to_owned(), advice: advice(found) }),
        None => Err(LoadError::NoRole { file }),
    }
}

/// What to do about a component that was built against another version.
fn advice(export: &str) -> &'static str {
    let mut numbers = export.rsplit('@').next().unwrap_or_default().split('.').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten().unwrap_or(0_u64);
    if (next(), next(), next()) > SPOKEN {
        "which is newer: update the gateway"
    } else {
        "which is older: build the plugin anew"
    }
}

fn check_imports(runtime: &Runtime, component: &Component, file: &str) -> Result<Vec<Import>, LoadError> {
    let ty = component.component_type();
    let imports = ty.imports(&runtime.engine).map(|(name, _)| capabilities::of(name));
    imports.collect::<Result<_, _>>().map_err(|reason| LoadError::Imports { file: file.to_owned(), reason })
}

/// Names a function that the interface has and the component hasn't.
fn check_functions(runtime: &Runtime, component: &Component, file: &str) -> Result<(), LoadError> {
    let ty = component.component_type();
    let provider = ty.get_export(&runtime.engine, PROVIDER).map(|found| found.ty);
    let interface = |reason| Err(LoadError::Interface { file: file.to_owned(), reason });
    let Some(ComponentItem::ComponentInstance(provider)) = provider else {
        return interface(format!("its export {PROVIDER} is no interface"));
    };
    for function in FUNCTIONS {
        match provider.get_export(&runtime.engine, function).map(|found| found.ty) {
            Some(ComponentItem::ComponentFunc(_)) => {}
            _ => return interface(format!("{PROVIDER} lacks the function {function}")),
        }
    }
    Ok(())
}

/// Whether what it needs from the beginning is within what it may have.
pub(super) fn check_limits(component: &Component, limits: &PluginLimits, file: &str) -> Result<(), LoadError> {
    let Some(ResourcesRequired { num_memories, max_initial_memory_size, num_tables, max_initial_table_size }) =
        component.resources_required()
    else {
        return Ok(());
    };
    let needs = |needs: u64, what: &str, most: usize, key: &str, unit: usize| {
        let most = most / unit;
        if needs <= most as u64 {
            return Ok(());
        }
        Err(LoadError::Limits {
            file: file.to_owned(),
            reason: format!("it needs {needs} {what}, and its limit is {most} (plugin_limits: {key})"),
        })
    };
    needs(num_memories.into(), "linear memories", limits.memories, "memories", 1)?;
    needs(num_tables.into(), "tables", limits.tables, "tables", 1)?;
    needs(max_initial_table_size.unwrap_or(0), "table elements", limits.table_elements, "table_elements", 1)?;
    // Wasm counts memory in pages of 64 KiB.
    let mebibytes = max_initial_memory_size.unwrap_or(0).div_ceil(16);
    needs(mebibytes, "MiB of memory to start", limits.memory_bytes, "memory_mb", 1 << 20)
}

/// Asks the component what it is, in an instance of its own.
async fn describe(
    pre: &ProviderPluginPre<super::state::GuestState>,
    account: &Arc<Account>,
    file: &str,
) -> Result<Manifest, LoadError> {
    let file = file.to_owned();
    match Exchange::describe(pre, account).await {
        Ok(raw) => Manifest::try_from(raw).map_err(|reason| LoadError::Manifest { file, reason }),
        // No call is under way for it: what is used up is its own share.
        Err(CallError::Busy(reason)) if reason.contains("limit") => Err(LoadError::Limits { file, reason }),
        Err(error) => Err(LoadError::Describe { file, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_say_what_a_file_is() {
        for (bytes, says) in [
            (&b""[..], "empty"),
            (b"#!/bin/sh", "not WebAssembly"),
            (b"\0as", "not WebAssembly"),
            (b"\0asm\x0d", "first 8 bytes"),
            (b"\0asm\x01\0\0\0", "core module; `ai-api plugin build`"),
            (b"\0asm\x02\0\0\0", "version of WebAssembly"),
        ] {
            let error = check_magic("x.wasm", bytes).expect_err("no component").to_string();
            assert!(error.starts_with("x.wasm: ") && error.contains(says), "{bytes:?}: {error}");
        }
        assert!(check_magic("x.wasm", b"\0asm\x0d\0\x01\0").is_ok());
    }

    #[test]
    fn a_version_is_older_or_newer() {
        for (export, says) in [
            ("ai-api:plugin/provider@0.0.9", "older"),
            ("ai-api:plugin/provider@0.1.1", "newer"),
            ("ai-api:plugin/provider@0.9.0", "newer"),
            ("ai-api:plugin/provider@1.0.0", "newer"),
            ("ai-api:plugin/provider", "older"),
        ] {
            assert!(advice(export).contains(says), "{export}");
        }
    }
}
