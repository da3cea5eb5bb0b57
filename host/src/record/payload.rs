//! Bytes in JSON: as JSON where writing it gives the same bytes again, else as text, else as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::format::FormatError;

/// A body: at most one of the three is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    #[serde(default, alias = "body_json", skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// An event's data, in the same way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

impl Payload {
    /// These bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let (body, body_text, body_base64) = split(bytes);
        Self { body, body_text, body_base64 }
    }

    /// The bytes.
    ///
    /// # Errors
    /// `body_base64` is no base64.
    pub fn bytes(&self) -> Result<Vec<u8>, FormatError> {
        join(self.body.as_ref(), self.body_text.as_ref(), self.body_base64.as_ref(), "body_base64")
    }
}

impl EventData {
    /// These bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let (data, data_text, data_base64) = split(bytes);
        Self { data, data_text, data_base64 }
    }

    /// The bytes.
    ///
    /// # Errors
    /// `data_base64` is no base64.
    pub fn bytes(&self) -> Result<Vec<u8>, FormatError> {
        join(self.data.as_ref(), self.data_text.as_ref(), self.data_base64.as_ref(), "data_base64")
    }
}

/// JSON, text or base64: the first that gives the same bytes again.
fn split(bytes: &[u8]) -> (Option<Value>, Option<String>, Option<String>) {
    let Ok(text) = std::str::from_utf8(bytes) else { return (None, None, Some(BASE64.encode(bytes))) };
    if text.is_empty() {
        return (None, None, None);
    }
    if text.starts_with(['{', '[']) {
        let value = serde_json::from_str::<Value>(text).ok();
        let again = value.as_ref().map(Value::to_string);
        if again.as_deref() == Some(text) {
            return (value, None, None);
        }
    }
    (None, Some(text.to_owned()), None)
}

fn join(
    json: Option<&Value>,
    text: Option<&String>,
    base64: Option<&String>,
    name: &'static str,
) -> Result<Vec<u8>, FormatError> {
    match (json, text, base64) {
        (Some(value), _, _) => Ok(value.to_string().into_bytes()),
        (_, Some(text), _) => Ok(text.clone().into_bytes()),
        (_, _, Some(base64)) => BASE64.decode(base64).map_err(|_| FormatError::Base64(name)),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stands_as_json_only_where_it_comes_back_to_the_byte() {
        for (bytes, field) in [
            (&br#"{"a":1.5,"b":[true,null]}"#[..], "body"),
            (br#"{"a": 1}"#, "body_text"),
            (br#"{"a":1e5}"#, "body_text"),
            (br#"{"a":1,"a":2}"#, "body_text"),
            (b"null", "body_text"),
            (b"data: x\n\n", "body_text"),
            (b"\xff", "body_base64"),
        ] {
            let payload = Payload::of(bytes);
            let json = serde_json::to_value(&payload).unwrap();
            assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), [field], "{bytes:?}");
            assert_eq!(payload.bytes().unwrap(), bytes);
        }
    }
}
