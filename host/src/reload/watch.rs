//! The kernel's word that something changed: a reason to look, nothing more.
//!
//! What changed is looked up afterwards, so that events that come late, twice, or about something else do no harm, and
//! events that never come (NFS, some container mounts) only cost time: somebody looks every few seconds anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// How many links may lead from one to the next.
const MAX_LINKS: usize = 16;

/// Watches folders, and says when to look.
pub(super) struct Watcher {
    /// `None` where the system has no events.
    watcher: Option<RecommendedWatcher>,
    folders: Folders,
    changed: Arc<Notify>,
}

/// Folders by their real paths, with what tells a folder from another that took its place.
pub(super) type Folders = BTreeMap<PathBuf, (u64, u64)>;

impl Watcher {
    /// One that watches nothing yet.
    pub(super) fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let tell = changed.clone();
        let told = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_a_change(event.kind) && !is_of_a_database(&event.paths)) {
                tell.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(told).inspect_err(|error| {
            tracing::warn!(%error, "the system tells no changes of files; looking for them every few seconds");
        });
        Self { watcher: watcher.ok(), folders: Folders::new(), changed }
    }

    /// Waits until something changed since the last time.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Watches these folders from now on, and no others.
    pub(super) fn watch(&mut self, wanted: Folders) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in self.folders.iter().filter(|(path, id)| wanted.get(*path) != Some(id)).map(|(path, _)| path) {
            // The kernel has forgotten a folder that is gone already.
            let _ = watcher.unwatch(folder);
        }
        let mut news = false;
        for (folder, _) in wanted.iter().filter(|(path, id)| self.folders.get(*path) != Some(id)) {
            news = true;
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %crate::file::shown(folder), "can't be watched; it is looked at every few seconds");
            }
        }
        self.folders = wanted;
        if news {
            // What happened between the last look and the watch has no event.
            self.changed.notify_one();
        }
    }
}

/// Reading is none, or every look would be a reason for the next.
fn is_a_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// The gateway's own database may be in the folder of the configuration, and is written with every other call.
fn is_of_a_database(paths: &[PathBuf]) -> bool {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        [&b".db"[..], b".sqlite", b".sqlite3", b"-wal", b"-shm", b"-journal"].iter().any(|end| name.ends_with(end))
    };
    !paths.is_empty() && paths.iter().all(is_one)
}

/// The folders in which `paths` can appear, disappear or be replaced: their own, and those of all links on the way.
pub(super) fn folders_of<'a>(paths: impl Iterator<Item = &'a Path>) -> Folders {
    let mut folders = BTreeSet::new();
    for path in paths {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            folders.extend(existing_parent(&path));
            let Ok(target) = std::fs::read_link(&path) else { break };
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        if path.is_dir() {
            folders.extend(path.canonicalize());
        }
    }
    let identified = folders.into_iter().filter_map(|folder| {
        let metadata = std::fs::metadata(&folder).ok()?;
        Some((folder, (metadata.dev(), metadata.ino())))
    });
    identified.collect()
}

/// The nearest folder above `path` that is there.
fn existing_parent(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    absolute.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_writes_beside_the_configuration_is_no_reason_to_look() {
        let paths =
            |names: &[&str]| names.iter().map(|name| PathBuf::from(format!("/config/{name}"))).collect::<Vec<_>>();
        for name in ["ai-api.db", "ai-api.db-wal", "ai-api.db-shm", "ai-api.db-journal", "keys.sqlite", "keys-wal"] {
            assert!(is_of_a_database(&paths(&[name])), "{name}");
        }
        for names in [&["config.yml"][..], &["ai-api.db", "config.yml"], &["db"], &["..data"], &[]] {
            assert!(!is_of_a_database(&paths(names)), "{names:?}");
        }
    }
}
