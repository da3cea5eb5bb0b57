//! Embeds the plugins that the gateway ships with, built before by `make plugins`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// In the order in which they are loaded.
const PLUGINS: [&str; 4] = ["openai", "anthropic", "gemini", "echo"];

fn main() {
    let folder = target_folder().join("plugins");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut list = String::from("&[\n");
    for name in PLUGINS {
        let file = folder.join(format!("{name}.wasm"));
        println!("cargo::rerun-if-changed={}", file.display());
        if fs::copy(&file, out.join(format!("{name}.wasm"))).is_err() {
            println!("cargo::error=the plugin {name} is not built yet; run `make plugins` first");
            continue;
        }
        list.push_str(&format!("    (\"{name}\", include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))),\n"));
    }
    list.push_str("]\n");
    fs::write(out.join("plugins.rs"), list).expect("cargo's OUT_DIR can be written to");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_DIR");
}

/// Cargo doesn't tell a build script where its target folder is; it is the one that OUT_DIR is in, tagged as such.
fn target_folder() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let tagged = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    tagged.map_or_else(|| Path::new("../target").to_owned(), Path::to_owned)
}
