//! Where a deployment's API is.
//!
//! `api_base` (or `base_url`), else the provider's environment variables, else the table's entry,
//! else the plugin's manifest.

use url::Url;

use super::environment::Environment;
use super::params::Params;
use super::providers::Provider;
use super::report::Report;

/// A base URL and who gave it.
#[derive(Debug, Default)]
pub(super) struct BaseUrl {
    /// `None`: where the plugin's manifest says.
    pub url: Option<Url>,
    /// The deployment gave it; the provider's variables belong to the provider's key.
    pub own: bool,
    /// The operator gave it: there, in a variable or in `providers`.
    pub named: bool,
}

/// Finds the base URL. The error is a reason that a client may be told; a URL that is none is in the
/// report as an error.
pub(super) fn resolve(
    params: &Params<'_>,
    name: &str,
    provider: Option<&Provider>,
    environment: &Environment,
    report: &mut Report,
) -> Result<BaseUrl, String> {
    let none = Provider::default();
    let row = provider.unwrap_or(&none);
    let suffix = row.api_base_suffix.as_deref();
    for key in ["api_base", "base_url"] {
        let Some(at) = params.raw(key) else { continue };
        // Falling back to the vendor would send it what was meant for another server. Only a variable that
        // is the vendor's own says "the usual place" by being unset.
        if let Some(variable) =
            at.node.unset_variable().filter(|variable| !row.api_base_env.iter().any(|own| own == variable))
        {
            return Err(format!("its {key} is taken from the environment variable {variable}, which is not set"));
        }
        if !at.node.is_none() {
            let url = at
                .text(report)
                .and_then(|text| parse(text.trim(), suffix).map_err(|problem| at.error(problem, report)).ok());
            return Ok(BaseUrl { url, own: true, named: true });
        }
    }
    if let Some((variable, text)) = environment.first(&row.api_base_env) {
        let at = params.model_or_self();
        let url = parse(text.trim(), suffix)
            .map_err(|problem| at.error(format!("the environment variable {variable}: {problem}"), report));
        return Ok(BaseUrl { url: url.ok(), own: false, named: true });
    }
    let Some(template) = &row.api_base else {
        return without_base(name, provider);
    };
    let text = fill(template, name, params, environment, report)?;
    parse(&text, suffix)
        .map(|url| BaseUrl { url: Some(url), own: false, named: row.api_base_named })
        .map_err(|problem| format!("the base URL of `{name}`: {problem}"))
}

/// A vendor without a base URL must not fall through to the plugin's: that is somebody else's server.
fn without_base(name: &str, provider: Option<&Provider>) -> Result<BaseUrl, String> {
    match provider {
        Some(row) if row.plugin() != name => {
            let variable = row
                .api_base_env
                .first()
                .map(|variable| format!(", or the environment variable {variable}"))
                .unwrap_or_default();
            Err(format!("`{name}` has no base URL of its own: set api_base{variable}"))
        }
        _ => Ok(BaseUrl::default()),
    }
}

/// Fills `{name}` from the parameter of that name, or from PROVIDER_NAME of the environment.
fn fill(
    template: &str,
    provider: &str,
    params: &Params<'_>,
    environment: &Environment,
    report: &mut Report,
) -> Result<String, String> {
    let mut url = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        let variable = format!("{provider}_{name}").to_ascii_uppercase().replace('-', "_");
        let value =
            params.get(name).and_then(|at| at.text(report)).or_else(|| environment.get(&variable).map(str::to_owned));
        let value = value.ok_or_else(|| {
            format!("the base URL of `{provider}` needs litellm_params.{name}, or the environment variable {variable}")
        })?;
        if !is_segment(&value) {
            return Err(format!("litellm_params.{name} is no part of a host name or path"));
        }
        url.extend([before, &value]);
        rest = after;
    }
    url.push_str(rest);
    Ok(url)
}

/// Letters, digits, `.`, `-`, `_`, beginning with one of the first two: no `..`, no `/`, no `@`, no `:`.
fn is_segment(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && !text.contains("..")
}

/// Parses and normalises; the error never shows the URL, which may hold a password.
fn parse(text: &str, suffix: Option<&str>) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("expected a URL like https://host/v1 ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("expected a URL that begins with https:// or http://".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("expected a URL with a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected a URL without a user and password: put the key into api_key".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected a URL without `?` and `#`".to_owned());
    }
    let mut path = url.path().trim_end_matches('/').to_owned();
    if let Some(suffix) = suffix.filter(|suffix| !path.ends_with(suffix)) {
        path.push_str(suffix);
    }
    url.set_path(&path);
    Ok(url)
}

/// Whether a key of `litellm_params` fills a `{name}` of the provider's base URL.
pub(super) fn is_placeholder(provider: Option<&Provider>, key: &str) -> bool {
    provider.is_some_and(|row| row.placeholders().any(|name| name == key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_normalised() {
        for (text, suffix, url) in [
            ("https://api.groq.com/openai/v1/", None, "https://api.groq.com/openai/v1"),
            ("http://localhost:11434", Some("/v1"), "http://localhost:11434/v1"),
            ("http://localhost:11434/v1/", Some("/v1"), "http://localhost:11434/v1"),
            ("https://host", None, "https://host/"),
            ("http://[::1]:8000/v1", None, "http://[::1]:8000/v1"),
        ] {
            assert_eq!(parse(text, suffix).as_ref().map(Url::as_str).map_err(String::as_str), Ok(url), "{text}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_without_showing_it() {
        for text in [
            "",
            "localhost:8000",
            "host/v1",
            "ftp://host",
            "file:///etc/passwd",
            "http://",
            "http://u:hunter2@host",
            "https://h?k=hunter2",
            "https://h#x",
        ] {
            let error = parse(text, None).expect_err(text);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_fills_a_template_stays_within_its_segment() {
        for (text, fits) in [
            ("abc123", true),
            ("dbc-1.cloud.example.com", true),
            ("a/b", false),
            ("a@evil", false),
            ("..", false),
            ("a..b", false),
            ("", false),
            ("a:1", false),
            ("a?b", false),
        ] {
            assert_eq!(is_segment(text), fits, "{text:?}");
        }
    }
}
