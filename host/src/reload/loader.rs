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
