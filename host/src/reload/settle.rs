//! When a file has changed, and when it has stopped changing.
//!
//! A copy takes a while, and a replaced folder is gone for a moment. So what is seen on disk counts once it has been
//! the same for [`SETTLE`]; until then everything stays as it was.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

/// How long a file must have been left alone.
pub(super) const SETTLE: Duration = Duration::from_millis(100);

/// What tells a file's content from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Catches what keeps the time of modification: `cp -p` of the same length, and a right to read that was given.
    changed: (i64, i64),
}

/// What was seen of files, and what of it was acted upon.
#[derive(Debug, Default)]
pub(super) struct Settling {
    files: BTreeMap<PathBuf, File>,
}

#[derive(Debug)]
struct File {
    /// `None`: there is none.
    seen: Option<Stamp>,
    since: Instant,
    taken: Option<Stamp>,
}

// === impl Stamp ===

impl Stamp {
    /// Of the regular file at `path`, links followed; `None` where there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| Self::from(&metadata))
    }

    /// The file's length.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

// === impl Settling ===

impl Settling {
    /// Notes all files that there are at `now`; those known before and not among them are gone.
    pub(super) fn see(&mut self, now: Instant, found: BTreeMap<PathBuf, Stamp>) {
        for (path, file) in &mut self.files {
            if file.seen.is_some() && !found.contains_key(path) {
                (file.seen, file.since) = (None, now);
            }
        }
        for (path, stamp) in found {
            let file = self.files.entry(path).or_insert(File { seen: None, since: now, taken: None });
            if file.seen != Some(stamp) {
                (file.seen, file.since) = (Some(stamp), now);
            }
        }
        self.files.retain(|_, file| file.seen.is_some() || file.taken.is_some());
    }

    /// The files that differ from what was taken and have been left alone for `quiet`.
    pub(super) fn due(&self, now: Instant, quiet: Duration) -> Vec<(PathBuf, Option<Stamp>)> {
        let changed = self.files.iter().filter(|(_, file)| file.seen != file.taken);
        let settled = changed.filter(|(_, file)| now.saturating_duration_since(file.since) >= quiet);
        settled.map(|(path, file)| (path.clone(), file.seen)).collect()
    }

    /// When the next file may be due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.files.values().filter(|file| file.seen != file.taken).map(|file| file.since + SETTLE).min()
    }

    /// `stamp` of `path` was acted upon.
    pub(super) fn take(&mut self, path: &Path, stamp: Option<Stamp>) {
        if let Some(file) = self.files.get_mut(path) {
            file.taken = stamp;
        }
    }

    /// How `path` was seen last.
    pub(super) fn seen(&self, path: &Path) -> Option<Stamp> {
        self.files.get(path).and_then(|file| file.seen)
    }

    /// Everything as it was last seen was acted upon.
    pub(super) fn take_all(&mut self) {
        self.files.values_mut().for_each(|file| file.taken = file.seen);
    }

    /// `path` turned out to be changing still.
    pub(super) fn wait(&mut self, path: &Path, now: Instant) {
        if let Some(file) = self.files.get_mut(path) {
            file.since = now;
        }
    }
}

/// The files of `paths` that are there.
pub(super) fn stamps<P: AsRef<Path>>(paths: &[P]) -> BTreeMap<PathBuf, Stamp> {
    paths.iter().filter_map(|path| Some((path.as_ref().to_owned(), Stamp::of(path.as_ref())?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(bytes: u64) -> Stamp {
        Stamp { device: 1, inode: 1, bytes, modified: (0, 0), changed: (0, 0) }
    }

    fn found(files: &[(&str, u64)]) -> BTreeMap<PathBuf, Stamp> {
        files.iter().map(|(path, bytes)| (PathBuf::from(path), stamp(*bytes))).collect()
    }

    #[test]
    fn a_file_counts_once_it_has_stopped_growing() {
        let (mut settling, start) = (Settling::default(), Instant::now());
        let at = |part: u32| start + SETTLE * part / 2;
        settling.see(at(0), found(&[("a", 1)]));
        settling.see(at(1), found(&[("a", 2)]));
        assert_eq!(settling.due(at(2), SETTLE), []);
        assert_eq!(settling.next(), Some(at(3)));
        settling.see(at(3), found(&[("a", 2)]));
        assert_eq!(settling.due(at(3), SETTLE), [(PathBuf::from("a"), Some(stamp(2)))]);

        settling.take(Path::new("a"), Some(stamp(2)));
        assert_eq!((settling.due(at(9), SETTLE), settling.next()), (vec![], None));
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_never_went() {
        let (mut settling, start) = (Settling::default(), Instant::now());
        settling.see(start, found(&[("a", 1)]));
        settling.take_all();
        settling.see(start + SETTLE, found(&[]));
        assert_eq!(settling.due(start + SETTLE, SETTLE), []);
        settling.see(start + SETTLE * 2, found(&[("a", 1)]));
        assert_eq!(settling.due(start + SETTLE * 9, SETTLE), []);

        settling.see(start + SETTLE * 10, found(&[]));
        assert_eq!(settling.due(start + SETTLE * 11, SETTLE), [(PathBuf::from("a"), None)]);
        settling.take(Path::new("a"), None);
        settling.see(start + SETTLE * 12, found(&[]));
        assert!(settling.files.is_empty(), "nothing is remembered of it");
    }
}
