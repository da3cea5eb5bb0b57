//! What was found while reading a configuration: the text of `ai-api check`, and of the start-up log.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::node::Place;

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The key does what LiteLLM's documentation says.
    Honoured,
    /// The key is accepted and does nothing here; the message says why.
    Ignored,
    /// Something the operator should know, such as a variable that is not set.
    Warning,
    /// The configuration can't be used.
    Error,
}

/// One thing to know about one key.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file as it was named, or `environment`.
    pub file: Arc<str>,
    /// Counted from 1; 0 when there is no line to point at.
    pub line: u64,
    /// Where in the configuration, e.g. `model_list[0].litellm_params.api_key`; empty for the whole file.
    pub path: String,
    /// What there is to say, without a secret in it; empty for a key that is simply honoured.
    pub message: String,
    /// The provider that only a plugin could serve, where this warns that none may be there.
    pub needs_plugin: Option<String>,
}

/// All findings, in the order of files and lines.
#[derive(Clone, Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    files: Vec<PathBuf>,
}

// === impl Finding ===

impl fmt::Display for Finding {
    /// `config.yml:12: model_list[0].litellm_params.timeout: expected a number of seconds, got "abc"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.position())?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl Finding {
    fn position(&self) -> String {
        match self.line {
            0 => self.file.to_string(),
            line => format!("{}:{line}", self.file),
        }
    }
}

// === impl Report ===

impl Report {
    /// Every finding.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The files that were read, or should have been: whoever waits for a change of them looks here.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Takes back the warnings that a provider needs a plugin, for the providers that have one.
    pub fn plugin_is_there(&mut self, has_plugin: impl Fn(&str) -> bool) {
        self.findings.retain(|finding| !finding.needs_plugin.as_deref().is_some_and(&has_plugin));
    }

    /// The findings of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity)
    }

    /// Whether the configuration can't be used.
    pub fn has_errors(&self) -> bool {
        self.of(Severity::Error).next().is_some()
    }

    /// One line for each finding: `config.yml:12  model_list[0].litellm_params.tpm  ignored: rate limits are not enforced yet`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn render(&self, writer: &mut impl io::Write) -> io::Result<()> {
        for finding in &self.findings {
            write!(writer, "{}  ", finding.position())?;
            if !finding.path.is_empty() {
                write!(writer, "{}  ", finding.path)?;
            }
            let label = match finding.severity {
                Severity::Honoured => "honoured",
                Severity::Ignored => "ignored",
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            match finding.message.as_str() {
                "" => writeln!(writer, "{label}")?,
                message => writeln!(writer, "{label}: {message}")?,
            }
        }
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        place: &Place,
        path: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity,
            file: place.file.clone(),
            line: place.line,
            path: path.into(),
            message: message.into(),
            needs_plugin: None,
        });
    }

    /// Adds something about another file, which isn't part of the configuration.
    pub fn note(&mut self, severity: Severity, file: &Path, message: impl Into<String>) {
        let place = Place { file: file.display().to_string().into(), line: 0 };
        self.add(severity, &place, "", message);
    }

    pub(super) fn warn_of_plugin(&mut self, place: &Place, path: String, provider: &str, message: String) {
        let (severity, file, needs_plugin) = (Severity::Warning, place.file.clone(), Some(provider.to_owned()));
        self.findings.push(Finding { severity, file, line: place.line, path, message, needs_plugin });
    }

    pub(super) fn was_read(&mut self, files: Vec<PathBuf>) {
        self.files = files;
    }

    pub(super) fn warn(&mut self, place: &Place, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Warning, place, path, message);
    }

    pub(super) fn error(&mut self, place: &Place, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, place, path, message);
    }

    /// Sorts by file, in the order of reading, and line. A key that there is more to say about is not
    /// called honoured as well.
    pub(super) fn finish(mut self, files: &[Arc<str>]) -> Self {
        let position = |finding: &Finding| (finding.file.clone(), finding.line, finding.path.clone());
        let remarks: HashSet<_> =
            self.findings.iter().filter(|finding| finding.severity > Severity::Ignored).map(position).collect();
        self.findings.retain(|finding| finding.severity != Severity::Honoured || !remarks.contains(&position(finding)));
        // An entry that became several deployments was looked at several times.
        let mut told = HashSet::new();
        self.findings.retain(|finding| told.insert(format!("{:?} {finding}", finding.severity)));
        let rank = |file: &Arc<str>| files.iter().position(|known| known == file).unwrap_or(files.len());
        self.findings.sort_by_cached_key(|finding| (rank(&finding.file), finding.line));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_for_each_finding_in_the_order_of_the_file() {
        let file: Arc<str> = "config.yml".into();
        let at = |line| Place { file: file.clone(), line };
        let mut report = Report::default();
        report.add(Severity::Ignored, &at(12), "model_list[0].litellm_params.tpm", "rate limits are not enforced yet");
        report.add(Severity::Honoured, &at(3), "model_list[0].model_name", "");
        report.error(&at(0), "", "it is empty");

        let mut text = Vec::new();
        report.finish(&[file]).render(&mut text).expect("a vector takes everything");

        assert_eq!(
            String::from_utf8(text).expect("the report is text"),
            "config.yml  error: it is empty\n\
             config.yml:3  model_list[0].model_name  honoured\n\
             config.yml:12  model_list[0].litellm_params.tpm  ignored: rate limits are not enforced yet\n"
        );
    }

    #[test]
    fn a_key_with_an_error_is_not_called_honoured_as_well() {
        let place = Place { file: "config.yml".into(), line: 4 };
        let mut report = Report::default();
        report.add(Severity::Honoured, &place, "router_settings.timeout", "");
        report.error(&place, "router_settings.timeout", "expected a number of seconds");

        assert_eq!(report.finish(&[]).findings().len(), 1);
    }
}
