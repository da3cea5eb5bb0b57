//! Where a request goes: the deployment's base URL, and a path from which nothing can escape.

use std::borrow::Cow;
use std::sync::OnceLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::Placement;

/// What a query encodes: all but RFC 3986's unreserved characters. A space is `%20`, for a `+` is read in two ways, and
/// signatures depend on it.
pub(super) const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Names under which keys and signatures stand in queries: no plugin may set one.
const OUR_QUERIES: &[&str] = &["access_token", "api-key", "api_key", "apikey", "key", "oauth_token"];

/// The same, for whole families of names.
const OUR_QUERY_PREFIXES: &[&str] = &["x-amz-", "x-goog-"];

/// So many times over may a segment be encoded, what encodes nothing included.
const MAX_DECODED: usize = 8;

/// So many paths of a deployment are kept: whole answers, streams and embeddings of one model have one each.
const KNOWN_PATHS: usize = 4;

/// A query parameter that a plugin may not set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("set the query parameter '{}', which it may not", .0.escape_debug())]
pub struct BadQuery(pub String);

/// Checks the query that a plugin asked for.
///
/// # Errors
/// The first parameter that is the gateway's own.
pub fn guest_query(query: &[(String, String)], placement: &Placement) -> Result<(), BadQuery> {
    let is_ours = |name: &str| {
        let name = name.to_ascii_lowercase();
        OUR_QUERIES.contains(&name.as_str())
            || OUR_QUERY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || matches!(placement, Placement::Query(own) if own.eq_ignore_ascii_case(&name))
    };
    match query.iter().find(|(name, _)| is_ours(name)) {
        Some((name, _)) => Err(BadQuery(name.chars().take(64).collect())),
        None => Ok(()),
    }
}

/// Adds parameters to a URL's query.
pub(super) fn push_query<'a>(url: &mut Url, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut query = url.query().unwrap_or_default().to_owned();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, QUERY));
        query.push('=');
        query.extend(utf8_percent_encode(value, QUERY));
    }
    url.set_query(Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
}

/// A path that a plugin may not ask for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("asked for the path '{}', which {why}", .path.escape_debug())]
pub struct BadPath {
    /// The path, shortened.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A deployment's base URL, and the URLs of the paths that were asked for first: there are only a few, mostly, and to
/// check a path and to put a URL together costs more than to find it again.
#[derive(Debug)]
pub struct Base {
    url: Url,
    known: [OnceLock<(String, Url)>; KNOWN_PATHS],
}

impl Base {
    /// Of this URL.
    pub fn new(url: Url) -> Self {
        Self { url, known: Default::default() }
    }

    /// The URL itself.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The same as [`join`].
    ///
    /// # Errors
    /// Those of [`join`].
    pub fn join(&self, path: &str, query: &[(String, String)]) -> Result<Url, BadPath> {
        let filled = self.known.iter().map_while(OnceLock::get);
        let mut url = match filled.into_iter().find(|(known, _)| known == path) {
            Some((_, url)) => url.clone(),
            None => {
                let url = join(&self.url, path, &[])?;
                // Where all are taken, or another call was faster, this one isn't kept.
                if let Some(free) = self.known.iter().find(|known| known.get().is_none()) {
                    let _ = free.set((path.to_owned(), url.clone()));
                }
                url
            }
        };
        if !query.is_empty() {
            push_query(&mut url, query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        Ok(url)
    }
}

/// The URL of `path` under `base`.
///
/// Where the base's path already ends with the path's beginning (`https://x/v1` and `v1/messages`), it is not
/// doubled: people write the base of such a provider either way.
///
/// # Errors
/// The path could lead elsewhere: it is absolute, climbs, is empty, or holds what isn't a path's.
pub fn join(base: &Url, path: &str, query: &[(String, String)]) -> Result<Url, BadPath> {
    let bad = |why| BadPath { path: path.chars().take(200).collect(), why };
    check(path).map_err(bad)?;
    let mut url = base.clone();
    let base_path = base.path().trim_end_matches('/');
    let rest = without_overlap(base_path, path);
    let joined = if rest.is_empty() { base_path.to_owned() } else { format!("{base_path}/{rest}") };
    url.set_path(&joined);
    if !query.is_empty() {
        push_query(&mut url, query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
    // The check above should make this impossible; a key goes to this URL, so look.
    if url.origin() != base.origin() || !url.path().starts_with(base_path) {
        return Err(bad("leads away from the base URL"));
    }
    Ok(url)
}

fn check(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > 4096 {
        return Err("is empty or longer than 4096 bytes");
    }
    if path.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'?' | b'#' | b'"' | b'<' | b'>')) {
        return Err("has characters that a path may not have");
    }
    path.split('/').try_for_each(check_segment)
}

/// Checks a segment as it is and as each server on its way may come to read it: some decode once more than they should,
/// and some cut off what stands behind a `;`.
fn check_segment(segment: &str) -> Result<(), &'static str> {
    let mut read = Cow::Borrowed(segment);
    for _ in 0..MAX_DECODED {
        let name = read.split(';').next().unwrap_or_default();
        if name.is_empty() {
            return Err("has an empty segment");
        }
        if matches!(name, "." | "..") || read.contains(['/', '\\']) || read.chars().any(char::is_control) {
            return Err("climbs or hides a separator");
        }
        let decoded = percent_decode_str(&read).decode_utf8_lossy().into_owned();
        if decoded == *read {
            return Ok(());
        }
        read = Cow::Owned(decoded);
    }
    Err("is encoded too many times over")
}

/// What is left of `path` when the segments that end `base` already are taken away.
fn without_overlap<'a>(base: &str, path: &'a str) -> &'a str {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let overlap = ends.filter(|end| path.get(..*end).is_some_and(|head| base.ends_with(&format!("/{head}")))).max();
    match overlap {
        Some(end) => path.get(end..).unwrap_or_default().trim_start_matches('/'),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_joined_and_not_doubled() {
        for (base, path, url) in [
            ("https://api.openai.com/v1", "chat/completions", "https://api.openai.com/v1/chat/completions"),
            ("https://api.openai.com/v1/", "chat/completions", "https://api.openai.com/v1/chat/completions"),
            ("https://api.anthropic.com", "v1/messages", "https://api.anthropic.com/v1/messages"),
            ("https://api.anthropic.com/v1", "v1/messages", "https://api.anthropic.com/v1/messages"),
            ("https://x/proxy/v1/messages", "v1/messages", "https://x/proxy/v1/messages"),
            ("http://h:1/a/v1beta", "models/g:generateContent", "http://h:1/a/v1beta/models/g:generateContent"),
        ] {
            assert_eq!(join(&Url::parse(base).unwrap(), path, &[]).unwrap().as_str(), url);
        }
    }

    #[test]
    fn a_path_that_is_known_comes_to_the_same_url() {
        let base = Base::new(Url::parse("https://x/v1").unwrap());
        for _ in 0..2 {
            for path in ["a", "b", "v1/c", "d", "e", "f"] {
                for query in [&[][..], &[("k".to_owned(), "v".to_owned())]] {
                    assert_eq!(base.join(path, query), join(base.url(), path, query), "{path}");
                }
            }
            assert!(base.join("../a", &[]).is_err());
        }
        let known = base.known.iter().filter_map(OnceLock::get).map(|(path, _)| path.as_str());
        assert_eq!(known.collect::<Vec<_>>(), ["a", "b", "v1/c", "d"]);
    }

    #[test]
    fn nothing_leads_away_from_the_base() {
        let base = Url::parse("https://api.example.com/v1").unwrap();
        for path in [
            "",
            "/x",
            "//evil.com/x",
            "../x",
            "a/../../x",
            "a/./b",
            "a//b",
            "%2e%2e/x",
            "a/%2E%2e/x",
            "a%2fb",
            "a%5cb",
            "a\\b",
            "x?y=z",
            "x#y",
            "a\r\nhost: evil",
            "a b",
            "ä",
            "x%0d%0ay",
            "a/",
            "https://evil.com/x",
            "..;/admin",
            "a/..;x=y/b",
            ".;/a",
            "..%3b/admin",
            ";/admin",
            "%252e%252e/admin",
            "%25252E%25252e/admin",
            "%2e%252e%3Bx/admin",
            "a%252fb",
            "a%255cb",
            "a%250d%250ab",
            "a%252525252525252525252525b",
        ] {
            assert!(join(&base, path, &[]).is_err(), "{path:?} was taken");
        }
    }

    #[test]
    fn a_name_keeps_what_only_looks_odd() {
        let base = Url::parse("https://api.example.com/v1").unwrap();
        for path in [
            "models/100%25",
            "models/50%25-off",
            "models/a%2520b",
            "models/a;b",
            "models/..a",
            "models/a..b;c",
            "models/%C3%A4:generate",
            "model/anthropic.claude-v2%3A1/invoke",
        ] {
            assert_eq!(join(&base, path, &[]).map(|url| url.path().to_owned()), Ok(format!("/v1/{path}")));
        }
    }

    #[test]
    fn a_query_is_encoded() {
        let url = join(&Url::parse("https://x").unwrap(), "a", &[("k".into(), "v&w= +\r\n'é".into())]).unwrap();
        assert_eq!(url.query(), Some("k=v%26w%3D%20%2B%0D%0A%27%C3%A9"));
    }

    #[test]
    fn a_plugin_may_not_set_what_a_credential_is_in() {
        let own = Placement::Query("subscription".to_owned());
        for (name, fine) in [
            ("key", false),
            ("KEY", false),
            ("Subscription", false),
            ("X-Amz-Signature", false),
            ("x-goog-credential", false),
            ("access_token", false),
            ("alt", true),
            ("api-version", true),
            ("keys", true),
        ] {
            assert_eq!(guest_query(&[(name.into(), "v".into())], &own).is_ok(), fine, "{name}");
        }
    }
}
