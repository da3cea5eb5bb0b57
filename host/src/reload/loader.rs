//! Compiles plugins on threads of their own, which stand back when calls want the processor.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::state::{Digest, LoadedPlugin};
use crate::plugin::{LoadError, Plugin, Runtime};

/// Added to the process's own niceness: calls come first, and an idle machine compiles at full speed.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Makes plugins of bytes.
pub(super) struct Loader {
    runtime: Arc<Runtime>,
    threads: rayon::ThreadPool,
}

impl Loader {
    /// One that compiles on all processors.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub(super) fn new(runtime: Arc<Runtime>) -> anyhow::Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new();
        let threads = threads.thread_name(|index| format!("compile-{index}")).start_handler(|_| stand_back()).build();
        Ok(Self { runtime, threads: threads.context("starting the threads that compile plugins")? })
    }

    /// Compiles a plugin and asks it what it is. One at a time, hence `mut`: a thread of the pool that waits for a part
    /// of one would begin with another, inside the first.
    ///
    /// # Errors
    /// It is no plugin that this host can run.
    pub(super) async fn load(
        &mut self,
        file: String,
        bytes: Vec<u8>,
        digest: Digest,
    ) -> Result<LoadedPlugin, LoadError> {
        let (began, length) = (Instant::now(), bytes.len() as u64);
        let (runtime, handle, name) = (self.runtime.clone(), Handle::current(), file.clone());
        let (done, loaded) = oneshot::channel();
        self.threads.spawn(move || {
            let compile = || handle.block_on(Plugin::load(&runtime, &name, &bytes));
            // A panic of the compiler must not end the process, which it does on a thread of this pool.
            if let Ok(loaded) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(compile)) {
                // Whoever waited may be gone with the process.
                let _ = done.send(loaded);
            }
        });
        let gave_up = |_| LoadError::NotAComponent { file, reason: "the compiler gave up on it".to_owned() };
        let plugin = Arc::new(loaded.await.map_err(gave_up)??);
        Ok(LoadedPlugin { plugin, digest, bytes: length, took: began.elapsed(), since: SystemTime::now() })
    }
}

/// No reason is longer.
const MAX_REASON_CHARS: usize = 600;

/// An error with its causes, in one line of sensible length. Compilers like to write paragraphs, and what they quote is
/// a stranger's: names of imports can be anything.
pub(super) fn in_one_line(error: LoadError) -> String {
    let text = format!("{:#}", anyhow::Error::from(error));
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    if let Some((end, _)) = line.char_indices().nth(MAX_REASON_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Lowers the priority of this thread alone: Linux counts a thread's number as a process's here.
#[cfg(target_os = "linux")]
fn stand_back() {
    let this = Some(rustix::thread::gettid());
    let lowered = rustix::process::getpriority_process(this)
        .and_then(|now| rustix::process::setpriority_process(this, now.saturating_add(NICENESS).min(19)));
    if let Err(error) = lowered {
        tracing::debug!(%error, "compiling with the same priority as calls");
    }
}

#[cfg(not(target_os = "linux"))]
fn stand_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_whatever_a_strangers_file_says() {
        let imports = |reason: &str| LoadError::Imports { file: "a.wasm".to_owned(), reason: reason.to_owned() };

        let forged = in_one_line(imports("it wants\n  `x`\r\n2026 ERROR forged \u{1b}[2J\u{0}"));
        assert_eq!(forged, "a.wasm: it wants `x` 2026 ERROR forged [2J");
        let long = in_one_line(imports(&"ü".repeat(100_000)));
        assert!(long.chars().count() == MAX_REASON_CHARS + 1 && long.ends_with('…'), "{} bytes", long.len());
    }
}
