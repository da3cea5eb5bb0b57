//! What a plugin says of itself, checked.

use http::HeaderName;

use super::base_url::{BaseUrl, is_parameter_name};
use super::{Credential, Operation, bindings::v0_1::exports::ai_api::plugin::provider::Manifest as Raw};
use crate::upstream::Placement;

/// What a plugin is.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The prefix in `model: name/model`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// Where requests go when the operator gave no `api_base`.
    pub base_url: Option<BaseUrl>,
    /// Where the provider's key goes on a request.
    pub placement: Placement,
    /// What it serves.
    pub operations: Vec<Support>,
    /// Settings of a deployment that it wants to see, those in its base URL among them.
    pub parameters: Vec<String>,
    /// Whether an instance may serve one call after another.
    pub reusable: bool,
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

impl TryFrom<Raw> for Manifest {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        if !is_name(&raw.name) {
            return Err(format!("'{}' is no name: letters, digits, '-' and '_' only", raw.name.escape_debug()));
        }
        let base_url = match raw.base_url.as_str() {
            "" => None,
            template => Some(BaseUrl::parse(template)?),
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
            Credential::AwsSigv4(service) => Placement::AwsSigV4 { service },
            Credential::GoogleServiceAccount(scope) => Placement::GoogleServiceAccount { scope },
        };
        if raw.operations.is_empty() {
            return Err("it serves no operation".to_owned());
        }
        let operations = (raw.operations.into_iter())
            .map(|s| Support { operation: s.operation, native: s.native, translated: s.translated })
            .collect();
        let parameters = parameters(raw.parameters, base_url.as_ref())?;
        let Raw { name, version, reusable, .. } = raw;
        Ok(Self { name, version, base_url, placement, operations, parameters, reusable })
    }
}

/// Whether a plugin may be called so.
pub fn is_name(name: &str) -> bool {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.len() <= 64 && name.chars().all(named)
}

/// What a deployment may be asked for: names, once each, none of which could be a secret's.
fn parameters(named: Vec<String>, base_url: Option<&BaseUrl>) -> Result<Vec<String>, String> {
    let mut parameters: Vec<String> = base_url.map(|base| base.placeholders().to_vec()).unwrap_or_default();
    for name in named {
        if !parameters.contains(&name) {
            parameters.push(name);
        }
    }
    for name in &parameters {
        if !is_parameter_name(name) {
            return Err(format!("'{}' is no parameter's name: letters, digits and '_' only", name.escape_debug()));
        }
        if crate::config::may_hold_a_secret(name) {
            return Err(format!("it asks for the parameter '{name}', which may hold a secret"));
        }
    }
    Ok(parameters)
}
