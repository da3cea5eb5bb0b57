//! `fallbacks` and their kin.
//!
//! LiteLLM's form is a list of maps with one key, `[{gpt-4o: [claude, gemini]}]`. People also write one map with several
//! keys, a map without the list, and a name instead of a list of one; all of them mean the same.

use std::fmt;

use serde_json::{Map as JsonMap, Value as Json};

use super::super::at::At;
use super::super::known;
use super::super::node::{Value, holds_a_secret};
use super::super::report::Report;
use super::names::Names;
use super::settings::Settings;
use super::{Chains, Fallback, Fallbacks};

// === impl Fallbacks ===

impl Fallbacks {
    pub(super) fn read(settings: &Settings<'_>, names: &Names<'_>, report: &mut Report) -> Self {
        let default = Self::default();
        let mut chains =
            |key: &str| settings.get_of_either(key).map(|at| chains(&at, names, report)).unwrap_or_default();
        let (mut general, context_window, content_policy) =
            (chains("fallbacks"), chains("context_window_fallbacks"), chains("content_policy_fallbacks"));
        let for_every = general.remove(Self::EVERY);
        let own = settings.get_of_either("default_fallbacks").map(|at| chain(&at, names, report));
        let max = settings.get("max_fallbacks").and_then(|at| at.count(report));
        let on_unsupported_params = settings.flag("fallback_on_unsupported_params", report);
        Self {
            general,
            default: own.or(for_every).unwrap_or(default.default),
            context_window,
            content_policy,
            max: max.unwrap_or(default.max),
            on_unsupported_params: on_unsupported_params.unwrap_or(default.on_unsupported_params),
        }
    }
}

fn chains(at: &At<'_>, names: &Names<'_>, report: &mut Report) -> Chains {
    const WHAT: &str = "a list of maps like {model: [its fallbacks]}; default_fallbacks is for all models";
    let mut chains = Chains::new();
    let maps: Vec<_> = match at.node.value {
        Value::List(_) => at.items().filter(|item| !item.node.is_none()).collect(),
        _ => vec![at.clone()],
    };
    for map in maps {
        if !matches!(map.node.value, Value::Map(_)) {
            map.expected::<()>(WHAT, report);
        }
        for (model, at) in map.entries().filter(|(_, at)| !at.node.is_none()) {
            add(&mut chains, model, &at, names, report);
        }
    }
    chains
}

fn add(chains: &mut Chains, model: &str, at: &At<'_>, names: &Names<'_>, report: &mut Report) {
    names.tell_if_unused(model, at, report);
    let mut chain = chain(at, names, report);
    if chains.contains_key(model) {
        return at.warn(format!("`{model}` is there twice; the first one counts"), report);
    }
    let itself = |fallback: &Fallback| fallback.model == model && fallback.overrides.is_empty();
    if chain.iter().any(itself) {
        at.warn(format!("`{model}` is no fallback for itself, so it is passed over"), report);
    }
    chain.retain(|fallback| !itself(fallback));
    chains.insert(model.to_owned(), chain);
}

fn chain(at: &At<'_>, names: &Names<'_>, report: &mut Report) -> Vec<Fallback> {
    let items: Vec<_> = match at.node.value {
        Value::List(_) => at.items().filter(|item| !item.node.is_none()).collect(),
        _ => vec![at.clone()],
    };
    items.iter().filter_map(|item| fallback(item, names, report)).collect()
}

fn fallback(at: &At<'_>, names: &Names<'_>, report: &mut Report) -> Option<Fallback> {
    const WHAT: &str = "the name of a model, or {model: …} with parameters";
    let (model, named) = match at.node.value {
        Value::Map(_) => match at.get("model") {
            Some(model) => (model.text(report)?, model),
            None => return at.expected(WHAT, report),
        },
        Value::List(_) => return at.expected(WHAT, report),
        _ => (at.text(report)?, at.clone()),
    };
    if model.trim().is_empty() {
        return named.expected(WHAT, report);
    }
    names.tell_if_unserved(&model, &named, report);
    Some(Fallback { model, overrides: overrides(at, report) })
}

/// What the request gets instead of the client's own. An address or a key is no parameter of a request: providers, plugins and
/// recordings would see it.
fn overrides(at: &At<'_>, report: &mut Report) -> JsonMap<String, Json> {
    const OF_A_DEPLOYMENT: [&str; 5] =
        ["api_base", "base_url", "custom_llm_provider", "organization", "litellm_credential_name"];
    let mut overrides = JsonMap::new();
    for (key, at) in at.entries().filter(|(key, at)| *key != "model" && !at.node.is_none()) {
        if OF_A_DEPLOYMENT.contains(&key) || (holds_a_secret(key) && !known::is_request_parameter(key)) {
            at.warn("not taken: this belongs into an entry of model_list, which the fallback can name", report);
        } else {
            overrides.insert(key.to_owned(), at.node.to_json());
        }
    }
    overrides
}

impl fmt::Debug for Fallback {
    /// Without the values of parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let overrides: Vec<_> = self.overrides.keys().collect();
        f.debug_struct("Fallback").field("model", &self.model).field("overrides", &overrides).finish()
    }
}
