//! A client's request, read at its top level only.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// More fields than the API has is no request.
const MAX_FIELDS: usize = 500;

/// A request's JSON: known to be valid, an object, without duplicate keys; the values are still text.
#[derive(Clone, Debug)]
pub struct RequestBody {
    bytes: Bytes,
    fields: Vec<Field>,
}

/// One field at the top level.
#[derive(Clone, Debug)]
struct Field {
    key: Box<str>,
    /// Where its value stands in the bytes.
    value: Range<usize>,
}

/// Why a body is no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// No JSON, or not an object.
    #[error("{0}")]
    Json(String),
    /// A field has the wrong type.
    #[error("Invalid type for '{param}': expected {expected}.")]
    Type {
        /// Which field.
        param: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl RequestBody {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no JSON object, or has a key twice.
    pub fn parse(bytes: Bytes) -> Result<Self, BadBody> {
        let start = bytes.as_ptr() as usize;
        let TopLevel(raw) = serde_json::from_slice(&bytes).map_err(|error| {
            let what = if bytes.is_empty() { "the request body is empty".to_owned() } else { error.to_string() };
            BadBody::Json(format!("Invalid JSON in the request body: {what}"))
        })?;
        let fields = raw
            .into_iter()
            .map(|(key, value)| {
                let text = value.get();
                // The value borrows from the bytes, so its address says where it stands.
                let from = text.as_ptr() as usize - start;
                Field { key: key.into(), value: from..from + text.len() }
            })
            .collect();
        Ok(Self { bytes, fields })
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Keys and the JSON text of their values, in the client's order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (&*field.key, self.text(field)))
    }

    /// The JSON text of a field; `None` where it is absent or `null`.
    pub fn raw(&self, key: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| &*field.key == key)?;
        Some(self.text(field)).filter(|text| *text != "null")
    }

    /// A string.
    ///
    /// # Errors
    /// The field is something else.
    pub fn string(&self, key: &'static str) -> Result<Option<Cow<'_, str>>, BadBody> {
        self.typed::<CowStr<'_>>(key, "a string").map(|text| text.map(|CowStr(text)| text))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// The field is something else.
    pub fn boolean(&self, key: &'static str) -> Result<Option<bool>, BadBody> {
        self.typed(key, "true or false")
    }

    /// A number.
    ///
    /// # Errors
    /// The field is something else.
    pub fn number(&self, key: &'static str) -> Result<Option<f64>, BadBody> {
        self.typed(key, "a number")
    }

    /// Any type that can be read from the field.
    ///
    /// # Errors
    /// The field is something else.
    pub fn typed<'a, T: Deserialize<'a>>(
        &'a self,
        param: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, BadBody> {
        let Some(text) = self.raw(param) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| BadBody::Type { param, expected })
    }

    fn text(&self, field: &Field) -> &str {
        let slice = self.bytes.get(field.value.clone()).unwrap_or_default();
        // serde_json checked the whole body when it was read.
        std::str::from_utf8(slice).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct CowStr<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of an object, values unread.
struct TopLevel<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for TopLevel<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = TopLevel<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<TopLevel<'de>, M::Error> {
                use serde::de::Error;
                let mut fields: Vec<(Cow<'de, str>, &RawValue)> = Vec::with_capacity(12);
                while let Some((CowStr(key), value)) = map.next_entry::<CowStr<'de>, &RawValue>()? {
                    if fields.iter().any(|(known, _)| *known == key) {
                        return Err(M::Error::custom(format!("the key '{}' stands there twice", key.escape_debug())));
                    }
                    if fields.len() >= MAX_FIELDS {
                        return Err(M::Error::custom(format!("more than {MAX_FIELDS} keys")));
                    }
                    fields.push((key, value));
                }
                Ok(TopLevel(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RequestBody, BadBody> {
        RequestBody::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn fields_are_read_where_they_stand() {
        let body = parse(r#" {"model": "a\u0062", "messages" : [ {"x": {}} ], "stream":true, "n": null } "#).unwrap();
        assert_eq!(body.string("model").unwrap().as_deref(), Some("ab"));
        assert_eq!(body.raw("messages"), Some(r#"[ {"x": {}} ]"#));
        assert_eq!(body.boolean("stream").unwrap(), Some(true));
        assert_eq!(body.raw("n"), None);
    }

    #[test]
    fn what_is_no_request_is_told_precisely() {
        for (text, says) in [
            ("", "empty"),
            ("{", "EOF"),
            ("[1]", "a JSON object"),
            ("\"x\"", "a JSON object"),
            (r#"{"model":"a","model":"b"}"#, "'model' stands there twice"),
            (r#"{"a":1} x"#, "trailing characters"),
            ("{\"a\":\"\u{1}\"}", "control character"),
        ] {
            let Err(BadBody::Json(message)) = parse(text) else { panic!("{text} was taken") };
            assert!(message.contains(says), "{text}: {message}");
        }
        assert!(RequestBody::parse(Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
    }

    #[test]
    fn a_wrong_type_is_told_by_name() {
        let body = parse(r#"{"model": 3, "stream": "yes"}"#).unwrap();
        assert_eq!(body.string("model").unwrap_err().to_string(), "Invalid type for 'model': expected a string.");
        assert!(body.boolean("stream").is_err());
    }
}
