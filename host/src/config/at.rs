//! Typed reading of a [`Node`]: what LiteLLM's users write is taken as they mean it (`"60"`, `"True"`),
//! anything else is an error with its line.

use std::time::Duration;

use serde_json::{Map as JsonMap, Value as Json};

use super::environment::parse_flag;
use super::node::{Node, Place, Value};
use super::report::Report;

/// A node and its path from the root, e.g. `model_list[0].litellm_params.timeout`.
#[derive(Clone)]
pub(super) struct At<'a> {
    pub node: &'a Node,
    pub path: String,
}

// === impl At ===

impl<'a> At<'a> {
    /// The root of a configuration.
    pub(super) fn root(node: &'a Node) -> Self {
        Self { node, path: String::new() }
    }

    /// Where the value stands.
    pub(super) fn place(&self) -> &'a Place {
        &self.node.place
    }

    /// The value of a key that has one; `null` and unset variables are no value, as in LiteLLM.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        self.raw(key).filter(|at| !at.node.is_none())
    }

    /// The value of a key, `null` and unset variables included.
    pub(super) fn raw(&self, key: &str) -> Option<At<'a>> {
        self.node.get(key).map(|node| self.child(key, node))
    }

    /// The keys and values of a map.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> + use<'a> {
        let parent = self.clone();
        self.node.entries().iter().map(move |(key, node)| (key.as_str(), parent.child(key, node)))
    }

    /// The items of a list.
    pub(super) fn items(&self) -> impl Iterator<Item = At<'a>> + use<'a> {
        let path = self.path.clone();
        self.node.items().iter().enumerate().map(move |(index, node)| At { node, path: format!("{path}[{index}]") })
    }

    fn child(&self, key: &str, node: &'a Node) -> At<'a> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        At { node, path }
    }

    /// A map under `key`; an error when it is something else.
    pub(super) fn map(&self, key: &str, report: &mut Report) -> Option<At<'a>> {
        let at = self.get(key)?;
        match at.node.value {
            Value::Map(_) => Some(at),
            _ => at.expected("a map", report),
        }
    }

    /// A list under `key`; an error when it is something else.
    pub(super) fn list(&self, key: &str, report: &mut Report) -> Option<At<'a>> {
        let at = self.get(key)?;
        match at.node.value {
            Value::List(_) => Some(at),
            _ => at.expected("a list", report),
        }
    }

    /// A text. Numbers and booleans are taken as they are written: `master_key: 1234`.
    pub(super) fn text(&self, report: &mut Report) -> Option<String> {
        match &self.node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => self.expected("a text", report),
        }
    }

    /// A boolean, also one written as a text or as 0 or 1.
    pub(super) fn flag(&self, report: &mut Report) -> Option<bool> {
        let value = match &self.node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) => parse_flag(text),
            Value::Number(number) => parse_flag(&number.to_string()),
            _ => None,
        };
        value.or_else(|| self.expected("true or false", report))
    }

    /// A number, also one written as a text.
    pub(super) fn number(&self, what: &str, report: &mut Report) -> Option<f64> {
        let value = match &self.node.value {
            Value::Number(number) => number.as_f64(),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        value.filter(|value: &f64| value.is_finite()).or_else(|| self.expected(what, report))
    }

    /// A time span in seconds, more than 0.
    pub(super) fn seconds(&self, report: &mut Report) -> Option<Duration> {
        match self.span(report)? {
            Some(duration) if !duration.is_zero() => Some(duration),
            _ => self.expected("a number of seconds above 0", report),
        }
    }

    /// A time span in seconds that may be 0.
    pub(super) fn seconds_or_none(&self, report: &mut Report) -> Option<Duration> {
        self.span(report)?.or_else(|| self.expected("a number of seconds, not below 0", report))
    }

    /// A number as a time span, if it is one. Longer than 30 years is none: a clock must bear its sum with now.
    fn span(&self, report: &mut Report) -> Option<Option<Duration>> {
        const LONGEST: f64 = 1e9;
        let seconds = self.number("a number of seconds", report)?;
        if seconds > LONGEST {
            return self.expected("a number of seconds, at most 1000000000", report);
        }
        Some(Duration::try_from_secs_f64(seconds).ok())
    }

    /// A whole number that is not negative, also one written as a text or as `3.0`.
    pub(super) fn whole(&self, report: &mut Report) -> Option<u64> {
        const WHAT: &str = "a whole number, not below 0";
        let number = self.number(WHAT, report)?;
        // Up to 2^53 an f64 is exact.
        if number.fract() == 0.0 && (0.0..9e15).contains(&number) {
            Some(number as u64)
        } else {
            self.expected(WHAT, report)
        }
    }

    /// A whole number above 0.
    pub(super) fn whole_above_zero(&self, report: &mut Report) -> Option<u64> {
        match self.whole(report)? {
            0 => self.expected("a whole number above 0", report),
            number => Some(number),
        }
    }

    /// How often, or how many: a whole number that is not negative and not beyond reason.
    pub(super) fn count(&self, report: &mut Report) -> Option<u32> {
        u32::try_from(self.whole(report)?).ok().or_else(|| self.expected("a smaller number", report))
    }

    /// The same above 0.
    pub(super) fn count_above_zero(&self, report: &mut Report) -> Option<u32> {
        u32::try_from(self.whole_above_zero(report)?).ok().or_else(|| self.expected("a smaller number", report))
    }

    /// A whole number, negative or not.
    pub(super) fn integer(&self, report: &mut Report) -> Option<i64> {
        const WHAT: &str = "a whole number";
        let number = self.number(WHAT, report)?;
        if number.fract() == 0.0 && number.abs() < 9e15 { Some(number as i64) } else { self.expected(WHAT, report) }
    }

    /// A number that is not negative.
    pub(super) fn number_from_zero(&self, report: &mut Report) -> Option<f64> {
        match self.number("a number", report)? {
            number if number < 0.0 => self.expected("a number that is not negative", report),
            number => Some(number),
        }
    }

    /// A size in MiB, as a number of bytes above 0.
    pub(super) fn mebibytes(&self, report: &mut Report) -> Option<usize> {
        const MEBIBYTE: f64 = 1024.0 * 1024.0;
        let bytes = self.number("a number of megabytes", report)? * MEBIBYTE;
        // Up to 2^53 an f64 is exact, and `as` saturates.
        if (1.0..9e15).contains(&bytes) {
            Some(bytes as usize)
        } else {
            self.expected("a number of megabytes above 0", report)
        }
    }

    /// A list of texts; one text alone stands for a list of one.
    pub(super) fn texts(&self, report: &mut Report) -> Option<Vec<String>> {
        match &self.node.value {
            Value::List(_) => {
                Some(self.items().filter(|item| !item.node.is_none()).filter_map(|item| item.text(report)).collect())
            }
            Value::Text(text) => Some(vec![text.clone()]),
            _ => self.expected("a list of texts", report),
        }
    }

    /// A map as JSON.
    pub(super) fn json_map(&self, report: &mut Report) -> Option<JsonMap<String, Json>> {
        match &self.node.value {
            Value::Map(_) => Some(self.node.to_json_map()),
            _ => self.expected("a map", report),
        }
    }

    /// Reports that something else should stand here; `None`, so that a reader can return it.
    pub(super) fn expected<T>(&self, what: &str, report: &mut Report) -> Option<T> {
        let key = self.path.rsplit('.').next().unwrap_or_default();
        self.error(format!("expected {what}, got {}", self.node.shown(key)), report);
        None
    }

    pub(super) fn error(&self, message: impl Into<String>, report: &mut Report) {
        report.error(self.place(), self.path.clone(), message);
    }

    pub(super) fn warn(&self, message: impl Into<String>, report: &mut Report) {
        report.warn(self.place(), self.path.clone(), message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn root(text: &str) -> Node {
        yaml::parse(text, &"config.yml".into()).expect("the text is YAML")
    }

    #[test]
    fn numbers_and_flags_may_be_texts() {
        let root = root("s: '60'\nt: 1.5\nyes: 'True'\nno: off\none: 1\n");
        let (at, mut report) = (At::root(&root), Report::default());
        let mut seconds = |key| at.get(key).and_then(|at| at.seconds(&mut report));

        assert_eq!(seconds("s"), Some(Duration::from_secs(60)));
        assert_eq!(seconds("t"), Some(Duration::from_millis(1500)));
        let mut flag = |key| at.get(key).and_then(|at| at.flag(&mut report));
        assert_eq!([flag("yes"), flag("no"), flag("one")], [Some(true), Some(false), Some(true)]);
        assert!(!report.has_errors());
    }

    #[test]
    fn a_span_of_time_is_a_positive_number() {
        for value in ["0", "-1", "abc", ".inf", ".nan", "1e300", "[1]", "{a: 1}", "true"] {
            let root = root(&format!("timeout: {value}\n"));
            let mut report = Report::default();

            assert_eq!(At::root(&root).get("timeout").and_then(|at| at.seconds(&mut report)), None, "{value}");
            let error = report.findings().first().map(ToString::to_string).unwrap_or_default();
            assert!(error.starts_with("config.yml:1: timeout: expected a number of seconds"), "{value}: {error}");
        }
    }

    #[test]
    fn a_value_that_may_be_secret_is_not_in_the_error() {
        let root = root("api_key: [sk-abc]\napi_base: {http://user:pw@host: x}\n");
        let mut report = Report::default();
        for (_, at) in At::root(&root).entries() {
            assert_eq!(at.text(&mut report), None);
        }

        let shown = format!("{report:?}");
        assert!(!shown.contains("sk-abc") && !shown.contains("pw@"), "{shown}");
    }
}
