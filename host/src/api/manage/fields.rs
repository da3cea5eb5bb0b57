//! Reads what a request says of a key, a user or a team, field by field; what nobody here knows is kept as it came.

use std::collections::BTreeMap;

use http::Request;
use serde_json::{Map, Value};

use crate::api::reader::Reader;
use crate::api::upload::Upload;
use crate::config::Config;
use crate::money::Money;
use crate::pipeline::GatewayError;

/// Larger than what anybody has to say of a key, and small enough to be read by anybody with one.
const MOST: usize = 1 << 20;
/// Up to here a number in JSON is exact.
const LARGEST: f64 = 9e15;
/// How long a name may be.
const LONGEST_TEXT: usize = 1024;

/// The fields of a request that nobody has read yet.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

/// What a request says of one field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given<T> {
    /// Nothing: it stays as it is.
    Absent,
    /// `null`: it is cleared.
    Null,
    /// This.
    Is(T),
}

// === impl Given ===

impl<T> Given<T> {
    /// What is given, if something is.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Puts it into a field that may be empty.
    pub(super) fn set(self, field: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *field = None,
            Self::Is(value) => *field = Some(value),
        }
    }

    /// Puts it into a field that is its type's default where it is cleared.
    pub(super) fn set_or_default(self, field: &mut T)
    where
        T: Default,
    {
        match self {
            Self::Absent => {}
            Self::Null => *field = T::default(),
            Self::Is(value) => *field = value,
        }
    }

    fn then<U>(self, read: impl FnOnce(T) -> Result<U, GatewayError>) -> Result<Given<U>, GatewayError> {
        Ok(match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Is(value) => Given::Is(read(value)?),
        })
    }
}

// === impl Fields ===

impl Fields {
    /// Of a request's body, which is an object.
    pub(super) async fn read(request: Request<Upload>, config: &Config) -> Result<Self, GatewayError> {
        let (parts, upload) = request.into_parts();
        let most = config.general.max_request_bytes.min(MOST);
        let body = Reader::new(&parts.headers, upload, most, &config.load.client, None)?.whole().await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(GatewayError::invalid("request_body", "The request body must be a JSON object.")),
            Err(error) => {
                let message = format!("Invalid JSON payload: the request body is not valid JSON: {error}.");
                Err(GatewayError::invalid("request_body", message))
            }
        }
    }

    pub(super) fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// What nobody has read.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// The names of what the request says something about, `null` included.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A value as it came.
    pub(super) fn peek(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Says something of a field of which the request says nothing, or nothing but that it is empty.
    pub(super) fn default_to(&mut self, name: &str, value: &Value) {
        let said = self.0.get(name);
        let is_empty = match said {
            None => true,
            // Whoever clears this one wants a budget for good.
            Some(Value::Null) => name != "budget_duration",
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(map)) => map.is_empty(),
            Some(_) => false,
        };
        if is_empty {
            self.0.insert(name.to_owned(), value.clone());
        }
    }

    /// A value that is no field of what is stored.
    pub(super) fn take(&mut self, name: &str) -> Given<Value> {
        match self.0.remove(name) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(value) => Given::Is(value),
        }
    }

    /// A text; an empty one is none, as LiteLLM's forms send it.
    pub(super) fn text(&mut self, name: &str) -> Result<Given<String>, GatewayError> {
        let given = self.take(name).then(|value| text(name, value))?;
        Ok(if matches!(&given, Given::Is(text) if text.is_empty()) { Given::Null } else { given })
    }

    /// A text that there has to be.
    pub(super) fn needed_text(&mut self, name: &'static str) -> Result<String, GatewayError> {
        self.text(name)?.value().ok_or_else(|| GatewayError::missing(name))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Given<bool>, GatewayError> {
        self.take(name).then(|value| value.as_bool().ok_or_else(|| wrong(name, "true or false")))
    }

    /// Money, not below nothing.
    pub(super) fn money(&mut self, name: &str) -> Result<Given<Money>, GatewayError> {
        // LiteLLM's forms send an empty text for no budget.
        match self.take(name) {
            Given::Is(Value::String(text)) if text.trim().is_empty() => Ok(Given::Null),
            given => given.then(|value| money(name, &value)),
        }
    }

    /// A whole number, not below nothing.
    pub(super) fn count(&mut self, name: &str) -> Result<Given<u64>, GatewayError> {
        self.take(name).then(|value| count(name, &value))
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Given<Vec<String>>, GatewayError> {
        self.take(name).then(|value| texts(name, value))
    }

    pub(super) fn map(&mut self, name: &str) -> Result<Given<Map<String, Value>>, GatewayError> {
        self.take(name).then(|value| object(name, value))
    }

    /// Texts by name.
    pub(super) fn text_map(&mut self, name: &str) -> Result<Given<BTreeMap<String, String>>, GatewayError> {
        self.map(name)?.then(|map| {
            map.into_iter().map(|(key, value)| Ok((key.clone(), text(&format!("{name}.{key}"), value)?))).collect()
        })
    }

    /// Whole numbers by name.
    pub(super) fn count_map(&mut self, name: &str) -> Result<Given<BTreeMap<String, u64>>, GatewayError> {
        self.map(name)?.then(|map| {
            map.into_iter().map(|(key, value)| Ok((key.clone(), count(&format!("{name}.{key}"), &value)?))).collect()
        })
    }
}

pub(super) fn object(name: &str, value: Value) -> Result<Map<String, Value>, GatewayError> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(wrong(name, "an object")),
    }
}

pub(super) fn text(name: &str, value: Value) -> Result<String, GatewayError> {
    let Value::String(text) = value else { return Err(wrong(name, "a text")) };
    if text.len() > LONGEST_TEXT {
        return Err(wrong(name, &format!("a text of at most {LONGEST_TEXT} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong(name, "a text without control characters"));
    }
    Ok(text.trim().to_owned())
}

fn texts(name: &str, value: Value) -> Result<Vec<String>, GatewayError> {
    let Value::Array(list) = value else { return Err(wrong(name, "a list of texts")) };
    let all = list.into_iter().enumerate().map(|(index, value)| text(&format!("{name}[{index}]"), value));
    all.filter(|text| !matches!(text, Ok(text) if text.is_empty())).collect()
}

pub(super) fn money(name: &str, value: &Value) -> Result<Money, GatewayError> {
    let amount = match value {
        Value::Number(number) => number.as_f64().and_then(Money::from_f64),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let amount = amount.filter(|amount| *amount >= Money::ZERO);
    amount.ok_or_else(|| wrong(name, "a number of US dollars that is finite, not below 0 and below 9000000"))
}

pub(super) fn count(name: &str, value: &Value) -> Result<u64, GatewayError> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| number.fract() == 0.0 && (0.0..LARGEST).contains(number));
    // Up to 2^53 an f64 is exact.
    number.map(|number| number as u64).ok_or_else(|| wrong(name, "a whole number, not below 0"))
}

pub(super) fn wrong(name: &str, expected: &str) -> GatewayError {
    GatewayError::invalid(name, format!("Invalid value for '{name}': expected {expected}."))
}
