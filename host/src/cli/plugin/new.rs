//! `ai-api plugin new`: a project that builds at once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::templates::{Language, Template};
use crate::plugin::is_name;

/// What it is called, and in which language it is written.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct New {
    /// The provider's name, the prefix in `model: NAME/model`: letters, digits, '-' and '_'
    name: String,
    /// The language
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
    /// The folder in which the project's own folder NAME is made [default: this one]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

impl New {
    /// Writes the project.
    pub(in crate::cli) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { name, lang, into } = self;
        if !is_name(&name) {
            bail!("'{}' is no provider's name: letters, digits, '-' and '_' only, 64 at most", name.escape_debug());
        }
        if name.starts_with('-') {
            bail!("'{name}' is taken for an option by every tool: begin with another character");
        }
        let project = into.unwrap_or_default().join(&name);
        refuse_what_is_there(&project)?;
        for template in lang.templates() {
            write(&project, template, &name)?;
        }
        let shown = project.display();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{shown} speaks the talk API of Acme, which is made up: make it your provider's.")?;
        writeln!(out, "Next:")?;
        writeln!(out, "  cd {shown}")?;
        writeln!(out, "  ai-api plugin build")?;
        writeln!(out, "  ai-api plugin check {name}.wasm --recordings cases")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Nothing of somebody else's is written over.
fn refuse_what_is_there(project: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(project) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| format!("can't make {}", project.display())),
    };
    if entries {
        bail!("{} is there already and not empty", project.display());
    }
    Ok(())
}

fn write(project: &Path, template: &Template, name: &str) -> anyhow::Result<()> {
    let path = project.join(template.path);
    let done = (path.parent().map_or(Ok(()), std::fs::create_dir_all))
        .and_then(|()| std::fs::write(&path, template.render(name)))
        .and_then(|()| if template.is_executable() { make_executable(&path) } else { Ok(()) });
    done.with_context(|| format!("can't write {}", path.display()))
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = std::fs::metadata(path)?.permissions();
    // Whoever may read it may run it.
    let readable = permissions.mode() & 0o444;
    permissions.set_mode(permissions.mode() | readable >> 2);
    std::fs::set_permissions(path, permissions)
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
