//! A JSON value that borrows from the document it stood in.

use std::borrow::Cow;

use super::number::Number;
use super::object::Object;
use super::text::Text;

/// A JSON value. What was parsed borrows from its document, so that most of it is never copied.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json<'a> {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number<'a>),
    /// A string.
    String(Text<'a>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object.
    Object(Object<'a>),
    /// Good JSON, written out already. Nobody looks into it: for all else it is like `null`.
    Raw(Cow<'a, str>),
}

impl<'a> Json<'a> {
    /// A field of an object.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.as_object()?.get(key)
    }

    /// Its text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is `true`, if it is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Itself as a whole number that isn't negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// Itself as a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// Its elements, if it is an array.
    pub fn as_array(&self) -> Option<&Vec<Json<'a>>> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// Its fields, if it is an object.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Its fields to be changed, if it is an object.
    pub fn as_object_mut(&mut self) -> Option<&mut Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Its fields, if it is an object.
    pub fn into_object(self) -> Option<Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value at a JSON pointer (RFC 6901): `/properties/city`.
    pub fn pointer(&self, pointer: &str) -> Option<&Json<'a>> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |value, token| match value {
            Self::Object(object) => object.get(&token.replace("~1", "/").replace("~0", "~")),
            Self::Array(values) if token == "0" || !token.starts_with(['0', '+']) => {
                values.get(token.parse::<usize>().ok()?)
            }
            _ => None,
        })
    }

    /// The value written out: without anything borrowed, and nothing to be looked into.
    pub fn rendered(&self) -> Json<'static> {
        if self.is_null() {
            return Json::Null;
        }
        Json::Raw(Cow::Owned(self.to_string()))
    }

    /// Takes the value and leaves `null`.
    #[must_use]
    pub fn take(&mut self) -> Json<'a> {
        std::mem::take(self)
    }

    /// The value without anything borrowed, to be kept beyond the document.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(number) => Json::Number(number.into_owned()),
            Self::String(text) => Json::String(text.into_owned()),
            Self::Array(values) => Json::Array(values.into_iter().map(Json::into_owned).collect()),
            Self::Object(object) => Json::Object(object.into_owned()),
            Self::Raw(json) => Json::Raw(Cow::Owned(json.into_owned())),
        }
    }
}

impl PartialEq<str> for Json<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Json<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(*other)
    }
}

impl<'a> From<Text<'a>> for Json<'a> {
    fn from(text: Text<'a>) -> Self {
        Self::String(text)
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Json<'_> {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for Json<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a> From<Number<'a>> for Json<'a> {
    fn from(number: Number<'a>) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Json<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Json<'_> {
    fn from(number: u32) -> Self {
        Self::Number(u64::from(number).into())
    }
}

impl<'a> From<Object<'a>> for Json<'a> {
    fn from(object: Object<'a>) -> Self {
        Self::Object(object)
    }
}

impl<'a, T: Into<Json<'a>>> From<Vec<T>> for Json<'a> {
    fn from(values: Vec<T>) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

impl<'a, T: Into<Json<'a>>> From<Option<T>> for Json<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// For what isn't on every call's way: tests, and translations that are easier with `serde_json`.
impl From<serde_json::Value> for Json<'_> {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(Number::written(number.to_string())),
            Value::String(text) => Self::String(text.into()),
            Value::Array(values) => Self::Array(values.into_iter().map(Into::into).collect()),
            Value::Object(map) => Self::Object(map.into_iter().map(|(key, value)| (key, Json::from(value))).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_leads_where_it_leads_for_serde_json() {
        let value = json!({"a": {"b/c": [10, {"~": 1}], "": 2, "01": 3}, "l": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]});
        let json = Json::from(value.clone());
        for pointer in [
            "",
            "/",
            "a",
            "/a",
            "/a/",
            "/a/b~1c",
            "/a/b~1c/0",
            "/a/b~1c/00",
            "/a/b~1c/+1",
            "/a/b~1c/1/~0",
            "/a/01",
            "/l/10",
            "/l/01",
            "/l/-",
            "/l/11",
            "/l/1/x",
            "/x",
        ] {
            let expected = value.pointer(pointer).map(ToString::to_string);
            assert_eq!(json.pointer(pointer).map(ToString::to_string), expected, "{pointer}");
        }
    }
}
