//! A text that nothing prints.

use std::fmt;

use serde::{Serialize, Serializer};

/// A key or a password. `Debug`, `Display` and `Serialize` write `[secret]`; [`Secret::expose`] is
/// the one way to the text, so that a search for it finds every use.
///
/// There is no `==` on purpose: comparing keys byte by byte tells an attacker how far a guess was right.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

// === impl Secret ===

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Never log it, never put it into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_by_expose_only() {
        let secret = Secret::new("sk-abc");

        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "[secret] [secret] [secret]");
        assert_eq!(serde_json::to_string(&secret).expect("a string serializes"), "\"[secret]\"");
        assert_eq!(secret.expose(), "sk-abc");
    }
}
