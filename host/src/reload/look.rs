//! One look at the disk: what is there, and what to watch for the next.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::settle::{Stamp, stamps};
use super::watch::{self, Folders};

/// What one look brought.
pub(super) struct Look {
    /// The plugins in the folder, if it can be read.
    pub folder: io::Result<BTreeMap<PathBuf, Stamp>>,
    /// Where it is.
    pub folder_path: Option<PathBuf>,
    /// The plugins that were named as files.
    pub named: BTreeMap<PathBuf, Stamp>,
    /// The configuration's files.
    pub config: BTreeMap<PathBuf, Stamp>,
    /// Where the next change shows.
    pub watched: Folders,
}

impl Look {
    /// Looks. It asks the disk, so not on a thread that serves calls.
    pub(super) fn at(folder: &Folder, named: &[PathBuf], config: &[PathBuf]) -> Self {
        let plugins = folder.plugins();
        let found: Vec<PathBuf> = plugins.iter().flatten().map(|(path, _)| path.clone()).collect();
        let candidates = folder.candidates().iter();
        let paths = candidates.chain(named).chain(config).chain(&found).map(PathBuf::as_path);
        Self {
            folder_path: folder.path().map(Path::to_owned),
            named: stamps(named),
            config: stamps(config),
            watched: watch::folders_of(paths),
            folder: plugins,
        }
    }
}
