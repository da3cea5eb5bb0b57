//! From bytes to a plugin, away from the threads that serve.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::state::LoadedPlugin;
use crate::plugin::{LoadError, Plugin, Runtime};

/// How long one load may take. CPython's component takes 15 s on a slow machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Compiles a plugin and asks it what it is: both may take a while, so that neither is done where calls are.
///
/// # Errors
/// It is no plugin that this host can run, or nobody knows after [`LIMIT`]. A compiler can't be interrupted: it works on,
/// and what it comes to is in the cache for the next attempt.
pub(super) async fn load(runtime: &Arc<Runtime>, file: String, bytes: Vec<u8>) -> Result<LoadedPlugin, LoadError> {
    let (began, length) = (Instant::now(), bytes.len() as u64);
    let (runtime, handle, name) = (runtime.clone(), Handle::current(), file.clone());
    let loading = move || handle.block_on(Plugin::load(&runtime, &name, &bytes));
    let plugin = match tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(loading)).await {
        Err(_) => return Err(LoadError::TookTooLong { file, seconds: LIMIT.as_secs() }),
        Ok(Ok(loaded)) => Arc::new(loaded?),
        Ok(Err(_)) => return Err(LoadError::NotAComponent { file, reason: "loading it failed".to_owned() }),
    };
    Ok(LoadedPlugin { plugin, bytes: length, took: began.elapsed(), since: SystemTime::now() })
}

/// No reason is longer.
const MAX_REASON_CHARS: usize = 600;

/// An error with its causes, in one line of sensible length. Compilers like to write paragraphs, and what they quote is
/// a stranger's: names of imports can be anything.
pub(super) fn in_one_line(error: &LoadError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let text = format!("{error}{source}");
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    if let Some((end, _)) = line.char_indices().nth(MAX_REASON_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_whatever_a_strangers_file_says() {
        let imports = |reason: &str| LoadError::Imports { file: "a.wasm".to_owned(), reason: reason.to_owned() };

        let forged = in_one_line(&imports("wants\n  `x`\r\n2026 ERROR forged \u{1b}[2J\u{0}"));
        assert_eq!(forged, "a.wasm: it wants `x` 2026 ERROR forged [2J");
        let long = in_one_line(&imports(&"ü".repeat(100_000)));
        assert!(long.chars().count() == MAX_REASON_CHARS + 1 && long.ends_with('…'), "{} bytes", long.len());
    }
}
