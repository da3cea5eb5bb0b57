//! What a plugin says of itself, checked.

use http::HeaderName;

use super::base_url::{BaseUrl, is_parameter_name};
use super::{Credential, Operation, bindings::v0_1::exports::ai_api::plugin::provider::Manifest as Raw};
use crate::upstream::Placement;

/// A version and most names are no longer: they go into logs, metrics and messages.
const MAX_NAME_BYTES: usize = 64;
/// Operations, parameters, and prefixes of models that one operation translates.
const MAX_ENTRIES: usize = 100;
/// No model's name is longer.
const MAX_PREFIX_BYTES: usize = 256;
/// A base URL, a path, a Google scope.
const MAX_URL_BYTES: usize = 2048;

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
            return Err(format!(
                "'{}' is no name: up to {MAX_NAME_BYTES} letters, digits, '-' and '_' only",
                shown(&raw.name)
            ));
        }
        if !is_visible(&raw.version, MAX_NAME_BYTES) {
            return Err(format!(
                "'{}' is no version: 1 to {MAX_NAME_BYTES} visible ASCII characters",
                shown(&raw.version)
            ));
        }
        let base_url = match raw.base_url.as_str() {
            "" => None,
            template => {
                at_most(MAX_URL_BYTES, template.len(), "base-url", "bytes")?;
                Some(BaseUrl::parse(template)?)
            }
        };
        let placement = placement(raw.credential)?;
        if raw.operations.is_empty() {
            return Err("it serves no operation".to_owned());
        }
        at_most(MAX_ENTRIES, raw.operations.len(), "operations", "entries")?;
        let operations = raw.operations.into_iter().map(|s| support(s.operation, s.native, s.translated));
        let operations = operations.collect::<Result<_, _>>()?;
        let parameters = parameters(raw.parameters, base_url.as_ref())?;
        let Raw { name, version, reusable, .. } = raw;
        Ok(Self { name, version, base_url, placement, operations, parameters, reusable })
    }
}

/// Where the key goes.
fn placement(credential: Credential) -> Result<Placement, String> {
    match credential {
        Credential::None => Ok(Placement::None),
        Credential::Bearer => Ok(Placement::Bearer),
        Credential::Header(name) => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) if name.len() <= MAX_NAME_BYTES => Ok(Placement::Header(header)),
            _ => Err(format!("'{}' is no header name for a credential", shown(&name))),
        },
        Credential::Query(name) if name.is_empty() => Err("the credential's parameter has no name".into()),
        Credential::Query(name) if !is_visible(&name, MAX_NAME_BYTES) => {
            Err(format!("'{}' is no query parameter for a credential", shown(&name)))
        }
        Credential::Query(name) => Ok(Placement::Query(name)),
        Credential::AwsSigv4(service) if !is_visible(&service, MAX_NAME_BYTES) => {
            Err(format!("'{}' is no service of AWS", shown(&service)))
        }
        Credential::AwsSigv4(service) => Ok(Placement::AwsSigV4 { service }),
        // Several scopes have a space between them.
        Credential::GoogleServiceAccount(scope) if !scope.split(' ').all(|one| is_visible(one, MAX_URL_BYTES)) => {
            Err(format!("'{}' is no scope of Google's", shown(&scope)))
        }
        Credential::GoogleServiceAccount(scope) => {
            at_most(MAX_URL_BYTES, scope.len(), "the credential's scope", "bytes")?;
            Ok(Placement::GoogleServiceAccount { scope })
        }
    }
}

fn support(operation: Operation, native: Option<String>, translated: Vec<String>) -> Result<Support, String> {
    let path = operation.path();
    if let Some(native) = &native {
        at_most(MAX_URL_BYTES, native.len(), &format!("`native` of {path}"), "bytes")?;
    }
    at_most(MAX_ENTRIES, translated.len(), &format!("`translated` of {path}"), "entries")?;
    for prefix in &translated {
        if prefix.len() > MAX_PREFIX_BYTES || prefix.chars().any(char::is_control) {
            return Err(format!(
                "`translated` of {path}: '{}' is no beginning of a model's name: up to {MAX_PREFIX_BYTES} bytes, no \
                 control characters",
                shown(prefix)
            ));
        }
    }
    Ok(Support { operation, native, translated })
}

/// Refuses what is more than anybody needs.
fn at_most(most: usize, has: usize, what: &str, unit: &str) -> Result<(), String> {
    if has <= most { Ok(()) } else { Err(format!("{what} has {has} {unit}; {most} is the most")) }
}

/// 1 to `most` characters of ASCII that can be seen.
fn is_visible(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A stranger's words, fit for a message.
fn shown(text: &str) -> String {
    let mut shown = text.chars().take(MAX_NAME_BYTES).collect::<String>().escape_debug().to_string();
    if text.chars().nth(MAX_NAME_BYTES).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a plugin may be called so.
pub fn is_name(name: &str) -> bool {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(named)
}

/// What a deployment may be asked for: names, once each, none of which could be a secret's.
fn parameters(named: Vec<String>, base_url: Option<&BaseUrl>) -> Result<Vec<String>, String> {
    at_most(MAX_ENTRIES, named.len(), "parameters", "entries")?;
    let mut parameters: Vec<String> = base_url.map(|base| base.placeholders().to_vec()).unwrap_or_default();
    for name in named {
        if !parameters.contains(&name) {
            parameters.push(name);
        }
    }
    for name in &parameters {
        if !is_parameter_name(name) {
            return Err(format!(
                "'{}' is no parameter's name: up to {MAX_NAME_BYTES} letters, digits and '_' only",
                shown(name)
            ));
        }
        if crate::config::may_hold_a_secret(name) {
            return Err(format!("it asks for the parameter '{name}', which may hold a secret"));
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::bindings::v0_1::exports::ai_api::plugin::provider::Support as RawSupport;

    fn served(native: Option<&str>, translated: &[&str]) -> RawSupport {
        RawSupport {
            operation: Operation::ChatCompletions,
            native: native.map(str::to_owned),
            translated: translated.iter().map(|&prefix| prefix.to_owned()).collect(),
        }
    }

    fn raw() -> Raw {
        Raw {
            name: "acme".to_owned(),
            version: "1.2.3-beta+5".to_owned(),
            base_url: "https://{region}.api.acme.example/v1".to_owned(),
            credential: Credential::GoogleServiceAccount("https://a.example/x https://a.example/y".to_owned()),
            operations: vec![served(Some("chat"), &["o1", "ö"])],
            parameters: vec!["region".to_owned(), "mode".to_owned()],
            reusable: true,
        }
    }

    #[test]
    fn a_manifest_in_order_is_taken_as_it_is() {
        let manifest = Manifest::try_from(raw()).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("acme", "1.2.3-beta+5"));
        assert_eq!(manifest.parameters, ["region", "mode"]);
        let most = Raw {
            name: "n".repeat(64),
            version: "v".repeat(64),
            operations: (0..100).map(|_| served(Some(&"p".repeat(2048)), &[&*"m".repeat(256); 100])).collect(),
            parameters: (0..100).map(|number| format!("p{number}")).collect(),
            ..raw()
        };
        assert_eq!(Manifest::try_from(most).map(|manifest| manifest.operations.len()), Ok(100));
    }

    #[test]
    fn what_has_no_bounds_is_refused_in_a_sentence_that_has() {
        let long = |length| "x".repeat(length);
        let with_credential = |credential| Raw { credential, ..raw() };
        let with_support = |support| Raw { operations: vec![support], ..raw() };
        for (manifest, says) in [
            (Raw { name: long(65), ..raw() }, "is no name"),
            (Raw { version: String::new(), ..raw() }, "'' is no version"),
            (Raw { version: long(65), ..raw() }, "is no version: 1 to 64 visible"),
            (Raw { version: "1.0\n2.0".to_owned(), ..raw() }, "'1.0\\n2.0' is no version"),
            (Raw { version: "1 0".to_owned(), ..raw() }, "is no version"),
            (Raw { version: "1.0\u{202e}".to_owned(), ..raw() }, "is no version"),
            (
                Raw { base_url: format!("https://a.example/{}", long(2040)), ..raw() },
                "base-url has 2058 bytes; 2048 is the most",
            ),
            (with_credential(Credential::Header(long(65))), "is no header name"),
            (with_credential(Credential::Query(long(65))), "is no query parameter"),
            (with_credential(Credential::Query("k\u{0}".to_owned())), "'k\\0' is no query parameter"),
            (with_credential(Credential::AwsSigv4(String::new())), "'' is no service"),
            (with_credential(Credential::AwsSigv4(long(1 << 20))), "is no service"),
            (with_credential(Credential::GoogleServiceAccount(String::new())), "'' is no scope"),
            (with_credential(Credential::GoogleServiceAccount(["x"; 2000].join(" "))), "has 3999 bytes"),
            (Raw { operations: Vec::new(), ..raw() }, "no operation"),
            (
                Raw { operations: (0..101).map(|_| served(None, &[])).collect(), ..raw() },
                "operations has 101 entries; 100 is the most",
            ),
            (with_support(served(Some(&long(2049)), &[])), "`native` of /v1/chat/completions has 2049 bytes"),
            (with_support(served(Some("p"), &["m"; 101])), "`translated` of /v1/chat/completions has 101 entries"),
            (with_support(served(Some("p"), &[&long(257)])), "is no beginning of a model's name"),
            (with_support(served(Some("p"), &["a\rb"])), "'a\\rb' is no beginning of a model's name"),
            (Raw { parameters: vec!["p".to_owned(); 101], ..raw() }, "parameters has 101 entries"),
            (Raw { parameters: vec![long(65)], ..raw() }, "is no parameter's name"),
            (Raw { parameters: vec!["api_key".to_owned()], ..raw() }, "may hold a secret"),
        ] {
            let reason = Manifest::try_from(manifest).unwrap_err();
            assert!(reason.contains(says) && reason.len() < 300, "no {says:?} in {reason}");
        }
    }
}
