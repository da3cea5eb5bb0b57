//! What keys, users and teams get that nobody says, and what keys may have at most: `litellm_settings.default_…_params`
//! and `upperbound_key_generate_params`.

use serde_json::{Map as JsonMap, Value as Json};

use super::at::At;
use super::report::Report;
use crate::limits::Span;

/// Fields of requests, by LiteLLM's names.
#[derive(Clone, Debug, Default)]
pub struct KeyDefaults {
    /// `default_key_generate_params`.
    pub key: JsonMap<String, Json>,
    /// `upperbound_key_generate_params`: the most that a key may have, and what it has where nobody says.
    pub key_at_most: JsonMap<String, Json>,
    /// `default_internal_user_params`.
    pub user: JsonMap<String, Json>,
    /// `default_team_params`.
    pub team: JsonMap<String, Json>,
}

// === impl KeyDefaults ===

impl KeyDefaults {
    pub(super) fn read(root: &At<'_>, report: &mut Report) -> Self {
        let section = root.get("litellm_settings");
        let mut fields = |key: &str| section.as_ref().map(|at| fields(at, key, report)).unwrap_or_default();
        Self {
            key: fields("default_key_generate_params"),
            key_at_most: fields("upperbound_key_generate_params"),
            user: fields("default_internal_user_params"),
            team: fields("default_team_params"),
        }
    }
}

fn fields(section: &At<'_>, key: &str, report: &mut Report) -> JsonMap<String, Json> {
    let Some(at) = section.map(key, report) else { return JsonMap::new() };
    let mut found = JsonMap::new();
    for (name, value) in at.entries().filter(|(_, value)| !value.node.is_none()) {
        found.extend(field(name, &value, report).map(|value| (name.to_owned(), value)));
    }
    found
}

/// The value of a field, as far as it is of the kind that this field has.
fn field(name: &str, at: &At<'_>, report: &mut Report) -> Option<Json> {
    match name {
        "max_budget" | "soft_budget" => at.number_from_zero(report).map(Json::from),
        "tpm_limit" | "rpm_limit" => at.whole(report).map(Json::from),
        "max_parallel_requests" => at.count(report).map(Json::from),
        "duration" | "budget_duration" => {
            let text = at.text(report)?;
            match Span::parse(&text) {
                Ok(_) => Some(Json::from(text)),
                Err(_) => at.expected("a span of time such as 30s, 5m, 24h, 7d or 1mo", report),
            }
        }
        "models" | "tags" | "allowed_routes" => at.texts(report).map(Json::from),
        "metadata" | "aliases" | "model_max_budget" | "model_rpm_limit" | "model_tpm_limit" => {
            at.json_map(report).map(Json::from)
        }
        "user_id" | "team_id" | "user_role" | "organization_id" => at.text(report).map(Json::from),
        _ => Some(at.node.to_json()),
    }
}
