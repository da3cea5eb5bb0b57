//! Where a plugin's provider is, as a template that a deployment's parameters fill.

use url::Url;

/// An address such as `https://api.example.com/v1` or `https://{region}.example.com/{project}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    template: String,
    placeholders: Vec<String>,
}

impl BaseUrl {
    /// Reads a template.
    ///
    /// # Errors
    /// It is no http(s) URL, whatever fills it; or a placeholder stands where it could change the host's owner, or is
    /// no parameter's name.
    pub fn parse(template: &str) -> Result<Self, String> {
        let shown = template.escape_debug();
        let no_url = || format!("base-url '{shown}' is no http(s) URL with a host");
        // A parser of URLs would drop some of them without a word, and a terminal act on others.
        if !template.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("base-url '{shown}' has characters that a URL may not have"));
        }
        let mut placeholders = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("base-url '{shown}' lacks a '}}'"))?;
            if !is_parameter_name(name) || before.contains('}') {
                return Err(format!("base-url '{shown}': '{{{}}}' names no parameter", name.escape_debug()));
            }
            if !placeholders.iter().any(|known| known == name) {
                placeholders.push(name.to_owned());
            }
            rest = after;
        }
        let base = Self { template: template.to_owned(), placeholders };
        let url = base.fill(|_| Some("x")).map_err(|_| no_url())?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain || url.fragment().is_some() {
            return Err(no_url());
        }
        // The name's end says whose host it is.
        let host = base.host();
        if host.ends_with('}') || host.rsplit('.').take(2).any(|label| label.contains('{')) {
            return Err(format!("base-url '{shown}': a parameter may not stand in the last two parts of the host"));
        }
        Ok(base)
    }

    /// As the plugin wrote it.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Its host, as the plugin wrote it.
    pub fn host(&self) -> &str {
        let rest = self.template.split_once("://").map_or(self.template.as_str(), |(_, rest)| rest);
        rest.split(['/', ':']).next().unwrap_or_default()
    }

    /// The names of the parameters that fill it, each once.
    pub fn placeholders(&self) -> &[String] {
        &self.placeholders
    }

    /// The URL, with what `value` says for each name.
    ///
    /// # Errors
    /// A value is missing, or can't be part of a host name or one path segment. The value isn't in the message.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Result<Url, String> {
        let mut text = String::with_capacity(self.template.len());
        let mut rest = self.template.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let value = value(name).ok_or_else(|| format!("its base URL needs litellm_params.{name}"))?;
            if !is_segment(value) {
                return Err(format!("litellm_params.{name} is no part of a host name or path"));
            }
            text.extend([before, value]);
            rest = after;
        }
        text.push_str(rest);
        Url::parse(&text).map_err(|error| format!("its base URL is none: {error}"))
    }
}

/// Whether a text may name a parameter.
pub(super) fn is_parameter_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Letters, digits, `.`, `-`, `_`, beginning with one of the first two: no `..`, no `/`, no `@`, no `:`.
fn is_segment(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_fill_a_host_and_a_path() {
        let base = BaseUrl::parse("https://bedrock-runtime.{region}.amazonaws.com/p/{project}/{region}").unwrap();
        assert_eq!(base.placeholders(), ["region", "project"]);
        let url = base.fill(|name| Some(if name == "region" { "eu-west-1" } else { "p_1.x" })).unwrap();
        assert_eq!(url.as_str(), "https://bedrock-runtime.eu-west-1.amazonaws.com/p/p_1.x/eu-west-1");
        assert!(base.fill(|_| None).unwrap_err().contains("litellm_params.region"));
        for value in ["", "a/b", "a@evil", "..", "a..b", "a:1", "a?b", "a#b", "a%2fb", "a\r\nb", "-a", ".a", "ä"] {
            assert!(base.fill(|_| Some(value)).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_template_that_gives_the_host_away_is_refused() {
        for template in [
            "https://{host}/v1",
            "https://api.{domain}/v1",
            "https://{host}:443/v1",
            "https://api.example{x}.com/v1",
            "{scheme}://api.example.com",
            "https://api.example.com/{a b}",
            "https://api.example.com/{a",
            "https://api.example.com/a}{b}",
            "https://user:{x}@api.example.com",
            "https://api.example.com/?k={x}",
            "https://evil.example/\u{1b}[2K\rbase URL https://api.example.com/v1",
            "https://api.example.com/a b",
            "https://api.exämple.com/",
            "ftp://example.com",
            "example.com",
            "https://",
        ] {
            assert!(BaseUrl::parse(template).is_err(), "{template}");
        }
    }
}
