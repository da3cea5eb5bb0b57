//! Takes secrets out of what a provider says, should it echo them.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::Bytes;
use percent_encoding::utf8_percent_encode;

use super::target::QUERY;

const MASK: &[u8] = b"[redacted]";

/// Shorter secrets are words that stand in any text, so they are not looked for.
const MIN_BYTES: usize = 8;

/// Finds the secrets of a deployment, as they are, as a URL holds them and as JSON may, in any case.
///
/// Cloned cheaply: every call has one.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<[Box<str>]>,
    finder: Option<AhoCorasick>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// Finds each of `secrets`.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(secrets.into_iter().filter(|secret| secret.len() >= MIN_BYTES).map(Box::from).collect())
    }

    /// Finds one more.
    pub fn with(&self, secret: &str) -> Self {
        let known = self.secrets.iter().map(|secret| &**secret);
        Self::new(known.chain([secret]))
    }

    fn of(secrets: Arc<[Box<str>]>) -> Self {
        if secrets.is_empty() {
            return Self::default();
        }
        let needles = secrets.iter().flat_map(|secret| forms(secret));
        let builder = &mut AhoCorasick::builder();
        let finder = builder.match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(true).build(needles);
        // It fails beyond gigabytes of needles only, and the config is smaller.
        Self { finder: finder.ok(), secrets }
    }

    /// Whether a secret is in `bytes`.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.finder.as_ref().is_some_and(|finder| finder.is_match(bytes))
    }

    /// `bytes` without the secrets; the same bytes where none is in them.
    pub fn clean(&self, bytes: Bytes) -> Bytes {
        let Some(finder) = &self.finder else { return bytes };
        let mut places = finder.find_iter(&bytes).peekable();
        if places.peek().is_none() {
            return bytes;
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for place in places {
            clean.extend_from_slice(bytes.get(from..place.start()).unwrap_or_default());
            clean.extend_from_slice(MASK);
            from = place.end();
        }
        clean.extend_from_slice(bytes.get(from..).unwrap_or_default());
        clean.into()
    }
}

/// How a secret may be written down.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_matches('"').to_owned();
    let mut forms =
        vec![secret.to_owned(), utf8_percent_encode(secret, QUERY).to_string(), json.replace('/', "\\/"), json];
    forms.sort();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echoed_key_is_taken_out() {
        let redactor = Redactor::new(["sk-12345678"]);
        let clean = |text: &'static str| redactor.clean(Bytes::from_static(text.as_bytes()));
        assert_eq!(clean("bad key sk-12345678."), "bad key [redacted].");
        assert_eq!(clean("sk-12345678sk-12345678"), "[redacted][redacted]");
        assert_eq!(clean("nothing"), "nothing");
        assert_eq!(format!("{redactor:?}"), "Redactor");
    }

    #[test]
    fn every_secret_is_found_however_it_is_written() {
        let redactor = Redactor::new(["AKIDEXAMPLE", "wJalrXUt/K7+DENG=="]).with("ya29.token-1");
        for echo in [
            "AKIDEXAMPLE",
            "akidexample",
            "wJalrXUt/K7+DENG==",
            "wJalrXUt\\/K7+DENG==",
            "wJalrXUt%2FK7%2BDENG%3D%3D",
            "wJalrXUt%2fK7%2bDENG%3d%3d",
            "ya29.token-1",
        ] {
            assert!(redactor.finds(format!("<{echo}>").as_bytes()), "{echo}");
            assert_eq!(redactor.clean(format!("<{echo}>").into()), "<[redacted]>", "{echo}");
        }
    }

    #[test]
    fn a_word_is_no_secret() {
        assert!(!Redactor::new(["none", ""]).finds(b"none"));
    }
}
