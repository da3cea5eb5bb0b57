//! Headers in JSON, as people write them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Headers by name, in their order. In JSON an object, as people write them, or a list of pairs where a name comes twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Serialize for Headers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let twice = (self.0.iter().enumerate()).any(|(at, (name, _))| self.0.iter().take(at).any(|(n, _)| n == name));
        if twice { self.0.serialize(serializer) } else { serializer.collect_map(self.iter()) }
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Pairs(Vec<(String, String)>),
            Object(serde_json::Map<String, Value>),
        }
        let pairs = match Either::deserialize(deserializer)? {
            Either::Pairs(pairs) => pairs,
            Either::Object(map) => (map.into_iter())
                .map(|(name, value)| match value {
                    Value::String(value) => Ok((name, value)),
                    _ => Err(serde::de::Error::custom(format!("the header '{name}' is no string"))),
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Self(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()))
    }
}
