//! `SERVER_ROOT_PATH`, for a gateway behind a reverse proxy that mounts it under a path.

use std::fmt;

use super::environment::Environment;
use super::report::Report;

/// Empty, or one or more segments with a slash in front of each: `/ai-api`, `/tools/ai`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootPath(String);

// === impl RootPath ===

impl RootPath {
    pub(super) fn read(environment: &Environment, report: &mut Report) -> Self {
        const NAME: &str = "SERVER_ROOT_PATH";
        let text = environment.get(NAME).unwrap_or_default();
        Self::parse(text).unwrap_or_else(|| {
            report.error(&super::environment_place(), NAME, "expected a path like /ai-api");
            Self::default()
        })
    }

    /// Normalises what people write: `ai-api`, `/ai-api/`, `//ai-api`. `None` when it is no path.
    fn parse(text: &str) -> Option<Self> {
        let segments: Vec<&str> = text.trim().split('/').filter(|segment| !segment.is_empty()).collect();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        let good = segments.iter().all(|segment| segment.bytes().all(allowed) && *segment != "." && *segment != "..");
        good.then(|| Self(segments.iter().map(|segment| format!("/{segment}")).collect()))
    }

    /// The path: empty, or `/ai-api`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `path` as a route: without the prefix if it has it, as it is otherwise. LiteLLM answers on both;
    /// a proxy in front may or may not strip the prefix.
    pub fn strip<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(self.0.as_str()) {
            Some(rest) if !self.0.is_empty() && rest.starts_with('/') => rest,
            Some("") if !self.0.is_empty() => "/",
            _ => path,
        }
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_path_is_normalised() {
        for (text, path) in
            [("", ""), ("/", ""), ("/ai-api", "/ai-api"), ("ai-api/", "/ai-api"), ("//tools//ai/", "/tools/ai")]
        {
            assert_eq!(RootPath::parse(text).map(|path| path.0).as_deref(), Some(path), "{text:?}");
        }
        for text in ["/a/../b", "/.", "/a?b", "/a#b", "/a b", "http://host/a", "/ä", "/a%2f"] {
            assert_eq!(RootPath::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_path_is_routed_with_and_without_the_prefix() {
        let root = RootPath::parse("/ai-api").expect("it is a path");

        for (path, route) in [
            ("/ai-api/v1/models", "/v1/models"),
            ("/v1/models", "/v1/models"),
            ("/ai-api", "/"),
            ("/ai-apis/v1", "/ai-apis/v1"),
            ("/ai-api/ai-api/v1/models", "/ai-api/v1/models"),
        ] {
            assert_eq!(root.strip(path), route, "{path}");
        }
        assert_eq!(RootPath::default().strip("/v1/models"), "/v1/models");
    }
}
