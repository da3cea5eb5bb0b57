//! Takes a key out of what a provider says, should it echo it.

use bytes::Bytes;
use memchr::memmem::Finder;

const MASK: &[u8] = b"[redacted]";

/// Finds one key.
#[derive(Clone, Default)]
pub struct Redactor {
    finder: Option<Box<Finder<'static>>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// Finds `key`. Short ones are words that stand in any text, so they are not looked for.
    pub fn new(key: Option<&str>) -> Self {
        let key = key.filter(|key| key.len() >= 8);
        Self { finder: key.map(|key| Box::new(Finder::new(key.as_bytes()).into_owned())) }
    }

    /// Whether the key is in `bytes`.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.finder.as_ref().is_some_and(|finder| finder.find(bytes).is_some())
    }

    /// `bytes` without the key; the same bytes where it isn't in them.
    pub fn clean(&self, bytes: Bytes) -> Bytes {
        let Some(finder) = &self.finder else { return bytes };
        let mut places = finder.find_iter(&bytes).peekable();
        if places.peek().is_none() {
            return bytes;
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for at in places {
            clean.extend_from_slice(bytes.get(from..at).unwrap_or_default());
            clean.extend_from_slice(MASK);
            from = at + finder.needle().len();
        }
        clean.extend_from_slice(bytes.get(from..).unwrap_or_default());
        clean.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echoed_key_is_taken_out() {
        let redactor = Redactor::new(Some("sk-12345678"));
        let clean = |text: &'static str| redactor.clean(Bytes::from_static(text.as_bytes()));
        assert_eq!(clean("bad key sk-12345678."), "bad key [redacted].");
        assert_eq!(clean("sk-12345678sk-12345678"), "[redacted][redacted]");
        assert_eq!(clean("nothing"), "nothing");
        assert_eq!(format!("{redactor:?}"), "Redactor");
    }
}
