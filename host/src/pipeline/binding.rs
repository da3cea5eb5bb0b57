//! What a deployment and its plugin come to together: worked out once, when a [`Pipeline`](super::Pipeline) is made.
//!
//! The configuration knows no manifest, and a manifest no deployment. Here they meet: where requests go, what of the
//! deployment's parameters the plugin is shown and what is sent, and how requests are authenticated. What doesn't fit
//! is kept as the error that each call then gets.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::GatewayError;
use crate::config::{Config, Deployment};
use crate::plugin::{Manifest, Operation, Plugin, Registry};
use crate::upstream::{Authenticator, BadPath, Base, NO_ADDRESS, NoCredential, Upstream, join};

/// The key of `call.params` that says how long an answer may be.
const MAX_OUTPUT_TOKENS: &str = "max_output_tokens";

/// A deployment that can serve.
#[derive(Debug)]
pub(super) struct Binding {
    /// Its plugin.
    pub(super) plugin: Arc<Plugin>,
    /// Where its requests go.
    base: Option<Base>,
    /// The URL of each operation that the provider speaks itself.
    native: Vec<(Operation, Result<Url, BadPath>)>,
    /// What the plugin is shown of the deployment.
    params: Vec<(String, String)>,
    /// Request parameters for requests that lack them, as JSON.
    pub(super) defaults: Vec<(String, String)>,
    /// What is set in each request, as JSON.
    pub(super) extra_body: Vec<(String, String)>,
    /// Authenticates its requests.
    pub(super) authenticator: Authenticator,
}

/// Why a deployment can't serve.
#[derive(Clone, Debug)]
pub(super) enum Unbound {
    /// Something is missing or wrong.
    Unusable(String),
    /// A credential isn't set.
    NoCredential(String),
}

/// The bindings of all deployments, in their order.
pub(super) fn bind_all(config: &Config, plugins: &Registry, upstream: &Upstream) -> Vec<Result<Binding, Unbound>> {
    config.deployments.iter().map(|deployment| Binding::new(deployment, config, plugins, upstream)).collect()
}

impl Binding {
    fn new(deployment: &Deployment, config: &Config, plugins: &Registry, upstream: &Upstream) -> Result<Self, Unbound> {
        if let Some(reason) = &deployment.unusable {
            return Err(Unbound::Unusable(reason.clone()));
        }
        let plugin = plugins
            .serving(&deployment.provider, &deployment.plugin)
            .ok_or_else(|| Unbound::Unusable(format!("no plugin serves the provider '{}'", deployment.provider)))?;
        let manifest = &plugin.manifest;
        let base = base_url(deployment, manifest).map_err(Unbound::Unusable)?;
        let authenticator = upstream.authenticator(&manifest.placement, deployment, base.as_ref())?;
        let native = manifest.operations.iter().filter_map(|support| {
            let path = support.native.as_deref()?;
            Some((support.operation, join(base.as_ref()?, path, &[])))
        });
        Ok(Self {
            plugin: plugin.clone(),
            native: native.collect(),
            params: shown(deployment, manifest, config).map_err(Unbound::Unusable)?,
            defaults: defaults(deployment, manifest),
            extra_body: deployment.extra_body.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
            authenticator,
            base: base.map(Base::new),
        })
    }

    /// Where its requests go. A plugin that answers by itself needs no address.
    ///
    /// # Errors
    /// Nobody gave one; `model` is what the client named.
    pub(super) fn base(&self, model: &str) -> Result<&Base, GatewayError> {
        let missing = || Unbound::Unusable(NO_ADDRESS.to_owned());
        self.base.as_ref().ok_or_else(|| missing().error(model))
    }

    /// Whether its provider speaks the canonical wire itself.
    pub(super) fn speaks_canonical(&self) -> bool {
        !self.native.is_empty()
    }

    /// Where calls for `operation` go as they are.
    pub(super) fn native_url(&self, operation: Operation) -> Option<Result<&Url, &BadPath>> {
        self.native.iter().find(|(known, _)| *known == operation).map(|(_, url)| url.as_ref())
    }

    /// What the plugin is shown for a call: `limit` is the model's, where the deployment serves many.
    pub(super) fn params<'a>(&'a self, limit: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
        let limit = limit.map(|limit| (MAX_OUTPUT_TOKENS, limit));
        self.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(limit).collect()
    }
}

/// The operator's address, else the plugin's own with the deployment's parameters in it.
fn base_url(deployment: &Deployment, manifest: &Manifest) -> Result<Option<Url>, String> {
    match (&deployment.api_base, &manifest.base_url) {
        (Some(own), _) => Ok(Some(own.clone())),
        (None, Some(template)) => template.fill(|name| deployment.parameters.get(name).map(String::as_str)).map(Some),
        (None, None) => Ok(None),
    }
}

/// What the manifest asks for and the operator has set, and the model's limit where there is one model.
fn shown(deployment: &Deployment, manifest: &Manifest, config: &Config) -> Result<Vec<(String, String)>, String> {
    let mut shown = Vec::new();
    if !deployment.is_wildcard() {
        let limit = deployment.max_output_tokens(config.models(), &deployment.model);
        shown.extend(limit.map(|limit| (MAX_OUTPUT_TOKENS.to_owned(), limit.to_string())));
    }
    for name in manifest.parameters.iter().filter(|name| *name != MAX_OUTPUT_TOKENS) {
        match (deployment.parameters.get(name), deployment.default_params.get(name)) {
            (Some(value), _) => shown.push((name.clone(), value.clone())),
            (None, Some(Value::Array(_) | Value::Object(_))) => {
                return Err(format!("litellm_params.{name} must be a text, a number or true or false"));
            }
            (None, _) => {}
        }
    }
    Ok(shown)
}

/// The default request parameters: what the plugin takes as its settings is none.
fn defaults(deployment: &Deployment, manifest: &Manifest) -> Vec<(String, String)> {
    let sent = deployment.default_params.iter().filter(|(name, _)| !manifest.parameters.contains(name));
    sent.map(|(name, value)| (name.clone(), value.to_string())).collect()
}

impl Unbound {
    /// What a call for `model` gets.
    pub(super) fn error(&self, model: &str) -> GatewayError {
        let model = model.to_owned();
        match self {
            Self::Unusable(reason) => GatewayError::Unusable { model, reason: reason.clone() },
            Self::NoCredential(variable) => GatewayError::NoCredential { model, variable: variable.clone() },
        }
    }
}

impl From<NoCredential> for Unbound {
    fn from(error: NoCredential) -> Self {
        match error {
            NoCredential::Unset(names) => Self::NoCredential(names),
            NoCredential::Unusable(why) => Self::Unusable(why),
        }
    }
}
