//! Which key a deployment uses.
//!
//! LiteLLM's rule: `api_key`, and where that is missing, empty, or names a variable that is not set,
//! the provider's usual variables (`OPENAI_API_KEY`, …).

use http::HeaderValue;
use url::Url;

use super::at::At;
use super::deployment::Credential;
use super::environment::Environment;
use super::node::Value;
use super::params::Params;
use super::providers::Provider;
use super::report::Report;
use super::secret::Secret;

/// What decides about a deployment's key.
pub(super) struct Wanted<'a> {
    /// `litellm_params`.
    pub params: &'a Params<'a>,
    /// The provider's name.
    pub name: &'a str,
    /// Its row in the table, if it has one.
    pub provider: Option<&'a Provider>,
    /// The base URL, if the deployment itself gives one.
    pub own_base: Option<&'a Url>,
}

// === impl Wanted ===

impl Wanted<'_> {
    /// The host of the deployment's own base URL, where that is not plainly the provider's and would be
    /// sent the provider's usual key.
    fn foreign_host(&self) -> Option<&str> {
        let row = self.provider.filter(|row| !row.keyless)?;
        let host = self.own_base?.host_str()?;
        let vendors = |base: &String| Url::parse(base).is_ok_and(|base| base.host_str() == Some(host));
        let domain = match self.name {
            "gemini" => ".googleapis.com".to_owned(),
            name => format!(".{name}.com"),
        };
        (!row.api_base.as_ref().is_some_and(vendors) && !host.ends_with(&domain)).then_some(host)
    }
}

/// Finds the key. Warns of each variable that should have held one.
pub(super) fn resolve(wanted: &Wanted<'_>, environment: &Environment, report: &mut Report) -> Credential {
    let at = wanted.params.raw("api_key");
    if let Some(at) = at.as_ref().filter(|at| !at.node.is_none()) {
        if matches!(at.node.value, Value::List(_) | Value::Map(_)) {
            return at.expected("a text", report).unwrap_or(Credential::None);
        }
        if let Some(key) = at.text(report).filter(|key| !key.trim().is_empty()) {
            return key_of(&key, at, report);
        }
    }
    let named = at.as_ref().and_then(|at| at.node.unset_variable());
    let usual =
        wanted.provider.map_or_else(|| vec![own_variable(wanted.name)], |provider| provider.api_key_env.clone());
    let place = at.as_ref().filter(|_| named.is_some()).cloned().unwrap_or_else(|| wanted.params.model_or_self());

    if let Some((variable, key)) = environment.first(&usual) {
        if let Some(named) = named {
            place.warn(format!("the environment variable {named} is not set; the key in {variable} is used"), report);
        }
        if let Some(host) = wanted.foreign_host() {
            let advice = "set api_key to the one that belongs there, or to `none`";
            place.warn(format!("the key in {variable} is sent to {host}: {advice}"), report);
        }
        return key_of(key, &place, report);
    }
    let keyless = wanted.provider.is_none_or(|provider| provider.keyless);
    match (named, usual.first()) {
        (Some(named), _) if keyless => {
            place.warn(format!("the environment variable {named} is not set; calls go out without a key"), report);
            Credential::None
        }
        (Some(named), _) => missing(&place, format!("the environment variable {named} is not set"), named, report),
        (None, Some(first)) if !keyless => {
            missing(&place, format!("no api_key, and the environment variable {first} is not set"), first, report)
        }
        (None, _) => Credential::None,
    }
}

/// The key without the line break that a secret's file often ends with.
fn key_of(key: &str, place: &At<'_>, report: &mut Report) -> Credential {
    if HeaderValue::try_from(key.trim()).is_err() {
        place.error("the key holds a character that can't be sent", report);
    }
    Credential::Key(Secret::new(key.trim()))
}

fn missing(place: &At<'_>, what: String, variable: &str, report: &mut Report) -> Credential {
    place.warn(format!("{what}: calls to this model will fail"), report);
    Credential::Missing { variable: variable.to_owned() }
}

/// The variable for a provider that the table doesn't know: `my-plugin` has `MY_PLUGIN_API_KEY`.
fn own_variable(provider: &str) -> String {
    format!("{}_API_KEY", provider.to_ascii_uppercase().replace('-', "_"))
}
