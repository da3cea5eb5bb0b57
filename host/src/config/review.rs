//! Says of every key of the configuration what becomes of it, for `ai-api check`.
//!
//! Of `litellm_params` that is said where they are read, since any key is allowed there.

use super::at::At;
use super::known::{self, Section, Support};
use super::node::Value;
use super::report::{Report, Severity};

/// Reviews the whole tree.
pub(super) fn review(root: &At<'_>, report: &mut Report) {
    for (key, at) in root.entries() {
        match key {
            "general_settings" => keys(&at, Section::General, report),
            "litellm_settings" => keys(&at, Section::Litellm, report),
            "router_settings" => keys(&at, Section::Router, report),
            "ai_api_settings" => keys(&at, Section::AiApi, report),
            "model_list" => at.items().for_each(|entry| model(&entry, report)),
            "credential_list" => credentials(&at, report),
            // Each of their keys is reported where it is read.
            "providers" | "environment_variables" => {}
            _ => key_of(Section::Top, key, &at, report),
        }
    }
    unset(root, report);
}

fn keys(section: &At<'_>, kind: Section, report: &mut Report) {
    if !matches!(section.node.value, Value::Map(_) | Value::Null) {
        section.expected::<()>("a map", report);
    }
    section.entries().for_each(|(key, at)| key_of(kind, key, &at, report));
}

fn key_of(section: Section, key: &str, at: &At<'_>, report: &mut Report) {
    match known::lookup(section, key) {
        Some(support) => support.report(at, report),
        None => {
            let hint =
                known::misspelt(section, key).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            report.add(Severity::Ignored, at.place(), at.path.clone(), format!("unknown key{hint}"));
        }
    }
}

fn model(entry: &At<'_>, report: &mut Report) {
    for (key, at) in entry.entries() {
        match key {
            "litellm_params" => {}
            "model_info" => at.entries().for_each(|(key, at)| {
                known::lookup(Section::ModelInfo, key)
                    .unwrap_or(Support::NoEffect("kept to be shown"))
                    .report(&at, report);
            }),
            _ => key_of(Section::Model, key, &at, report),
        }
    }
}

fn credentials(list: &At<'_>, report: &mut Report) {
    if !matches!(list.node.value, Value::List(_) | Value::Null) {
        list.expected::<()>("a list", report);
    }
    for entry in list.items() {
        if entry.raw("credential_name").is_none_or(|name| name.node.is_none()) {
            entry.error("credential_name is missing", report);
        }
        entry.entries().for_each(|(key, at)| key_of(Section::Credential, key, &at, report));
    }
}

/// Variables that are not set, but for those whose absence is told in more detail elsewhere.
fn unset(at: &At<'_>, report: &mut Report) {
    at.items().for_each(|item| unset(&item, report));
    at.entries().for_each(|(_, value)| unset(&value, report));
    let told = at.path == "general_settings.master_key"
        || (at.path.starts_with("model_list[") && at.path.ends_with("].litellm_params.api_key"));
    if let Some(variable) = at.node.unset_variable().filter(|_| !told) {
        at.warn(format!("the environment variable {variable} is not set, so this key has no value"), report);
    }
}
