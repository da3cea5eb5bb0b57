//! How two JSON documents differ, by path.

use std::fmt;

use serde_json::Value;

/// One place where two documents differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `choices[0].finish_reason`
    pub path: String,
    /// What the first has there.
    pub old: Option<Value>,
    /// What the second has there.
    pub new: Option<Value>,
}

/// So much of a value is shown.
const SHOWN_CHARS: usize = 120;

/// All places where `old` and `new` differ, in the order of the documents. `at` is where they stand.
pub fn diff(at: &str, old: &Value, new: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(at, old, new, &mut found);
    found
}

fn compare(at: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                let path = member(at, key);
                match after.get(key) {
                    Some(other) => compare(&path, value, other, found),
                    None => found.push(Difference { path, old: Some(value.clone()), new: None }),
                }
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                found.push(Difference { path: member(at, key), old: None, new: Some(value.clone()) });
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for index in 0..before.len().max(after.len()) {
                let path = format!("{at}[{index}]");
                match (before.get(index), after.get(index)) {
                    (Some(value), Some(other)) => compare(&path, value, other, found),
                    (value, other) => found.push(Difference { path, old: value.cloned(), new: other.cloned() }),
                }
            }
        }
        _ if old == new => {}
        _ => found.push(Difference { path: at.to_owned(), old: Some(old.clone()), new: Some(new.clone()) }),
    }
}

/// `at.key`, or `at["a key"]`.
fn member(at: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    match (plain, at) {
        (true, "") => key.to_owned(),
        (true, _) => format!("{at}.{key}"),
        (false, _) => format!("{at}[{}]", Value::from(key)),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = match (&self.old, &self.new) {
            // Two long texts: what they have in common says nothing.
            (Some(Value::String(old)), Some(Value::String(new))) => from_where_they_differ(old, new),
            (old, new) => (shown(old.as_ref()), shown(new.as_ref())),
        };
        write!(f, "{}: {old} → {new}", self.path)
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| shorten(&value.to_string()))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()),
        None => text.to_owned(),
    }
}

fn from_where_they_differ(old: &str, new: &str) -> (String, String) {
    let common: usize = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    // Some words before it, to find the place.
    let lead: usize = old.get(..common).unwrap_or_default().chars().rev().take(24).map(char::len_utf8).sum();
    let from = common.saturating_sub(lead);
    let cut = |text: &str| {
        let rest = shorten(&Value::from(text.get(from..).unwrap_or_default()).to_string());
        if from > 0 { format!("…{rest}") } else { rest }
    };
    (cut(old), cut(new))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_is_named_once() {
        let old = json!({"a": {"b": [1, 2, {"c": "x"}]}, "gone": true, "odd key": 1, "same": [1]});
        let new = json!({"a": {"b": [1, 3, {"c": "x"}, 4]}, "odd key": 2, "same": [1], "new": null});
        let lines: Vec<String> = diff("answer", &old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "answer.a.b[1]: 2 → 3",
                "answer.a.b[3]: nothing → 4",
                "answer.gone: true → nothing",
                "answer[\"odd key\"]: 1 → 2",
                "answer.new: nothing → null",
            ]
        );
        assert!(diff("", &old, &old).is_empty());
    }

    #[test]
    fn long_texts_are_shown_where_they_differ() {
        let text = "ä".repeat(1000);
        let line = diff("t", &json!(format!("{text}one")), &json!(format!("{text}two")))[0].to_string();
        let lead = "ä".repeat(24);
        assert_eq!(line, format!("t: …\"{lead}one\" → …\"{lead}two\""));
    }
}
