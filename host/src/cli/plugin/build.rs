//! `ai-api plugin build`: a project's folder in, a component out.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use ai_api_plugin_build::{componentize, is_core_module};
use anyhow::{Context, bail};

use super::toolchain;
use crate::config::Environment;

/// Where a project's `build.sh` leaves what it makes.
const BUILT: &str = "build/plugin.wasm";

/// What to build.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Build {
    /// The project's folder: with a `build.sh`, or else a Cargo.toml
    #[arg(default_value = ".", conflicts_with = "module")]
    dir: PathBuf,
    /// Make a plugin of this core module, which has its WIT inside: what a compiler for WebAssembly leaves
    #[arg(long, value_name = "CORE.wasm", requires = "out")]
    module: Option<PathBuf>,
    /// Where the plugin goes [default: DIR/NAME.wasm, where NAME is what the folder is called]
    #[arg(long, value_name = "FILE.wasm")]
    out: Option<PathBuf>,
}

impl Build {
    /// Builds it.
    pub(in crate::cli) fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let Self { dir, module, out } = self;
        let module = match &module {
            Some(module) => module.clone(),
            None => compile(&dir, environment)?,
        };
        let out = match out {
            Some(out) => out,
            None if dir == Path::new(".") => PathBuf::from(file_name(&dir)?),
            None => dir.join(file_name(&dir)?),
        };
        let bytes = super::read(&module)?;
        let component = if is_core_module(&bytes) {
            componentize(&bytes).with_context(|| format!("{} is no plugin's module", module.display()))?
        } else if bytes.starts_with(b"\0asm") {
            bytes
        } else {
            bail!("{} is not WebAssembly", module.display());
        };
        std::fs::write(&out, &component).with_context(|| format!("can't write {}", out.display()))?;
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "built {} ({})", out.display(), size(component.len()))?;
        writeln!(stdout, "Next: ai-api plugin check {}", out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `NAME.wasm`
pub(super) fn file_name(dir: &Path) -> anyhow::Result<OsString> {
    let whole = dir.canonicalize().with_context(|| format!("can't find {}", dir.display()))?;
    let mut name = whole.file_name().with_context(|| format!("{} has no name: say --out", dir.display()))?.to_owned();
    name.push(".wasm");
    Ok(name)
}

fn size(bytes: usize) -> String {
    if bytes < 1 << 20 {
        format!("{} KB", bytes.div_ceil(1 << 10))
    } else {
        format!("{:.1} MB", bytes as f64 / 1048576.0)
    }
}

/// Has the project's own tools make a module or a component; says where it is.
fn compile(dir: &Path, environment: &Environment) -> anyhow::Result<PathBuf> {
    let dir = dir.canonicalize().with_context(|| format!("can't find {}", dir.display()))?;
    let script = dir.join("build.sh");
    if script.exists() {
        let status = Command::new(&script).current_dir(&dir).stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("can't run {}", script.display()))?;
        if !status.success() {
            bail!("{} failed ({status})", script.display());
        }
        let built = dir.join(BUILT);
        if !built.exists() {
            bail!("{} left no {BUILT}", script.display());
        }
        return Ok(built);
    }
    if dir.join("Cargo.toml").exists() {
        return toolchain::find(&dir, environment)?.compile(&dir);
    }
    bail!("{} has neither a build.sh nor a Cargo.toml", dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_called_as_its_folder() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(file_name(here).unwrap(), "host.wasm");
        assert_eq!(file_name(&here.join("src/..")).unwrap(), "host.wasm");
        assert!(file_name(Path::new("/")).is_err());
        assert!(file_name(&here.join("nowhere")).is_err());
    }

    #[test]
    fn sizes_are_told_in_units_that_can_be_read() {
        assert_eq!((size(1), size(38_953), size(18_366_223)), ("1 KB".into(), "39 KB".into(), "17.5 MB".into()));
    }
}
