//! One way to serve a model: an entry of `model_list`, checked and resolved.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map as JsonMap, Value as Json};
use url::Url;

use super::cloud::Cloud;
use super::health::DeploymentHealth;
use super::models::{Capabilities, ModelLimits, ModelTable};
use super::routing::DeploymentRouting;
use super::secret::Secret;
use crate::prices::Pricing;

/// An entry of `model_list`. Several with the same `model_name` form a group that shares the calls.
///
/// Its `Debug` shows no key, no header value and no parameter value, so it may be logged.
#[derive(Clone)]
pub struct Deployment {
    /// `model_info.id`, else a hash of what the file says (not of the keys themselves). Unique.
    pub id: String,
    /// The name that clients use; may hold `*`.
    pub model_name: String,
    /// The provider's name, e.g. `groq`. Empty when it could not be told; [`Deployment::unusable`] says so.
    pub provider: String,
    /// The plugin that serves it: `openai` for the vendors of the table, the provider's own name for
    /// one that the table doesn't know.
    pub plugin: String,
    /// The provider's name for the model, without the prefix; may hold `*`.
    pub model: String,
    /// The model that the file names, with its provider, where that one is gone and `model` took its place
    /// (`router_settings.model_successors`).
    pub succeeds: Option<String>,
    /// Where the API is, without a slash at the end of its path. `None`: where the plugin's manifest says.
    pub api_base: Option<Url>,
    /// The operator said so, and not the table that comes with the gateway.
    pub api_base_named: bool,
    /// What to authenticate with.
    pub credential: Credential,
    /// What to authenticate with where the plugin's manifest asks for a cloud's way.
    pub cloud: Cloud,
    /// Headers to add to the call: `extra_headers`, `headers` and `organization`. Those that may be
    /// secret are marked sensitive.
    pub extra_headers: HeaderMap,
    /// For an attempt. `timeout`, else that of its group in `router_settings.model_group_timeouts`, else that of
    /// `router_settings`, else `litellm_settings.request_timeout`, else 600 s (LiteLLM: 6000 s).
    pub timeout: Duration,
    /// Until the first chunk of a stream: `stream_timeout`, in the same places.
    pub stream_timeout: Option<Duration>,
    /// Parameters that the provider doesn't support are left out instead of refused.
    pub drop_params: bool,
    /// Parameters to leave out always; paths such as `tools[*].input_examples` among them.
    pub additional_drop_params: Vec<String>,
    /// Parameters to let through although the provider is not known to support them.
    pub allowed_openai_params: Vec<String>,
    /// What can't be translated without loss is refused (AI-API's own: here, or `ai_api_settings.strict`).
    pub strict: bool,
    /// Parameters that the provider knows by another name: OpenAI's name to its own.
    pub rename_params: BTreeMap<String, String>,
    /// Defaults for parameters that a request lacks: every key of `litellm_params` without another meaning.
    pub default_params: JsonMap<String, Json>,
    /// What a plugin may be shown, should its manifest name it: every text, number and boolean of `litellm_params` that
    /// has no meaning to the gateway and whose name can't be a secret's. Those of `default_params` are among them.
    pub parameters: BTreeMap<String, String>,
    /// Merged into the body, whatever the request says.
    pub extra_body: JsonMap<String, Json>,
    /// A canned answer: no provider is called.
    pub mock_response: Option<String>,
    /// `model_info` as it is written, to be shown.
    pub model_info: JsonMap<String, Json>,
    /// Its share of the group's calls, relative to the others' weights.
    pub weight: Option<f64>,
    /// What else it says of its routing.
    pub routing: DeploymentRouting,
    /// What its calls cost.
    pub pricing: Pricing,
    /// What `model_info` says of its probes.
    pub health: DeploymentHealth,
    /// Why it can't serve calls, as a client may be told. It stays in the list, so that a call gets this
    /// for an answer and not "no such model".
    pub unusable: Option<String>,
    /// The file it stands in, as it was named.
    pub file: Arc<str>,
    /// The line it begins on.
    pub line: u64,
}

/// What a call to the provider is authenticated with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A key; the plugin's manifest says how it goes onto the wire.
    Key(Secret),
    /// The provider takes calls without one.
    None,
    /// There should be one in this environment variable, and it isn't set.
    Missing {
        /// The name to tell the operator.
        variable: String,
    },
}

// === impl Deployment ===

impl Deployment {
    /// Whether `model_name` stands for many names.
    pub fn is_wildcard(&self) -> bool {
        self.model_name.contains('*')
    }

    /// What the table knows about `model` (of a deployment for many, the one that is asked for), by the name
    /// `model_info.base_model` where that is given.
    pub fn limits(&self, table: &ModelTable, model: &str) -> Option<ModelLimits> {
        table.limits(&self.provider, self.base_model().unwrap_or(model))
    }

    /// What the model can: `model_info.supports_…`, else the table's.
    pub fn capabilities(&self, table: &ModelTable, model: &str) -> Capabilities {
        let known = table.capabilities(&self.provider, self.base_model().unwrap_or(model));
        let own = |key| self.model_info.get(key).and_then(Json::as_bool);
        Capabilities {
            vision: own("supports_vision").or(known.vision),
            tools: own("supports_function_calling").or(known.tools),
            schema: own("supports_response_schema").or(known.schema),
            pdf: own("supports_pdf_input").or(known.pdf),
            audio: own("supports_audio_input").or(known.audio),
        }
    }

    /// The groups of models that it belongs to, which keys may be given instead of models: `model_info.access_groups`.
    pub fn access_groups(&self) -> impl Iterator<Item = &str> {
        let groups = self.model_info.get("access_groups");
        let list = groups.and_then(Json::as_array).into_iter().flatten();
        groups.into_iter().chain(list).filter_map(Json::as_str)
    }

    /// Tokens that an answer may have: `model_info.max_output_tokens`, else `model_info.max_tokens`, else the table's.
    pub fn max_output_tokens(&self, table: &ModelTable, model: &str) -> Option<u64> {
        let own = self.info_tokens("max_output_tokens").or_else(|| self.info_tokens("max_tokens"));
        own.or_else(|| self.limits(table, model)?.max_output_tokens)
    }

    /// Tokens that a prompt may have: `model_info.max_input_tokens`, else the table's.
    pub fn max_input_tokens(&self, table: &ModelTable, model: &str) -> Option<u64> {
        self.info_tokens("max_input_tokens").or_else(|| self.limits(table, model)?.max_input_tokens)
    }

    /// What the model is for, in LiteLLM's words (`chat`, `embedding`, …): `model_info.mode`, else the table's.
    pub fn mode<'a>(&'a self, table: &ModelTable, model: &str) -> Option<&'a str> {
        let own = self.model_info.get("mode").and_then(Json::as_str);
        own.or_else(|| self.limits(table, model).map(|limits| limits.mode))
    }

    /// `model_info.base_model`, without the provider's prefix.
    fn base_model(&self) -> Option<&str> {
        let base = self.model_info.get("base_model").and_then(Json::as_str)?;
        Some(base.strip_prefix(&self.provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(base))
    }

    fn info_tokens(&self, key: &str) -> Option<u64> {
        let value = self.model_info.get(key)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
    }
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment")
            .field("id", &self.id)
            .field("model_name", &self.model_name)
            .field("provider", &self.provider)
            .field("plugin", &self.plugin)
            .field("model", &self.model)
            .field("succeeds", &self.succeeds)
            .field("api_base", &self.api_base.as_ref().map(Url::as_str))
            .field("credential", &self.credential)
            .field("cloud", &self.cloud)
            .field("extra_headers", &self.extra_headers.keys().collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .field("stream_timeout", &self.stream_timeout)
            .field("drop_params", &self.drop_params)
            .field("strict", &self.strict)
            .field("default_params", &self.default_params.keys().collect::<Vec<_>>())
            .field("parameters", &self.parameters.keys().collect::<Vec<_>>())
            .field("extra_body", &self.extra_body.keys().collect::<Vec<_>>())
            .field("weight", &self.weight)
            .field("routing", &self.routing)
            .field("pricing", &self.pricing)
            .field("unusable", &self.unusable)
            .field("file", &self.file)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}
