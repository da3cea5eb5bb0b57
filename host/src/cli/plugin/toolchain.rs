//! A Rust toolchain that compiles for WebAssembly.
//!
//! Mostly the one that `cargo` is, with its target `wasm32-unknown-unknown`. Where that target can't be fetched (no
//! rustup, or `RUSTUP_AUTO_INSTALL=0`), Debian's rustc-web serves, which brings the standard library's source instead of
//! a compiled one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::config::Environment;

const TARGET: &str = "wasm32-unknown-unknown";

/// A stack for JSON nested 127 levels deep, where the SDK's parser stops; Rust's own default is 1 MiB.
const STACK: &str = "-C link-arg=-zstack-size=262144";
/// Vectors, which this host has on every processor.
const VECTORS: &str = "-C target-feature=+simd128";
/// A heap from the start, so that a usual call never asks for more memory. LLVM's linkers before 18 don't know it.
const HEAP: &str = "--initial-heap";
const HEAP_BYTES: usize = 640 << 10;

/// How plugins in Rust are compiled here.
#[derive(Debug)]
pub(super) enum Toolchain {
    /// `cargo` has the target.
    Own,
    /// Debian's cargo and rustc build the standard library too, for this linker.
    Debian {
        /// `rust-lld` or `wasm-ld`.
        linker: PathBuf,
    },
}

/// The part of cargo's messages that is looked at: <https://doc.rust-lang.org/cargo/reference/external-tools.html>.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Finds one, as `rustc` is in `dir`.
///
/// # Errors
/// There is none; the message says what to do.
pub(super) fn find(dir: &Path, environment: &Environment) -> anyhow::Result<Toolchain> {
    let rustc = sysroot(Command::new("rustc").current_dir(dir));
    if rustc.as_ref().is_some_and(|root| root.join("lib/rustlib").join(TARGET).join("lib").exists()) {
        return Ok(Toolchain::Own);
    }
    let rustup = in_path("rustup", environment).is_some();
    if !rustup || environment.get("RUSTUP_AUTO_INSTALL") == Some("0") {
        let debian = sysroot(&mut Command::new("/usr/bin/rustc"));
        let has_source = |root: &PathBuf| root.join("lib/rustlib/src/rust/library").exists();
        if debian.is_some_and(|root| has_source(&root)) && Path::new("/usr/bin/cargo").exists() {
            let linker = rustc.as_deref().and_then(linker_of).or_else(|| linker(environment));
            let linker = linker.context("no linker for WebAssembly is here. Run: apt-get install lld")?;
            return Ok(Toolchain::Debian { linker });
        }
    }
    match rustc {
        None => bail!("there is no Rust compiler. Install Rust, see https://rustup.rs"),
        Some(_) if rustup => bail!("the Rust target {TARGET} is missing. Run: rustup target add {TARGET}"),
        Some(_) => bail!(
            "the Rust target {TARGET} is missing. Install Rust with rustup, see https://rustup.rs, and run: rustup \
             target add {TARGET}; or, on Debian: apt-get install rustc-web cargo-web rust-web-src lld"
        ),
    }
}

fn sysroot(rustc: &mut Command) -> Option<PathBuf> {
    let output = rustc.args(["--print", "sysroot"]).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

fn path(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(environment.get("PATH").unwrap_or_default())
}

fn in_path(name: &str, environment: &Environment) -> Option<PathBuf> {
    path(environment).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The `rust-lld` of the Rust that is installed here: rustup's brings one, newer than most of Debian's.
fn linker_of(sysroot: &Path) -> Option<PathBuf> {
    let targets = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?.flatten();
    targets.map(|target| target.path().join("bin/rust-lld")).find(|file| file.is_file())
}

/// `rust-lld`, else `wasm-ld`, else the newest of Debian's `wasm-ld-14` and its like.
fn linker(environment: &Environment) -> Option<PathBuf> {
    if let Some(found) = ["rust-lld", "wasm-ld"].into_iter().find_map(|name| in_path(name, environment)) {
        return Some(found);
    }
    let versions = path(environment).filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let versions = versions.filter_map(|entry| {
        let version = entry.file_name().to_str()?.strip_prefix("wasm-ld-")?.parse::<u32>().ok()?;
        Some((version, entry.path()))
    });
    versions.max().map(|(_, file)| file)
}

impl Toolchain {
    /// Compiles the crate in `dir`; says where its module is.
    pub(super) fn compile(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        let mut cargo = match self {
            Self::Own => Command::new("cargo"),
            Self::Debian { .. } => Command::new("/usr/bin/cargo"),
        };
        cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
        // Flags of the caller are for the machine's own code, and would replace what the target is given.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        let heap = if self.links_a_heap() { format!(" -C link-arg={HEAP}={HEAP_BYTES}") } else { String::new() };
        // In the order that scripts/build-examples.sh has: to cargo another order is another build, of the standard
        // library too.
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", format!("{STACK}{heap} {VECTORS}"));
        if let Self::Debian { linker } = self {
            cargo.args(["-Z", "build-std=std,panic_abort"]);
            cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc").env_remove("RUSTUP_TOOLCHAIN");
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        let output = cargo.current_dir(dir).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.context("can't run cargo. Install Rust, see https://rustup.rs")?;
        if !output.status.success() {
            bail!("cargo failed ({})", output.status);
        }
        module_of(&dir.join("Cargo.toml"), &output.stdout)
            .context("the crate makes no module: its Cargo.toml needs crate-type = [\"cdylib\"] under [lib]")
    }
}

impl Toolchain {
    /// Whether its linker can give a module a heap. Without one a plugin asks for memory in its first call.
    fn links_a_heap(&self) -> bool {
        let Self::Debian { linker } = self else { return true };
        let mut help = Command::new(linker);
        // One program for all systems, which wants to be told which.
        if linker.file_name().is_some_and(|name| name == "rust-lld") {
            help.args(["-flavor", "wasm"]);
        }
        let help = help.arg("--help").stderr(Stdio::null()).output();
        help.is_ok_and(|help| memchr::memmem::find(&help.stdout, HEAP.as_bytes()).is_some())
    }
}

/// The module of the crate with this manifest, by what cargo said.
fn module_of(manifest: &Path, messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut ours = messages.filter(|message: &Message| message.manifest_path == manifest);
    ours.find_map(|message| message.filenames.into_iter().find(|file| file.extension().is_some_and(|e| e == "wasm")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_crates_own_and_not_one_of_a_dependency() {
        let messages = br#"{"reason":"compiler-artifact","manifest_path":"/dep/Cargo.toml","filenames":["/t/dep.wasm"]}
no json
{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/libp.rlib","/t/p.wasm"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(module_of(Path::new("/p/Cargo.toml"), messages), Some(PathBuf::from("/t/p.wasm")));
        assert_eq!(module_of(Path::new("/q/Cargo.toml"), messages), None);
    }

    #[test]
    fn the_newest_linker_is_taken_where_only_numbered_ones_are() {
        let folder = std::env::temp_dir().join(format!("ai-api-linkers-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["wasm-ld-9", "wasm-ld-14", "wasm-ld-x"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let environment = Environment::of([("PATH", folder.to_str().unwrap())]);
        assert_eq!(linker(&environment), Some(folder.join("wasm-ld-14")));
        std::fs::write(folder.join("rust-lld"), "").unwrap();
        assert_eq!(linker(&environment), Some(folder.join("rust-lld")));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
