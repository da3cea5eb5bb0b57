//! What `ai-api check` says about plugins: each file, and whether it could be loaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Sources;
use super::folder::Folder;
use super::loader::load;
use crate::config::{Environment, Loaded, Severity};
use crate::file::shown;
use crate::plugin::{BUILT_IN, LoadError, Plugin, Runtime};

/// Loads every plugin that a start would load, and adds to the report what becomes of it. Compiled code is kept in
/// `cache`.
///
/// # Errors
/// The machine can't run plugins at all.
pub async fn check(
    loaded: &mut Loaded,
    environment: &Environment,
    sources: &Sources,
    cache: Option<PathBuf>,
) -> anyhow::Result<()> {
    let folder = Folder::choose(sources.folder.as_deref(), environment, &loaded.config);
    let report = &mut loaded.report;
    let mut files = sources.files.iter().rev().cloned().collect::<Vec<_>>();
    match (folder.plugins(), folder.path()) {
        (Ok(found), path) => {
            files.extend(found.into_keys());
            if let Some(path) = path.filter(|path| !path.is_dir()) {
                report.note(Severity::Warning, path, "this plugin folder isn't there");
            }
        }
        (Err(error), Some(path)) => report.note(Severity::Error, path, format!("this folder can't be read: {error}")),
        (Err(_), None) => {}
    }
    if files.is_empty() {
        return Ok(());
    }
    // What is compiled here needs not be at the start that follows.
    let limits = loaded.config.plugin_limits.clone();
    let runtime = Arc::new(Runtime::with_limits(cache, limits).map_err(|error| anyhow::anyhow!("{error:#}"))?);
    let mut serving: Vec<(String, PathBuf)> = Vec::new();
    for file in files {
        let (name, version, short) = match describe(&runtime, &file).await {
            Ok(described) => described,
            Err(reason) => {
                report.note(Severity::Error, &file, reason);
                continue;
            }
        };
        if let Some((_, other)) = serving.iter().find(|(other, _)| *other == name) {
            let message = format!("shadowed by {}, which is called {name} too", shown(other));
            report.note(Severity::Warning, &file, message);
            continue;
        }
        let instead = if BUILT_IN.iter().any(|(own, _)| *own == name) { " instead of the built-in plugin" } else { "" };
        report.note(Severity::Honoured, &file, format!("serves {name}/…{instead}: version {version}, sha256 {short}"));
        serving.push((name, file));
    }
    report.plugin_is_there(|provider| serving.iter().any(|(name, _)| name == provider));
    Ok(())
}

/// Its name, version and digest.
async fn describe(runtime: &Arc<Runtime>, file: &Path) -> Result<(String, String, String), String> {
    let shown = shown(file);
    let loaded = match Plugin::read(runtime, file).await {
        Ok(bytes) => load(runtime, shown.clone(), bytes).await,
        Err(error) => Err(error),
    };
    match loaded {
        Ok(loaded) => {
            let manifest = &loaded.plugin.manifest;
            Ok((manifest.name.clone(), manifest.version.clone(), loaded.plugin.digest.short()))
        }
        // The report names the file already.
        Err(LoadError::Read { source, .. }) => Err(format!("can't be read: {source}")),
        Err(error) => {
            let reason = error.in_one_line();
            Err(reason.strip_prefix(&format!("{shown}: ")).map_or_else(|| reason.clone(), str::to_owned))
        }
    }
}
