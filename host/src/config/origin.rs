//! Where the configuration comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use super::environment::Environment;

/// A configuration's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// `config/config.yml` of the source, compiled in: the `echo` model and no key, for a first try.
    BuiltIn,
}

/// The folders that are searched when nobody names a file.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// Where LiteLLM's container images have it: `/app`.
    pub app: &'a Path,
    /// The folder the process was started in.
    pub current: &'a Path,
}

impl Default for Folders<'_> {
    fn default() -> Self {
        Self { app: Path::new("/app"), current: Path::new(".") }
    }
}

/// The configuration to use: `--config`, `CONFIG_FILE_PATH`, `/app/config.yaml`, `/app/config.yml`,
/// `./config.yaml`, `./config.yml`, else the built-in one. A file that was named is returned whether
/// it exists or not, so that a typo is an error and not another configuration; so is a folder of that name,
/// which a container engine makes where the file to be mounted is missing.
pub fn find(flag: Option<PathBuf>, environment: &Environment) -> Origin {
    find_in(flag, environment, Folders::default())
}

/// [`find`] with the folders as an argument.
pub fn find_in(flag: Option<PathBuf>, environment: &Environment, folders: Folders<'_>) -> Origin {
    if let Some(path) = flag.or_else(|| environment.get("CONFIG_FILE_PATH").map(PathBuf::from)) {
        return Origin::File(path);
    }
    let candidates = [folders.app, folders.current]
        .into_iter()
        .flat_map(|folder| ["config.yaml", "config.yml"].map(|name| folder.join(name)));
    candidates.into_iter().find(|path| path.exists()).map_or(Origin::BuiltIn, Origin::File)
}

impl Origin {
    /// The folder of the file; of the built-in one, the folder the process was started in.
    pub fn folder(&self) -> &Path {
        match self {
            Self::File(path) => path.parent().unwrap_or(Path::new("")),
            Self::BuiltIn => Path::new(""),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::BuiltIn => f.write_str("the built-in config.yml"),
        }
    }
}
