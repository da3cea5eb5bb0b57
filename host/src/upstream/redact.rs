//! Takes secrets out of what a provider says, should it echo them.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::Bytes;
use percent_encoding::utf8_percent_encode;

use super::target::QUERY;

const MASK: &[u8] = b"[redacted]";

/// Shorter secrets are words that stand in any text, so they are not looked for.
const MIN_BYTES: usize = 8;

/// Finds the secrets of a deployment, as they are, as a URL holds them and as JSON may.
///
/// Cloned cheaply: every call has one. Case matters, for what ignores it is searched for far more slowly.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Arc<[Box<str>]>,
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
        Self::of(secrets.into_iter().filter(|secret| secret.len() >= MIN_BYTES).flat_map(forms).collect())
    }

    /// Finds each of `secrets` as it is, and no other forms of it: for those of which there are many.
    pub fn verbatim<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(secrets.into_iter().filter(|secret| secret.len() >= MIN_BYTES).map(Box::from).collect())
    }

    /// Finds one more.
    pub fn with(&self, secret: &str) -> Self {
        let more = Some(secret).filter(|secret| secret.len() >= MIN_BYTES);
        Self::of(self.needles.iter().cloned().chain(more.into_iter().flat_map(forms)).collect())
    }

    /// What it looks for.
    pub(super) fn needles(&self) -> impl Iterator<Item = &str> {
        self.needles.iter().map(|needle| &**needle)
    }

    fn of(needles: Arc<[Box<str>]>) -> Self {
        if needles.is_empty() {
            return Self::default();
        }
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(needles.iter().map(|n| &**n));
        // It fails beyond gigabytes of needles only, and the config is smaller.
        Self { finder: finder.ok(), needles }
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
fn forms(secret: &str) -> Vec<Box<str>> {
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_matches('"');
    let encoded = utf8_percent_encode(secret, QUERY).to_string();
    let in_lower_case = lower_escapes(&encoded);
    let mut forms =
        vec![Box::from(secret), encoded.into(), in_lower_case.into(), json.replace('/', "\\/").into(), json.into()];
    forms.sort();
    forms.dedup();
    forms
}

/// `%2F` as `%2f`.
fn lower_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        lower.extend(["%", &digits.to_ascii_lowercase(), rest]);
    }
    lower
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
