//! One entry of `model_list`.

use std::collections::BTreeMap;

use serde_json::{Map as JsonMap, Value as Json};
use sha2::{Digest, Sha256};

use super::at::At;
use super::base_url::{self, BaseUrl};
use super::cloud::Cloud;
use super::credential::{self, Wanted};
use super::deployment::{Credential, Deployment};
use super::environment::Environment;
use super::health::DeploymentHealth;
use super::known::{self, Section, Support};
use super::model_list::Context;
use super::node::{Value, holds_a_secret};
use super::params::{Params, unquoted};
use super::providers::Provider;
use super::report::{Report, Severity};
use super::routing::{DeploymentRouting, Keys, Timeouts};
use super::target::{self, Target};
use super::{catch_all, cloud, headers, pricing, succession};
use crate::prices::Pricing;

/// An entry whose mandatory keys are there.
pub(super) struct Entry<'a> {
    at: At<'a>,
    model_name: String,
    model: String,
    params: Params<'a>,
    /// The reason, where `litellm_credential_name` leads nowhere.
    credential_found: Result<(), String>,
    model_info: JsonMap<String, Json>,
}

/// How the provider is reached.
struct Access {
    base: BaseUrl,
    credential: Credential,
    cloud: Cloud,
}

/// LiteLLM's way to ask for the Responses API in a model's name.
const RESPONSES: &str = "responses/";

// === impl Entry ===

impl<'a> Entry<'a> {
    /// Reads the mandatory keys; without one of them there is an error and no entry.
    pub(super) fn read(at: &At<'a>, context: &Context<'a>, report: &mut Report) -> Option<Self> {
        if !matches!(at.node.value, Value::Map(_)) {
            return at.expected("a map with model_name and litellm_params", report);
        }
        let model_name = mandatory(at, "model_name", report);
        let own = at.map("litellm_params", report);
        if at.get("litellm_params").is_none() {
            at.error("litellm_params is missing", report);
        }
        let model = own.as_ref().and_then(|own| mandatory(own, "model", report));
        let model_info = at.get("model_info").and_then(|at| at.json_map(report)).unwrap_or_default();
        let (params, credential_found) = Params::new(own?, &context.root, report);
        Some(Self { at: at.clone(), model_name: model_name?, model: model?, params, credential_found, model_info })
    }

    /// The deployment that it describes; several where it stands for all providers.
    pub(super) fn deployments(&self, context: &Context<'_>, report: &mut Report) -> Vec<Deployment> {
        let forced = self.params.get("custom_llm_provider").and_then(|at| at.text(report));
        if self.model == "*" && forced.is_none() && !self.belongs_to_one_provider() {
            return self.catch_all(context, report);
        }
        let target = target::resolve(self.model.trim(), forced.as_deref(), context.providers);
        vec![self.deployment(self.model_name.clone(), target, context, report)]
    }

    fn catch_all(&self, context: &Context<'_>, report: &mut Report) -> Vec<Deployment> {
        let targets = catch_all::targets(&self.model_name, context);
        if targets.is_empty() {
            let reason = "`*` stands for the providers whose keys are in the environment, and there is none".to_owned();
            return vec![self.deployment(self.model_name.clone(), Err(reason), context, report)];
        }
        targets.into_iter().map(|(name, target)| self.deployment(name, Ok(target), context, report)).collect()
    }

    /// A key or an address of its own belongs to one provider, so `*` must not send it to all.
    fn belongs_to_one_provider(&self) -> bool {
        ["api_key", "api_base", "base_url", "litellm_credential_name"].iter().any(|key| self.params.raw(key).is_some())
    }

    fn deployment(
        &self,
        model_name: String,
        target: Result<Target, String>,
        context: &Context<'_>,
        report: &mut Report,
    ) -> Deployment {
        let params = &self.params;
        let known = target.as_ref().ok().cloned();
        let Target { provider, model } =
            known.unwrap_or_else(|| Target { provider: String::new(), model: self.model.clone() });
        let row = context.providers.get(&provider);
        let plugin = row.map_or(provider.as_str(), Provider::plugin).to_owned();
        let mock_response = params.get("mock_response").and_then(|at| at.text(report));
        let access = target.and_then(|target| self.access(&target, row, mock_response.is_some(), context, report));
        let (access, unusable) = match access {
            Ok(access) => (access, None),
            Err(reason) => (Access::default(), Some(reason)),
        };
        if let Some(reason) = &unusable {
            params.model_or_self().warn(format!("{reason}; calls to this model will fail"), report);
        }
        let mut flag = |key: &str| params.get(key).and_then(|at| at.flag(report));
        let drop_params = flag("drop_params").unwrap_or(context.drop_params);
        let strict = flag("strict").unwrap_or(context.strict);
        let timeouts = self.timeouts(&model_name, context, report);
        let mut texts = |key: &str| params.get(key).and_then(|at| at.texts(report)).unwrap_or_default();
        let additional_drop_params = texts("additional_drop_params");
        let allowed_openai_params = texts("allowed_openai_params");
        let model = model.strip_prefix(RESPONSES).filter(|_| plugin == "openai").map(str::to_owned).unwrap_or(model);
        let named = (self.model_name.as_str(), &params.model_or_self());
        let successor = succession::successor(named, (&provider, &model), context, report);
        let succeeds = successor.as_ref().map(|_| format!("{provider}/{model}"));
        let model = successor.unwrap_or(model);
        let model_info = self.at.get("model_info");
        let keys = Keys { params, model_info: model_info.as_ref() };
        let pricing = self.pricing(&keys, (&provider, &model), context, report);
        let mut routing = DeploymentRouting::read(&keys, timeouts, &context.defaults, report);
        routing.prices = pricing.of(&model).and_then(|price| price.of_two_tokens());
        Deployment {
            id: self.id(&model_name, &provider),
            model_name,
            model,
            succeeds,
            api_base: access.base.url,
            api_base_named: access.base.named,
            credential: access.credential,
            parameters: self.parameters(&access.cloud, context.environment),
            cloud: access.cloud,
            extra_headers: headers::read(params, &plugin, report),
            timeout: timeouts.of_attempt(),
            stream_timeout: timeouts.stream_timeout,
            drop_params,
            additional_drop_params,
            allowed_openai_params,
            strict,
            rename_params: row.map(|row| row.rename_params.clone()).unwrap_or_default(),
            default_params: self.default_params(row, report),
            extra_body: params.get("extra_body").and_then(|at| at.json_map(report)).unwrap_or_default(),
            mock_response,
            model_info: self.model_info.clone(),
            weight: self.weight(report),
            routing,
            pricing,
            health: DeploymentHealth::read(&self.at, report),
            unusable,
            file: self.at.place().file.clone(),
            line: self.at.place().line,
            provider,
            plugin,
        }
    }

    /// What its calls cost: the operator's word, else the table's.
    fn pricing(
        &self,
        keys: &Keys<'_, '_>,
        (provider, model): (&str, &str),
        context: &Context<'_>,
        report: &mut Report,
    ) -> Pricing {
        let base = keys.model_info.and_then(|info| info.get("base_model")).and_then(|at| at.text(report));
        let (costs, own) = (&context.costs, pricing::own(keys, report));
        Pricing::new((provider, model), base, own, costs.adjustment(provider, model), costs.prices.clone())
    }

    /// Where the provider is, and with which key; else a reason that a client may be told.
    fn access(
        &self,
        target: &Target,
        row: Option<&Provider>,
        mocked: bool,
        context: &Context<'_>,
        report: &mut Report,
    ) -> Result<Access, String> {
        self.tell(target, row, context, report);
        if mocked {
            return Ok(Access::default());
        }
        self.credential_found.clone()?;
        let name = &target.provider;
        if let Some(why) = row.and_then(|row| row.unsupported.as_ref()) {
            return Err(format!("`{name}` is not supported yet: {why}"));
        }
        let base = base_url::resolve(&self.params, name, row, context.environment, report)?;
        let own_base = base.url.as_ref().filter(|_| base.own);
        let wanted = Wanted { params: &self.params, name, provider: row, own_base };
        let credential = credential::resolve(&wanted, context.environment, report);
        let cloud = Cloud::read(&self.params, name, context.environment, &context.ambient, report);
        Ok(Access { base, credential, cloud })
    }

    /// The deployment's own, else those of its group, else the router's.
    fn timeouts(&self, model_name: &str, context: &Context<'_>, report: &mut Report) -> Timeouts {
        let own = Timeouts::read(|key| self.params.get(key), report);
        own.or(context.defaults.timeouts.of_group(model_name))
    }

    fn weight(&self, report: &mut Report) -> Option<f64> {
        let at = self.params.get("weight")?;
        let weight = at.number("a number", report)?;
        if weight < 0.0 { at.expected("a number that is not negative", report) } else { Some(weight) }
    }

    /// What is worth a warning although the deployment works.
    fn tell(
        &self,
        Target { provider, model }: &Target,
        row: Option<&Provider>,
        context: &Context<'_>,
        report: &mut Report,
    ) {
        let at = self.params.model_or_self();
        if row.is_none() {
            let hint = context
                .providers
                .nearest(provider)
                .map(|name| format!(" (did you mean `{name}`?)"))
                .unwrap_or_default();
            let message = format!(
                "the provider `{provider}` is not in the table{hint}: calls to this model fail unless a plugin of this name is loaded"
            );
            report.warn_of_plugin(at.place(), at.path.clone(), provider, message);
        }
        if model.starts_with(RESPONSES) && row.is_some_and(|row| row.plugin() == "openai") {
            at.warn("served by chat completions: the bridge to the Responses API is not there yet", report);
        }
    }

    /// Every parameter without another meaning, as LiteLLM has it. Tells of each key what becomes of it.
    fn default_params(&self, row: Option<&Provider>, report: &mut Report) -> JsonMap<String, Json> {
        let mut defaults = JsonMap::new();
        for (key, at) in self.params.entries() {
            if base_url::is_placeholder(row, key) {
                report.add(Severity::Honoured, at.place(), at.path.clone(), "fills the provider's base URL");
            } else if let Some(support) = known::lookup(Section::LitellmParams, key) {
                support.report(&at, report);
            } else if holds_a_secret(key) && !known::is_request_parameter(key) {
                // As a request parameter, plugins, providers and recordings would see it.
                if !at.node.is_none() {
                    at.warn("not sent: by its name it may hold a secret; a request parameter of this name belongs into extra_body", report);
                }
            } else {
                let meaning = match row {
                    Some(_) => "a default request parameter",
                    None => {
                        "a setting of the plugin, if it asks for one of this name; else a default request parameter"
                    }
                };
                Support::Honoured(meaning).report(&at, report);
                if let Some(near) = known::misspelt_parameter(key) {
                    at.warn(format!("sent to the provider as a request parameter; did you mean `{near}`?"), report);
                }
                if !at.node.is_none() {
                    defaults.insert(key.to_owned(), unquoted(key, at.node.to_json()));
                }
            }
        }
        defaults
    }

    /// What a plugin may be shown.
    fn parameters(&self, cloud: &Cloud, environment: &Environment) -> BTreeMap<String, String> {
        let mut parameters: BTreeMap<String, String> =
            cloud.parameters(environment).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (key, at) in self.params.entries() {
            let name = key.strip_prefix("vertex_ai_").map_or_else(|| key.to_owned(), |rest| format!("vertex_{rest}"));
            let ours = matches!(known::lookup(Section::LitellmParams, key), Some(Support::Honoured(_)));
            if holds_a_secret(key) || (ours && !cloud::SHOWN.contains(&name.as_str())) {
                continue;
            }
            let value = match &at.node.value {
                Value::Text(text) if !text.trim().is_empty() => text.trim().to_owned(),
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                _ => continue,
            };
            parameters.insert(name, value);
        }
        parameters
    }

    /// `model_info.id`, else a hash like LiteLLM's, but of the file's text without keys: so it stays the
    /// same when a key is replaced, and tells nothing about it.
    fn id(&self, model_name: &str, provider: &str) -> String {
        match self.model_info.get("id") {
            Some(Json::String(id)) if !id.is_empty() && model_name == self.model_name => return id.clone(),
            Some(Json::Number(id)) if model_name == self.model_name => return id.to_string(),
            _ => {}
        }
        let mut hash = Sha256::new();
        for part in [model_name, provider] {
            hash.update(part);
            hash.update([0]);
        }
        for (key, at) in self.params.entries().filter(|(key, at)| !holds_a_secret(key) || at.node.variable.is_some()) {
            hash.update(key);
            hash.update([0]);
            hash.update(at.node.as_written().to_string());
            hash.update([0]);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

// === impl Access ===

impl Default for Access {
    /// For a deployment that calls nobody.
    fn default() -> Self {
        Self { base: BaseUrl::default(), credential: Credential::None, cloud: Cloud::default() }
    }
}

/// The text under `key`, which must be there and not be empty.
fn mandatory(at: &At<'_>, key: &str, report: &mut Report) -> Option<String> {
    let Some(value) = at.get(key) else {
        at.error(format!("{key} is missing"), report);
        return None;
    };
    match value.text(report)? {
        text if text.trim().is_empty() => value.expected("a name", report),
        text => Some(text),
    }
}
