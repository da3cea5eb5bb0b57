//! The providers known by name: `config/providers.yml`, and the user's own `providers:` on top.

use std::collections::BTreeMap;
use std::fmt;

use super::at::At;
use super::node::Value;
use super::report::{Report, Severity};
use super::yaml;

/// What is known about one provider. `config/providers.yml` describes the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// The plugin that speaks its wire format; empty means `openai`.
    plugin: String,
    /// Its API; may hold `{name}`, see [`Provider::placeholders`].
    pub api_base: Option<String>,
    /// The configuration says so, and not the table that comes with the gateway.
    pub(super) api_base_named: bool,
    /// Appended to every base URL that does not end with it.
    pub api_base_suffix: Option<String>,
    /// Environment variables that replace `api_base`, best first.
    pub api_base_env: Vec<String>,
    /// Environment variables that hold its key, best first.
    pub api_key_env: Vec<String>,
    /// A call without a key is fine.
    pub keyless: bool,
    /// Request parameters that it knows by another name: OpenAI's name to its own.
    pub rename_params: BTreeMap<String, String>,
    /// Why it cannot be served yet.
    pub unsupported: Option<String>,
}

/// All providers by name.
#[derive(Clone)]
pub struct Providers {
    rows: BTreeMap<String, Provider>,
}

// === impl Provider ===

impl Provider {
    /// The plugin that speaks its wire format.
    pub fn plugin(&self) -> &str {
        if self.plugin.is_empty() { "openai" } else { &self.plugin }
    }

    /// The names in braces in its base URL: `litellm_params` of these names fill them.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        let base = self.api_base.as_deref().unwrap_or_default();
        base.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
    }

    /// Takes over every field that `row` gives.
    fn update(&mut self, row: &At<'_>, report: &mut Report) {
        for (key, at) in row.entries() {
            if at.node.is_none() {
                continue;
            }
            match key {
                "plugin" => self.plugin = at.text(report).unwrap_or_default(),
                "api_base" => (self.api_base, self.api_base_named) = (at.text(report), true),
                "api_base_suffix" => self.api_base_suffix = at.text(report),
                "api_base_env" => self.api_base_env = at.texts(report).unwrap_or_default(),
                "api_key_env" => self.api_key_env = at.texts(report).unwrap_or_default(),
                "needs_key" => self.keyless = at.flag(report) == Some(false),
                "rename_params" => self.rename_params = renames(&at, report),
                "unsupported" => self.unsupported = at.text(report),
                _ => {
                    report.add(
                        Severity::Ignored,
                        at.place(),
                        at.path.clone(),
                        "unknown key; config/providers.yml lists those there are",
                    );
                    continue;
                }
            }
            report.add(Severity::Honoured, at.place(), at.path.clone(), "");
        }
    }
}

fn renames(at: &At<'_>, report: &mut Report) -> BTreeMap<String, String> {
    if !matches!(at.node.value, Value::Map(_)) {
        return at.expected("a map of parameter names", report).unwrap_or_default();
    }
    at.entries().filter_map(|(from, to)| Some((from.to_owned(), to.text(report)?))).collect()
}

// === impl Providers ===

impl Providers {
    /// The table that AI-API comes with, changed and extended by the configuration's `providers:`.
    pub(super) fn read(root: &At<'_>, report: &mut Report) -> Self {
        let mut providers = Self::built_in();
        if let Some(section) = root.map("providers", report) {
            providers.update(&section, report);
        }
        providers
    }

    fn built_in() -> Self {
        let mut providers = Self { rows: BTreeMap::new() };
        let mut report = Report::default();
        let table = yaml::parse(include_str!("../../../config/providers.yml"), &"providers.yml".into())
            .expect("the embedded table of providers is YAML, a test reads it");
        if let Some(section) = At::root(&table).map("providers", &mut report) {
            providers.update(&section, &mut report);
        }
        providers.rows.values_mut().for_each(|row| row.api_base_named = false);
        providers
    }

    fn update(&mut self, section: &At<'_>, report: &mut Report) {
        for (name, row) in section.entries() {
            match &row.node.value {
                Value::Map(_) if is_provider_name(name) => {
                    self.rows.entry(name.to_owned()).or_default().update(&row, report)
                }
                Value::Map(_) => row.error("a provider's name may hold letters, digits, `-` and `_` only", report),
                _ => row.expected("a map", report).unwrap_or_default(),
            }
        }
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.rows.get(name)
    }

    /// All providers, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Provider)> {
        self.rows.iter().map(|(name, provider)| (name.as_str(), provider))
    }

    /// The known name that `name` is most likely a misspelling of.
    pub(super) fn nearest(&self, name: &str) -> Option<&str> {
        super::known::nearest(name, self.rows.keys().map(String::as_str))
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Providers({})", self.rows.len())
    }
}

/// Whether a text may name a provider. The name becomes a plugin's file name, so no dots, no slashes.
pub(super) fn is_provider_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The providers of a configuration with this text.
#[cfg(test)]
pub(super) fn parse_for_tests(text: &str) -> (Providers, Report) {
    let root = yaml::parse(text, &"config.yml".into()).expect("the text is YAML");
    let mut report = Report::default();
    (Providers::read(&At::root(&root), &mut report), report)
}

/// The providers of a configuration without any of its own.
#[cfg(test)]
pub(super) fn built_in_for_tests() -> Providers {
    let root = super::node::Node::absent(super::node::Place { file: "config.yml".into(), line: 0 });
    Providers::read(&At::root(&root), &mut Report::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_table_has_no_mistake() {
        let table =
            yaml::parse(include_str!("../../../config/providers.yml"), &"providers.yml".into()).expect("it is YAML");
        let mut report = Report::default();
        let mut providers = Providers { rows: BTreeMap::new() };
        providers.update(&At::root(&table).map("providers", &mut report).expect("it has rows"), &mut report);

        assert!(report.findings().iter().all(|finding| finding.severity == Severity::Honoured), "{report:?}");
        assert!(providers.rows.len() > 115);
        for (name, provider) in providers.iter() {
            assert!(provider.keyless || !provider.api_key_env.is_empty(), "{name}");
            assert!(provider.api_base.as_ref().is_none_or(|base| !base.ends_with('/')), "{name}");
        }
    }

    #[test]
    fn vendors_are_served_by_the_openai_plugin() {
        let providers = built_in_for_tests();

        for (name, plugin) in [
            ("openai", "openai"),
            ("anthropic", "anthropic"),
            ("gemini", "gemini"),
            ("echo", "echo"),
            ("groq", "openai"),
        ] {
            assert_eq!(providers.get(name).map(Provider::plugin), Some(plugin), "{name}");
        }
        assert_eq!(providers.get("cloudflare").map(|p| p.placeholders().collect::<Vec<_>>()), Some(vec!["account_id"]));
        assert_eq!(
            providers.get("poe").and_then(|p| p.rename_params.get("max_completion_tokens")).map(String::as_str),
            Some("max_tokens")
        );
    }

    #[test]
    fn a_configuration_can_add_a_provider_and_change_one() {
        let (providers, report) = parse_for_tests(
            "providers:\n  my_vllm:\n    api_base: http://gpu:8000/v1\n    needs_key: false\n  groq:\n    api_base: http://proxy/groq\n    colour: red\n  a/b: {}\n",
        );

        assert!(providers.get("my_vllm").is_some_and(|p| p.keyless && p.plugin() == "openai"));
        let groq = providers.get("groq").expect("groq is still there");
        assert_eq!(
            (groq.api_base.as_deref(), groq.api_key_env.first().map(String::as_str)),
            (Some("http://proxy/groq"), Some("GROQ_API_KEY"))
        );
        let wrong: Vec<_> = report
            .findings()
            .iter()
            .filter(|f| f.severity != Severity::Honoured)
            .map(|f| (f.severity, f.line))
            .collect();
        assert_eq!(wrong, [(Severity::Ignored, 7), (Severity::Error, 8)]);
    }
}
