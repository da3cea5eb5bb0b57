//! What tells one configuration from another, without holding it: digests, by model and by setting.
//!
//! Digests are of the values with environment variables filled in, so that a key that was replaced counts as a
//! change; they are never shown, only compared.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::node::{Node, Value};

/// Digests of a configuration's parts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// By `model_name`, of all entries with that name.
    models: BTreeMap<String, Vec<[u8; 32]>>,
    /// By path: `general_settings.master_key`.
    settings: BTreeMap<String, [u8; 32]>,
    /// Of everything, for what the others don't tell: the order.
    whole: [u8; 32],
}

/// What differs between two configurations, by name; no value is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names of models that were not there before.
    pub models_added: Vec<String>,
    /// Names of models that are gone.
    pub models_removed: Vec<String>,
    /// Names of models whose entries say something else.
    pub models_changed: Vec<String>,
    /// Paths of other keys that came, went, or have another value.
    pub settings: Vec<String>,
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Of a whole tree, with its variables filled in.
    pub(super) fn of(root: &Node) -> Self {
        let mut fingerprint = Self { whole: digest(root), ..Self::default() };
        for (section, node) in root.entries() {
            match (section.as_str(), &node.value) {
                ("model_list", _) => fingerprint.add_models(node),
                (section, Value::Map(entries)) => {
                    for (key, node) in entries {
                        fingerprint.settings.insert(format!("{section}.{key}"), digest(node));
                    }
                }
                (section, _) => {
                    fingerprint.settings.insert(section.to_owned(), digest(node));
                }
            }
        }
        fingerprint
    }

    fn add_models(&mut self, list: &Node) {
        for entry in list.items() {
            let name = match entry.get("model_name").map(Node::to_json) {
                Some(serde_json::Value::String(name)) => name,
                other => other.unwrap_or_default().to_string(),
            };
            self.models.entry(name).or_default().push(digest(entry));
        }
    }

    /// Of what an answer of a deployment named `model` depends on: the entries of that name, and the settings that all
    /// share. `general_settings` are about who calls, and `router_settings` about who is asked.
    pub fn of_model(&self, model: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        for entry in self.models.get(model).into_iter().flatten() {
            digest.update(entry);
        }
        let elsewhere = |path: &str| ["general_settings", "router_settings"].iter().any(|name| section(path) == *name);
        for (path, setting) in self.settings.iter().filter(|(path, _)| !elsewhere(path)) {
            digest.update(path);
            digest.update(setting);
        }
        digest.finalize().into()
    }

    /// What is different in `new`.
    pub fn changes(&self, new: &Self) -> Changes {
        let settings = self.settings.keys().chain(new.settings.keys().filter(|key| !self.settings.contains_key(*key)));
        Changes {
            models_added: names(new.models.keys().filter(|name| !self.models.contains_key(*name))),
            models_removed: names(self.models.keys().filter(|name| !new.models.contains_key(*name))),
            models_changed: names(
                self.models
                    .iter()
                    .filter(|(name, was)| new.models.get(*name).is_some_and(|is| is != *was))
                    .map(|m| m.0),
            ),
            settings: names(settings.filter(|key| self.settings.get(*key) != new.settings.get(*key))),
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}

fn section(path: &str) -> &str {
    path.split_once('.').map_or(path, |(section, _)| section)
}

fn digest(node: &Node) -> [u8; 32] {
    Sha256::digest(node.to_json().to_string().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn of(text: &str) -> Fingerprint {
        Fingerprint::of(&yaml::parse(text, &"config.yml".into()).expect("the text is YAML"))
    }

    #[test]
    fn what_came_went_and_changed_is_told_by_name() {
        let old = of("model_list:\n- {model_name: a, x: 1}\n- {model_name: b, x: 1}\n- {model_name: c, x: 1}\n\
             general_settings: {master_key: sk-one, max_request_size_mb: 1}\ninclude_more: 1\n");
        let new = of("model_list:\n- {model_name: b, x: 2}\n- {model_name: c, x: 1}\n- {model_name: d, x: 1}\n\
             general_settings: {master_key: sk-two}\nrouter_settings: {timeout: 5}\ninclude_more: 1\n");

        let changes = old.changes(&new);

        assert_eq!((changes.models_added, changes.models_removed), (vec!["d".to_owned()], vec!["a".to_owned()]));
        assert_eq!(changes.models_changed, ["b"]);
        assert_eq!(
            changes.settings,
            ["general_settings.master_key", "general_settings.max_request_size_mb", "router_settings.timeout"]
        );
        assert_eq!(old.changes(&old), Changes::default());
    }

    #[test]
    fn another_entry_of_the_same_name_changes_the_model() {
        let old = of("model_list:\n- {model_name: a, x: 1}\n");
        let new = of("model_list:\n- {model_name: a, x: 1}\n- {model_name: a, x: 2}\n");

        assert_eq!(old.changes(&new).models_changed, ["a"]);
    }

    #[test]
    fn a_model_is_another_one_where_its_entries_or_the_settings_of_all_are_others() {
        let base = "model_list: [{model_name: a, x: 1}, {model_name: b, x: 1}]\n";
        let old = of(base);
        for (text, a_changes) in [
            (format!("{base}general_settings: {{master_key: sk-two}}\nrouter_settings: {{num_retries: 1}}\n"), false),
            ("model_list: [{model_name: b, x: 2}, {model_name: a, x: 1}]\n".to_owned(), false),
            ("model_list: [{model_name: a, x: 2}, {model_name: b, x: 1}]\n".to_owned(), true),
            (format!("{base}environment_variables: {{OPENAI_API_KEY: sk-two}}\n"), true),
        ] {
            assert_eq!(of(&text).of_model("a") != old.of_model("a"), a_changes, "{text}");
        }
    }

    #[test]
    fn another_order_is_another_configuration_without_a_change_to_tell() {
        let old = of("model_list:\n- {model_name: a}\n- {model_name: b}\n");
        let new = of("model_list:\n- {model_name: b}\n- {model_name: a}\n");

        assert!(old != new && old.changes(&new) == Changes::default());
    }
}
