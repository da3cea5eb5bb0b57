//! Replaces `os.environ/NAME` by the variable's value, everywhere in the tree.
//!
//! LiteLLM leaves plain list items alone (`fallbacks: ["os.environ/X"]`) and turns an unset variable into
//! `null` without a word. Here list items are replaced too, and every unset variable is told.

use super::environment::Environment;
use super::node::{Node, VARIABLE_PREFIX, Value};
use super::report::{Report, Severity};

/// Variables that a configuration file may not set: they decide what this process runs and whom it
/// talks to. Same list as LiteLLM's, in spirit.
const BLOCKED: [&str; 14] = [
    "PATH",
    "HOME",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "PYTHONPATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];

/// Applies `environment_variables:` and then resolves every reference. Returns the environment that
/// the rest of the configuration is to be read with.
pub(super) fn substitute(root: &mut Node, environment: &Environment, report: &mut Report) -> Environment {
    let mut merged = environment.clone();
    if let Value::Map(entries) = &mut root.value
        && let Some((_, section)) = entries.iter_mut().find(|(key, _)| key == "environment_variables")
    {
        resolve(section, environment);
        overlay(section, &mut merged, report);
    }
    resolve(root, &merged);
    merged
}

fn overlay(section: &Node, environment: &mut Environment, report: &mut Report) {
    if !matches!(section.value, Value::Map(_) | Value::Null) {
        report.error(&section.place, "environment_variables", "expected a map of names to values");
    }
    for (name, node) in section.entries() {
        let path = format!("environment_variables.{name}");
        if BLOCKED.contains(&name.to_ascii_uppercase().as_str()) || name.starts_with("DYLD_") {
            report.warn(&node.place, path, "not taken: set it where the process is started");
            continue;
        }
        let value = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Unset => continue,
            Value::List(_) | Value::Map(_) => {
                report.error(&node.place, path, "expected a text");
                continue;
            }
        };
        match environment.get(name) {
            Some(old) if old != value => {
                report.warn(&node.place, path, "replaces the variable of the process, within this configuration")
            }
            _ => report.add(Severity::Honoured, &node.place, path, "for this configuration"),
        }
        environment.overlay(name, value);
    }
}

fn resolve(node: &mut Node, environment: &Environment) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| resolve(item, environment)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| resolve(value, environment)),
        Value::Text(text) => {
            let Some(name) = text.strip_prefix(VARIABLE_PREFIX) else { return };
            let value = environment.get(name).map_or(Value::Unset, |value| Value::Text(value.to_owned()));
            node.variable = Some(if matches!(value, Value::Unset) { showable(name) } else { name }.into());
            node.value = value;
        }
        Value::Null | Value::Unset | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The name for messages. People paste the key itself where its variable's name should be, and then
/// there is no such variable: what doesn't look like a name is not shown.
fn showable(name: &str) -> &str {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let shouting = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    if plain && (shouting || name.len() < 20) && name.len() <= 100 {
        name
    } else {
        "(not shown: it does not look like a variable's name)"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::yaml;
    use super::*;

    fn substituted(text: &str, environment: &Environment) -> (Node, Environment, Report) {
        let mut root = yaml::parse(text, &"config.yml".into()).expect("the text is YAML");
        let mut report = Report::default();
        let merged = substitute(&mut root, environment, &mut report);
        (root, merged, report)
    }

    #[test]
    fn references_are_resolved_in_maps_in_lists_and_in_plain_list_items() {
        let text = "a: os.environ/X\nb: [os.environ/X, {c: os.environ/X}]\nd: os.environ/UNSET\n";
        let (root, _, _) = substituted(text, &Environment::of([("X", "x")]));

        assert_eq!(root.to_json(), json!({"a": "x", "b": ["x", {"c": "x"}], "d": null}));
        assert_eq!(root.get("d").and_then(Node::unset_variable), Some("UNSET"));
        assert_eq!(root.as_written()["b"], json!(["os.environ/X", {"c": "os.environ/X"}]));
    }

    #[test]
    fn a_key_pasted_in_the_place_of_a_name_is_not_shown() {
        for (name, shown) in [
            ("AI_API_MK", true),
            ("openai_key", true),
            ("sk-ant-api03-abc", false),
            ("gsk_Ab1Cd2Ef3Gh4Ij5Kl6Mn7", false),
            ("", true),
        ] {
            let (root, _, _) = substituted(&format!("a: os.environ/{name}\n"), &Environment::default());
            let variable = root.get("a").and_then(Node::unset_variable).map(str::to_owned);
            assert_eq!(variable.as_deref() == Some(name), shown, "{name}: {variable:?}");
        }
    }

    #[test]
    fn the_file_can_set_variables_but_not_those_that_steer_the_process() {
        let text = "environment_variables:\n  KEY: k\n  PORT: 4000\n  PATH: /evil\n  no_proxy: '*'\n  COPY: os.environ/X\na: os.environ/KEY\n";
        let (root, merged, report) = substituted(text, &Environment::of([("X", "x"), ("PATH", "/bin")]));

        assert_eq!(root.get("a").map(Node::to_json), Some(json!("k")));
        assert_eq!(
            [merged.get("PORT"), merged.get("PATH"), merged.get("COPY")],
            [Some("4000"), Some("/bin"), Some("x")]
        );
        let warned: Vec<u64> = report.of(Severity::Warning).map(|finding| finding.line).collect();
        assert_eq!(warned, [4, 5]);
    }
}
