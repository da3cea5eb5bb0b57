//! Counts the gateway's own stages under valgrind's callgrind.
//!
//! This binary starts itself under valgrind, which counts only inside of `counted_runs` and writes what it counted each
//! time that function returns: set-up and warm-up cost time but aren't counted, and one run does for all stages.
//! (gungraun does more of this, and wants a runner of its own version installed, which CI would compile for minutes; what
//! it compares with is the last run on the same machine, and not a file that is committed.)
//!
//! No plugin runs here: valgrind knows nothing of code that is made at run time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::counts::{Count, Kind};
use crate::host::{STAGES, Stage};

/// Only this processor's counts are in the file.
const ARCHITECTURE: &str = "x86_64";
/// So often a stage is run before it is counted: what is made once is made then.
const WARM_UP: u32 = 3;

/// Why nothing can be counted here; `None` where it can.
pub fn impossible() -> Option<String> {
    if std::env::consts::ARCH != ARCHITECTURE {
        return Some(format!(
            "the committed counts are those of {ARCHITECTURE}, and this is {}",
            std::env::consts::ARCH
        ));
    }
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => None,
        _ => Some("valgrind is not installed; on Debian: apt-get install valgrind".to_owned()),
    }
}

/// Counts all stages, by starting this binary's `under_callgrind` with `argument`.
///
/// # Errors
/// Valgrind failed, or counted another number of stages.
pub fn count(argument: &str) -> anyhow::Result<Vec<Count>> {
    let folder = Folder::new()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--compress-strings=no", "--compress-pos=no"])
        // Two patterns for the one function: of one pattern callgrind keeps one option only.
        .args(["--toggle-collect=*counted_runs*", "--dump-after=*callgrind*counted_runs*"])
        .arg(format!("--callgrind-out-file={}", folder.0.join("out").display()))
        .arg(std::env::current_exe().context("this binary has a path")?)
        .arg(argument)
        .stdin(Stdio::null())
        .output()
        .context("can't start valgrind")?;
    if !output.status.success() {
        bail!("under valgrind, {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    STAGES.iter().zip(1..).map(|(stage, number)| folder.count(stage, number)).collect()
}

/// What the child does: every stage in its order.
///
/// # Errors
/// A stage can't be set up.
pub fn under_callgrind() -> anyhow::Result<()> {
    for stage in STAGES {
        let mut run = (stage.set_up)().with_context(|| format!("stage '{}'", stage.name))?;
        (0..WARM_UP).for_each(|_| run());
        counted_runs(&mut *run, stage.times);
    }
    Ok(())
}

/// What is counted. Callgrind knows it by its name.
#[inline(never)]
fn counted_runs(run: &mut dyn FnMut(), times: u32) {
    for _ in 0..times {
        run();
    }
}

/// Where callgrind writes; removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("ai-api-bench-callgrind-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
        Ok(Self(path))
    }

    /// What one run of the stage costs, of the dump with this number.
    fn count(&self, stage: &Stage, number: usize) -> anyhow::Result<Count> {
        let dump = self.0.join(format!("out.{number}"));
        let total = total(&dump).with_context(|| format!("stage '{}'", stage.name))?;
        ensure!(total > 0, "stage '{}': callgrind counted nothing; has the binary its symbols?", stage.name);
        Ok(Count { kind: Kind::Host, stage: stage.name.to_owned(), count: total / u64::from(stage.times) })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The sum in one of callgrind's files.
fn total(dump: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(dump).context("callgrind wrote no count")?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    line.and_then(|sum| sum.trim().parse().ok()).context("callgrind's file has no total")
}
