//! The parsed configuration as a tree in which every value knows its file, its line and the
//! variable it came from.

use std::sync::Arc;

use serde_json::{Map as JsonMap, Number, Value as Json};

/// Where something stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The file as it was named.
    pub file: Arc<str>,
    /// Counted from 1; 0 when unknown.
    pub line: u64,
}

/// A value and where it stands. For the value of a key that is the line of the key.
#[derive(Clone)]
pub(super) struct Node {
    pub value: Value,
    pub place: Place,
    /// The NAME of the `os.environ/NAME` that the value was written as.
    pub variable: Option<Arc<str>>,
}

/// What YAML can say, plus `Unset`: `os.environ/NAME` with no such variable.
#[derive(Clone)]
pub(super) enum Value {
    Null,
    Unset,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Entries),
}

/// A map in the order of the file.
pub(super) type Entries = Vec<(String, Node)>;

/// What a reference to an environment variable begins with.
pub(super) const VARIABLE_PREFIX: &str = "os.environ/";

// === impl Node ===

impl Node {
    /// A value that the file does not hold, for want of the section it would be in.
    pub(super) fn absent(place: Place) -> Self {
        Self { value: Value::Null, place, variable: None }
    }

    /// The value of `key`, if this is a map that has it. `null` is still a value here.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Whether there is no value: `null`, or a variable that is not set.
    pub(super) fn is_none(&self) -> bool {
        matches!(self.value, Value::Null | Value::Unset)
    }

    /// The name of the variable that should have given the value and is not set.
    pub(super) fn unset_variable(&self) -> Option<&str> {
        match self.value {
            Value::Unset => self.variable.as_deref(),
            _ => None,
        }
    }

    /// The value as JSON, as it is sent to a provider; unset variables become `null`.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null | Value::Unset => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(value) => Json::Number(value.clone()),
            Value::Text(value) => Json::String(value.clone()),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(_) => Json::Object(self.to_json_map()),
        }
    }

    /// The entries of a map as JSON.
    pub(super) fn to_json_map(&self) -> JsonMap<String, Json> {
        self.entries().iter().map(|(key, node)| (key.clone(), node.to_json())).collect()
    }

    /// What the file says, with `os.environ/NAME` instead of the variable's value. Free of the
    /// environment, so it is the same on every machine and after a key was replaced.
    pub(super) fn as_written(&self) -> Json {
        if let Some(variable) = &self.variable {
            return Json::String(format!("{VARIABLE_PREFIX}{variable}"));
        }
        match &self.value {
            Value::List(items) => items.iter().map(Node::as_written).collect(),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|(key, node)| (key.clone(), node.as_written())).collect())
            }
            _ => self.to_json(),
        }
    }

    /// The value for an error message: short, and never one that may be a secret.
    pub(super) fn shown(&self, key: &str) -> String {
        match (&self.variable, &self.value) {
            (Some(variable), Value::Unset) => format!("${variable}, which is not set"),
            (Some(variable), _) => format!("the value of ${variable}"),
            (None, Value::Null | Value::Unset) => "nothing".to_owned(),
            (None, Value::List(_)) => "a list".to_owned(),
            (None, Value::Map(_)) => "a map".to_owned(),
            (None, _) if holds_a_secret(key) || holds_a_url(key) => "something else".to_owned(),
            (None, Value::Bool(value)) => value.to_string(),
            (None, Value::Number(value)) => value.to_string(),
            (None, Value::Text(text)) if text.chars().count() > 40 => {
                format!("{:?}…", text.chars().take(40).collect::<String>())
            }
            (None, Value::Text(text)) => format!("{text:?}"),
        }
    }
}

/// Whether values of keys with this name may be secrets.
pub fn holds_a_secret(key: &str) -> bool {
    const MARKS: [&str; 8] = ["key", "secret", "password", "token", "credential", "authorization", "cookie", "header"];
    const HARMLESS: [&str; 2] = ["max_tokens", "max_completion_tokens"];
    let key = key.to_ascii_lowercase();
    MARKS.iter().any(|mark| key.contains(mark)) && !HARMLESS.contains(&key.as_str())
}

/// Whether values of keys with this name are URLs, which may hold a password.
fn holds_a_url(key: &str) -> bool {
    key.contains("url") || key.contains("base")
}
