//! Known failures: listed by name, with the reason, in a file that the tests read.

use std::collections::{BTreeMap, BTreeSet};

/// What a table of cases found, against what is known of it.
#[derive(Debug)]
pub(crate) struct Findings {
    known: BTreeMap<String, String>,
    file: &'static str,
    tried: BTreeSet<String>,
    failed: BTreeMap<String, Vec<String>>,
}

impl Findings {
    /// `table`: the content of `file`; lines of name, tab, reason; `#` begins a comment.
    pub(crate) fn new(file: &'static str, table: &str) -> Self {
        let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let known = lines.map(|line| {
            let (name, reason) = line.split_once('\t').unwrap_or((line, ""));
            assert!(!reason.trim().is_empty(), "{file}: {name} has no reason");
            (name.to_owned(), reason.to_owned())
        });
        Self { known: known.collect(), file, tried: BTreeSet::new(), failed: BTreeMap::new() }
    }

    /// Whether `name` is known to fail.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// Notes what a case found; nothing means that it passed.
    pub(crate) fn note(&mut self, name: &str, problems: Vec<String>) {
        self.tried.insert(name.to_owned());
        if !problems.is_empty() {
            self.failed.insert(name.to_owned(), problems);
        }
    }

    /// Fails the test for each failure that isn't listed, and for each listed case that passed.
    pub(crate) fn conclude(self) {
        assert!(!self.tried.is_empty(), "no case was tried");
        let mut report = String::new();
        for (name, problems) in self.failed.iter().filter(|(name, _)| !self.is_known(name)) {
            report.push_str(&format!("{name}\n"));
            for problem in problems {
                report.push_str(&format!("    {}\n", problem.chars().take(6000).collect::<String>()));
            }
        }
        for name in self.known.keys().filter(|name| self.tried.contains(*name) && !self.failed.contains_key(*name)) {
            report.push_str(&format!("{name}\n    passes: take it out of {}\n", self.file));
        }
        assert!(report.is_empty(), "of {} cases:\n{report}", self.tried.len());
    }
}
