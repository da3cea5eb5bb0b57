//! Which folder plugins are dropped into, and which files in it are plugins.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::settle::Stamp;
use crate::config::{Config, Environment};

/// Beside the configuration.
const BESIDE: &str = "plugins.d";
/// In a container.
const CONTAINER: &str = "/app/plugins";

/// The folder of plugins: one that was named, or the first of the usual ones that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    candidates: Vec<PathBuf>,
    named: bool,
}

// === impl Folder ===

impl Folder {
    /// `--plugins`, else `AI_API_PLUGINS`, else `ai_api_settings.plugins`, else `plugins.d` beside the configuration,
    /// else `/app/plugins`.
    pub fn choose(flag: Option<&Path>, environment: &Environment, config: &Config) -> Self {
        let named = flag.map(Path::to_owned);
        let named = named.or_else(|| environment.get("AI_API_PLUGINS").map(PathBuf::from));
        match named.or_else(|| config.plugins.clone()) {
            Some(folder) => Self { candidates: vec![folder], named: true },
            None => {
                Self { candidates: vec![config.origin.folder().join(BESIDE), PathBuf::from(CONTAINER)], named: false }
            }
        }
    }

    /// The folder itself; `None` where nobody named one and none of the usual ones is there.
    pub fn path(&self) -> Option<&Path> {
        let there = self.candidates.iter().find(|folder| folder.is_dir());
        there.or(self.candidates.first().filter(|_| self.named)).map(PathBuf::as_path)
    }

    /// Where the folder is, or may appear.
    pub(super) fn candidates(&self) -> &[PathBuf] {
        &self.candidates
    }

    /// The plugins in it, in the order of their names. Links are followed: that is how a ConfigMap is mounted.
    ///
    /// # Errors
    /// The folder can't be read. One that isn't there has no plugins.
    pub(super) fn plugins(&self) -> io::Result<BTreeMap<PathBuf, Stamp>> {
        let Some(folder) = self.path() else { return Ok(BTreeMap::new()) };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(BTreeMap::new());
            }
            Err(error) => return Err(error),
        };
        let mut plugins = BTreeMap::new();
        for entry in entries {
            let path = entry?.path();
            if is_plugins_name(&path)
                && let Some(stamp) = Stamp::of(&path)
            {
                plugins.insert(path, stamp);
            }
        }
        Ok(plugins)
    }
}

/// Not what editors and copying tools write first: `.acme.wasm.x7Gf`, `.acme.wasm`, `acme.wasm~`, `acme.wasm.part`.
fn is_plugins_name(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_are_no_plugins() {
        for (name, is) in [
            ("acme.wasm", true),
            ("acme 2.WASM", true),
            (".acme.wasm", false),
            (".acme.wasm.x7Gf", false),
            ("acme.wasm~", false),
            ("acme.wasm.part", false),
            ("wasm", false),
            ("..data", false),
        ] {
            assert_eq!(is_plugins_name(&Path::new("/plugins").join(name)), is, "{name}");
        }
    }
}
