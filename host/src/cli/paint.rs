//! Colour, on a terminal and nowhere else.

use std::io::IsTerminal;

use crate::config::Environment;

/// Whether and how to colour what goes to standard output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output, unless `NO_COLOR` says otherwise.
    pub(super) fn stdout(environment: &Environment) -> Self {
        Self { on: std::io::stdout().is_terminal() && environment.get("NO_COLOR").is_none() }
    }

    /// What is as it should be.
    pub(super) fn good(self, text: impl std::fmt::Display) -> String {
        self.with("32", text)
    }

    /// What isn't.
    pub(super) fn bad(self, text: impl std::fmt::Display) -> String {
        self.with("1;31", text)
    }

    /// What matters less.
    pub(super) fn dim(self, text: impl std::fmt::Display) -> String {
        self.with("2", text)
    }

    /// What begins something.
    pub(super) fn head(self, text: impl std::fmt::Display) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: impl std::fmt::Display) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}
