//! Where a request goes: the deployment's base URL, and a path from which nothing can escape.

use percent_encoding::percent_decode_str;
use url::Url;

/// A path that a plugin may not ask for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("asked for the path '{}', which {why}", .path.escape_debug())]
pub struct BadPath {
    /// The path, shortened.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
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
        url.query_pairs_mut().extend_pairs(query);
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
    for segment in path.split('/') {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        if decoded.is_empty() {
            return Err("has an empty segment");
        }
        if matches!(&*decoded, "." | "..") || decoded.contains(['/', '\\']) || decoded.chars().any(char::is_control) {
            return Err("climbs or hides a separator");
        }
    }
    Ok(())
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
        ] {
            assert!(join(&base, path, &[]).is_err(), "{path:?} was taken");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        let url = join(&Url::parse("https://x").unwrap(), "a", &[("k".into(), "v&w=\r\n".into())]).unwrap();
        assert_eq!(url.query(), Some("k=v%26w%3D%0D%0A"));
    }
}
