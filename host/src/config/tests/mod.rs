//! Whole configurations: what a file and an environment make together.

mod database;
mod deployment_routing;
mod deployments;
mod examples;
mod files;
mod redis;
mod refusals;
mod routing;
mod successors;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A folder of configuration files that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ai-api-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        for (path, text) in files {
            let path = folder.0.join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder"))
                .expect("the temporary folder is writable");
            fs::write(path, text).expect("the temporary folder is writable");
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind is only untidy.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The variables of one environment.
fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables.iter().copied())
}

/// Loads a text as `config.yml`.
fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let folder = Folder::with(&[("config.yml", text)]);
    load(Origin::File(folder.path("config.yml")), &environment(variables))
}

/// Loads a text that must be fine.
fn loaded(text: &str, variables: &[(&str, &str)]) -> Loaded {
    load_text(text, variables).unwrap_or_else(|error| panic!("{error}"))
}

/// The errors of a text, `line: path: message` each.
fn errors_of(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load_text(text, variables) {
        Err(ConfigError::Invalid(report)) => told(&report, Severity::Error),
        Err(error) => panic!("{error}"),
        Ok(_) => Vec::new(),
    }
}

/// The findings of one severity, `line: path: message` each.
fn told(report: &Report, severity: Severity) -> Vec<String> {
    report.of(severity).map(|finding| format!("{}: {}: {}", finding.line, finding.path, finding.message)).collect()
}

fn example(path: &str) -> PathBuf {
    Path::new(EXAMPLES).join(path)
}

/// `config/` of the source.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");
