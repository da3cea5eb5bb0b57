//! JSON that a client wrote: taken apart field by field, so that what nobody took is known at the end.

use std::fmt;

use serde_json::{Map, Number, Value};

use crate::{Failure, Loss, Warning, failure};

/// Where a value stands in the request: `messages[2].content[0].text`. Costs nothing until it is shown.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// The request itself.
    Root,
    /// A field of an object.
    Key(&'a Path<'a>, &'a str),
    /// An element of an array.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// A field of the object that stands here.
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    /// An element of the array that stands here.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => write!(f, "{key}"),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// An object whose fields are taken one by one. A field that is `null` counts as absent, as in the OpenAI API.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of `value`.
    ///
    /// # Errors
    /// `value` is not an object.
    pub fn of(value: Value, at: &Path<'_>) -> Result<Self, Failure> {
        match value {
            Value::Object(map) => Ok(Self { map }),
            other => Err(wrong_type(at, "an object", &other)),
        }
    }

    /// Takes a field, whatever it is.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// Looks at a field and leaves it.
    pub fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Takes a string.
    ///
    /// # Errors
    /// The field is something else.
    pub fn string(&mut self, key: &str, at: &Path<'_>) -> Result<Option<String>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(&at.key(key), "a string", &other)),
        }
    }

    /// Takes a string that must be there.
    ///
    /// # Errors
    /// The field is absent or something else.
    pub fn required_string(&mut self, key: &str, at: &Path<'_>) -> Result<String, Failure> {
        self.string(key, at)?.ok_or_else(|| missing(&at.key(key)))
    }

    /// Takes a number, digits as the client wrote them.
    ///
    /// # Errors
    /// The field is something else.
    pub fn number(&mut self, key: &str, at: &Path<'_>) -> Result<Option<Number>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(other) => Err(wrong_type(&at.key(key), "a number", &other)),
        }
    }

    /// Takes a whole number that is not negative.
    ///
    /// # Errors
    /// The field is something else.
    pub fn unsigned(&mut self, key: &str, at: &Path<'_>) -> Result<Option<u64>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(wrong_type(&at.key(key), "a whole number that is not negative", &value)),
            },
        }
    }

    /// Takes `true` or `false`.
    ///
    /// # Errors
    /// The field is something else.
    pub fn boolean(&mut self, key: &str, at: &Path<'_>) -> Result<Option<bool>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(&at.key(key), "true or false", &other)),
        }
    }

    /// Takes an array; an absent one is empty.
    ///
    /// # Errors
    /// The field is something else.
    pub fn array(&mut self, key: &str, at: &Path<'_>) -> Result<Vec<Value>, Failure> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => Ok(values),
            Some(other) => Err(wrong_type(&at.key(key), "an array", &other)),
        }
    }

    /// Takes an object.
    ///
    /// # Errors
    /// The field is something else.
    pub fn object(&mut self, key: &str, at: &Path<'_>) -> Result<Option<Fields>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => Fields::of(value, &at.key(key)).map(Some),
        }
    }

    /// The names of the fields that nobody took, in the client's order; those that are `null` don't count.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.map.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str())
    }

    /// What nobody took.
    pub fn into_map(self) -> Map<String, Value> {
        self.map
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(map: Map<String, Value>) -> Self {
        Self { map }
    }
}

/// What a translation lost, gathered while it runs.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Vec<Warning>);

impl Warnings {
    /// The provider has no such parameter: a 400 unless the operator said `drop_params`.
    pub fn unsupported(&mut self, path: impl ToString) {
        self.push(path, Loss::Unsupported);
    }

    /// Left out; the request means almost the same.
    pub fn dropped(&mut self, path: impl ToString) {
        self.push(path, Loss::Dropped);
    }

    /// Carried over as the nearest thing.
    pub fn approximated(&mut self, path: impl ToString) {
        self.push(path, Loss::Approximated);
    }

    /// All that is left in `fields` is dropped.
    pub fn dropped_fields(&mut self, fields: &Fields, at: &Path<'_>) {
        for key in fields.left() {
            self.dropped(at.key(key));
        }
    }

    /// What was gathered.
    pub fn into_vec(self) -> Vec<Warning> {
        self.0
    }

    fn push(&mut self, path: impl ToString, loss: Loss) {
        self.0.push(Warning { path: path.to_string(), loss });
    }
}

/// A field that must be there is not.
pub fn missing(at: &Path<'_>) -> Failure {
    failure::invalid(at, format!("Missing required parameter: '{at}'."))
}

/// A field is of another type than the API says.
pub fn wrong_type(at: &Path<'_>, expected: &str, found: &Value) -> Failure {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let place = at.to_string();
    let place = if place.is_empty() { "the request body".to_owned() } else { format!("'{place}'") };
    failure::invalid(at, format!("Invalid type for {place}: expected {expected}, but got {found} instead."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_reads_as_the_client_would_write_it() {
        let messages = Path::Root.key("messages");
        let second = messages.index(2);
        assert_eq!(second.key("content").to_string(), "messages[2].content");
    }

    #[test]
    fn what_nobody_took_is_told_in_order_and_null_counts_as_absent() {
        let mut fields = Fields::of(json!({"a": 1, "z": null, "c": "x", "b": true}), &Path::Root).unwrap();
        assert_eq!(fields.string("c", &Path::Root).unwrap().as_deref(), Some("x"));
        assert_eq!(fields.string("z", &Path::Root).unwrap(), None);
        let mut warnings = Warnings::default();
        warnings.dropped_fields(&fields, &Path::Root);
        assert_eq!(warnings.into_vec().iter().map(|w| w.path.clone()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_wrong_type_is_named_with_its_place() {
        let mut fields = Fields::of(json!({"max_tokens": -1}), &Path::Root).unwrap();
        let failure = fields.unsigned("max_tokens", &Path::Root).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("max_tokens"));
        assert!(failure.message.contains("whole number"), "{}", failure.message);
    }
}
