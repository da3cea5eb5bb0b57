//! What a plugin says of itself, checked.

use http::HeaderName;
use url::Url;

use super::{Credential, Operation, bindings::v0_1::exports::ai_api::plugin::provider as wit};
use crate::upstream::Placement;

/// What a plugin is.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The prefix in `model: name/model`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// Where requests go when the operator gave no `api_base`.
    pub base_url: Option<Url>,
    /// Where the provider's key goes on a request.
    pub placement: Placement,
    /// What it serves.
    pub operations: Vec<Support>,
}

/// One operation that a plugin serves.
#[derive(Clone, Debug)]
pub struct Support {
    /// Which.
    pub operation: Operation,
    /// Where the provider speaks the canonical wire itself, relative to the base URL.
    pub native: Option<String>,
    /// Prefixes of models that the plugin translates all the same.
    pub translated: Vec<String>,
}

impl Operation {
    /// The endpoint of the OpenAI API.
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::ImagesGenerations => "/v1/images/generations",
        }
    }
}

impl Manifest {
    /// How `operation` is served, if it is.
    pub fn support(&self, operation: Operation) -> Option<&Support> {
        self.operations.iter().find(|support| support.operation == operation)
    }
}

impl Support {
    /// The path to which a call for `model` can go as it is.
    pub fn native_path(&self, model: &str) -> Option<&str> {
        let translated = self.translated.iter().any(|prefix| model.starts_with(prefix.as_str()));
        self.native.as_deref().filter(|_| !translated)
    }
}

impl TryFrom<wit::Manifest> for Manifest {
    type Error = String;

    fn try_from(raw: wit::Manifest) -> Result<Self, String> {
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if raw.name.is_empty() || raw.name.len() > 64 || !raw.name.chars().all(named) {
            return Err(format!("'{}' is no name: letters, digits, '-' and '_' only", raw.name.escape_debug()));
        }
        let base_url = match raw.base_url.as_str() {
            "" => None,
            text => match Url::parse(text) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
                _ => return Err(format!("base-url '{}' is no http(s) URL", text.escape_debug())),
            },
        };
        let placement = match raw.credential {
            Credential::None => Placement::None,
            Credential::Bearer => Placement::Bearer,
            Credential::Header(name) => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => Placement::Header(name),
                Err(_) => return Err(format!("'{}' is no header name for a credential", name.escape_debug())),
            },
            Credential::Query(name) if name.is_empty() => return Err("the credential's parameter has no name".into()),
            Credential::Query(name) => Placement::Query(name),
        };
        if raw.operations.is_empty() {
            return Err("it serves no operation".to_owned());
        }
        let operations = raw
            .operations
            .into_iter()
            .map(|s| Support { operation: s.operation, native: s.native, translated: s.translated })
            .collect();
        Ok(Self { name: raw.name, version: raw.version, base_url, placement, operations })
    }
}
