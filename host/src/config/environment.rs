//! The environment variables and the day that a configuration is read with.
//!
//! They are an argument of [`load`](super::load()), so that a test has its own and the file's
//! `environment_variables:` can overlay them without changing the process.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::date::Date;

/// Environment variables by name, and today's date.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    today: Date,
}

// === impl Environment ===

impl Environment {
    /// The environment of this process, and the real date. The only place that looks at either;
    /// variables that are not UTF-8 are left out.
    pub fn process() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { variables: variables.collect(), today: Date::from_unix_seconds(now.as_secs()) }
    }

    /// An environment of these variables alone, at 1970-01-01 until [`Environment::on`] says otherwise.
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, today: Date::from_unix_seconds(0) }
    }

    /// The same environment on another day.
    pub fn on(mut self, today: Date) -> Self {
        self.today = today;
        self
    }

    /// The value of a variable. An empty one counts as unset: `KEY=${KEY}` in a compose file makes
    /// it empty when the host lacks it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// Whether a variable says yes: `true`, `1`, `yes` or `on`, in any case.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| parse_flag(value) == Some(true))
    }

    /// The first of `names` that is set, with its value.
    pub(super) fn first<'a>(&self, names: &'a [String]) -> Option<(&'a str, &str)> {
        names.iter().find_map(|name| Some((name.as_str(), self.get(name)?)))
    }

    /// Sets a variable here, not in the process.
    pub(super) fn overlay(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value);
    }

    /// The day on which the configuration is read.
    pub fn today(&self) -> Date {
        self.today
    }
}

/// Shows names only: values are often keys.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("names", &self.variables.keys()).field("today", &self.today).finish()
    }
}

/// What people write for yes and no, in YAML 1.1 (`yes`, `on`) and in environment variables (`1`).
pub(super) fn parse_flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let environment = Environment::of([("EMPTY", ""), ("BLANK", "  "), ("SET", "x")]);

        assert_eq!(
            [environment.get("EMPTY"), environment.get("BLANK"), environment.get("SET")],
            [None, None, Some("x")]
        );
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let shown = format!("{:?}", Environment::of([("OPENAI_API_KEY", "sk-abc")]));

        assert!(shown.contains("OPENAI_API_KEY") && !shown.contains("sk-abc"), "{shown}");
    }
}
