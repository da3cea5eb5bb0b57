//! From the fields of a request to a key, a user or a team.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use time::{OffsetDateTime, UtcOffset};

use super::fields::{Fields, Given, count, money, object, text, wrong};
use crate::keys::{Budget, Key, KeyKind, Period, Quota, Rates, Team, User};
use crate::limits::Span;
use crate::pipeline::GatewayError;

/// Fields that limit, and that nothing here holds anybody to: to take them without a word would be a lie.
const UNENFORCED: [(&str, &str); 4] = [
    ("budget_id", "there are no budgets to refer to; set max_budget and budget_duration"),
    ("budget_limits", "there is one budget for a period; set max_budget and budget_duration"),
    ("tpd_limit", "tokens are limited for a minute; set tpm_limit"),
    ("grace_period", "the old key ends with the new one's beginning"),
];

/// What a request says of a key, but for the key itself and what it has spent.
pub(super) fn key(key: &mut Key, fields: &mut Fields, now: SystemTime) -> Result<(), GatewayError> {
    refuse_unenforced(fields)?;
    fields.text("key_alias")?.set(&mut key.alias);
    fields.text("user_id")?.set(&mut key.user_id);
    fields.text("team_id")?.set(&mut key.team_id);
    fields.text("organization_id")?.set(&mut key.organization_id);
    fields.texts("models")?.set_or_default(&mut key.models);
    fields.text_map("aliases")?.set_or_default(&mut key.aliases);
    if let Some(alias) = key.alias.as_deref().filter(|alias| alias.split('/').any(|part| part == "..")) {
        return Err(GatewayError::invalid(
            "key_alias",
            format!("Invalid key_alias: '{alias}' has a \"..\" in its path."),
        ));
    }
    quota(&mut key.quota, &mut key.extra, fields, now)?;
    fields.money("soft_budget")?.set(&mut key.soft_budget);
    model_budgets(&mut key.model_budgets, fields, now)?;
    match fields.take("duration") {
        Given::Absent => {}
        Given::Null => key.expires = None,
        Given::Is(Value::String(text)) if text.trim() == "-1" => key.expires = None,
        Given::Is(value) => {
            key.expires = Some(end_of(&text("duration", value)?, now).ok_or_else(|| wrong("duration", SPAN))?);
        }
    }
    fields.flag("blocked")?.set_or_default(&mut key.blocked);
    let kind = fields.text("key_type")?.value();
    let kind = kind.map(|kind| {
        KeyKind::parse(&kind).ok_or_else(|| wrong("key_type", "default, llm_api, management or read_only"))
    });
    if let Some(kind) = kind.transpose()? {
        key.kind = kind;
        if fields.peek("allowed_routes").is_none_or(|routes| routes.as_array().is_some_and(Vec::is_empty)) {
            fields.take("allowed_routes");
            key.allowed_routes = kind.routes().iter().map(|route| (*route).to_owned()).collect();
        }
    }
    fields.texts("allowed_routes")?.set_or_default(&mut key.allowed_routes);
    let (mut rates, mut tags) = (std::mem::take(&mut key.model_rates), std::mem::take(&mut key.tags));
    metadata(&mut key.metadata, &mut tags, &mut rates, fields)?;
    (key.model_rates, key.tags) = (rates, tags);
    Ok(())
}

/// What a request says of a user.
pub(super) fn user(user: &mut User, fields: &mut Fields, now: SystemTime) -> Result<(), GatewayError> {
    refuse_unenforced(fields)?;
    fields.text("user_alias")?.set(&mut user.alias);
    fields.text("user_email")?.set(&mut user.email);
    match fields.text("user_role")? {
        Given::Is(role) if !ROLES.contains(&role.as_str()) => {
            return Err(wrong("user_role", &format!("one of {}", ROLES.join(", "))));
        }
        role => role.set(&mut user.role),
    }
    fields.texts("models")?.set_or_default(&mut user.models);
    quota(&mut user.quota, &mut user.extra, fields, now)?;
    model_budgets(&mut user.model_budgets, fields, now)?;
    fields.map("metadata")?.set_or_default(&mut user.metadata);
    Ok(())
}

/// What a request says of a team, but for its members.
pub(super) fn team(team: &mut Team, fields: &mut Fields, now: SystemTime) -> Result<(), GatewayError> {
    refuse_unenforced(fields)?;
    for name in ["team_member_budget", "team_member_rpm_limit", "team_member_tpm_limit", "team_member_model_max_budget"]
    {
        if fields.peek(name).is_some() {
            return Err(wrong(
                name,
                "nothing: single members have no limits of their own; give their keys or users one",
            ));
        }
    }
    fields.text("team_alias")?.set(&mut team.alias);
    fields.text("organization_id")?.set(&mut team.organization_id);
    fields.texts("models")?.set_or_default(&mut team.models);
    fields.text_map("model_aliases")?.set_or_default(&mut team.aliases);
    fields.flag("blocked")?.set_or_default(&mut team.blocked);
    quota(&mut team.quota, &mut team.extra, fields, now)?;
    model_budgets(&mut team.model_budgets, fields, now)?;
    metadata(&mut team.metadata, &mut team.tags, &mut team.model_rates, fields)
}

/// Keeps what nobody has read; `null` lets go of it.
pub(super) fn extra(kept: &mut Map<String, Value>, fields: Fields) {
    for (name, value) in fields.rest() {
        if value.is_null() {
            kept.remove(&name);
        } else {
            kept.insert(name, value);
        }
    }
}

const SPAN: &str = "a span of time such as 30s, 5m, 24h, 30d or 1mo";
const ROLES: [&str; 4] = ["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"];
/// Where `budget_duration` is kept as long as there is no budget that it is for.
const LONE_PERIOD: &str = "budget_duration";

fn refuse_unenforced(fields: &Fields) -> Result<(), GatewayError> {
    let found = UNENFORCED.iter().find(|(name, _)| fields.peek(name).is_some_and(|value| !is_empty(value)));
    match found {
        Some((name, instead)) => Err(GatewayError::invalid(*name, format!("'{name}' is not supported: {instead}."))),
        None => Ok(()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn quota(
    quota: &mut Quota,
    extra: &mut Map<String, Value>,
    fields: &mut Fields,
    now: SystemTime,
) -> Result<(), GatewayError> {
    budget(&mut quota.budget, extra, fields, now)?;
    fields.count("tpm_limit")?.set(&mut quota.rates.tokens);
    fields.count("rpm_limit")?.set(&mut quota.rates.requests);
    let parallel = match fields.count("max_parallel_requests")? {
        Given::Absent => return Ok(()),
        given => given.value().map(u32::try_from).transpose(),
    };
    quota.parallel = parallel.map_err(|_| wrong("max_parallel_requests", "a smaller number"))?;
    Ok(())
}

fn budget(
    budget: &mut Option<Budget>,
    extra: &mut Map<String, Value>,
    fields: &mut Fields,
    now: SystemTime,
) -> Result<(), GatewayError> {
    let mut max = budget.as_ref().map(|budget| budget.max);
    let lone = extra.remove(LONE_PERIOD).and_then(|text| period(LONE_PERIOD, text, None, now).ok());
    let mut own = budget.take().and_then(|budget| budget.period).or(lone);
    fields.money("max_budget")?.set(&mut max);
    match fields.take("budget_duration") {
        Given::Absent => {}
        Given::Null => own = None,
        Given::Is(Value::String(text)) if text.is_empty() => own = None,
        Given::Is(value) => own = Some(period("budget_duration", value, own, now)?),
    }
    match (max, own) {
        (Some(max), period) => *budget = Some(Budget { max, period }),
        (None, Some(period)) => {
            extra.insert(LONE_PERIOD.to_owned(), Value::from(period.text));
        }
        (None, None) => {}
    }
    Ok(())
}

/// A period as it is written. One that is written as before goes on.
fn period(name: &str, value: Value, before: Option<Period>, now: SystemTime) -> Result<Period, GatewayError> {
    let text = text(name, value)?;
    if let Some(before) = before.filter(|before| before.text == text) {
        return Ok(before);
    }
    Span::parse(&text).map_err(|_| wrong(name, SPAN))?;
    let since = beginning(&text, now);
    Ok(Period { text, since })
}

/// When a span of time ends that begins now.
fn end_of(text: &str, now: SystemTime) -> Option<SystemTime> {
    Span::parse(text).ok()?.after(now)
}

/// When the first period begins. As in LiteLLM days begin at midnight UTC, weeks on Monday, and months on their first.
fn beginning(text: &str, now: SystemTime) -> SystemTime {
    let midnight = OffsetDateTime::from(now).to_offset(UtcOffset::UTC).replace_time(time::Time::MIDNIGHT);
    let ago = |days: u8| SystemTime::from(midnight) - Duration::from_secs(86_400 * u64::from(days));
    match text {
        text if text.ends_with("mo") => ago(midnight.day() - 1),
        text if text.ends_with('w') || text == "7d" => ago(midnight.weekday().number_days_from_monday()),
        text if text.ends_with('d') => ago(0),
        _ => now,
    }
}

/// `{"gpt-4o": {"budget_limit": 5, "time_period": "30d"}}`, `max_budget` and `budget_duration` in there, or a number.
fn model_budgets(
    budgets: &mut BTreeMap<String, Budget>,
    fields: &mut Fields,
    now: SystemTime,
) -> Result<(), GatewayError> {
    let given = match fields.map("model_max_budget")? {
        Given::Absent => return Ok(()),
        given => given.value().unwrap_or_default(),
    };
    let before = std::mem::take(budgets);
    for (model, value) in given {
        let path = format!("model_max_budget.{model}");
        let budget = match value {
            Value::Object(map) => {
                let either = |one: &str, other: &str| map.get(one).or(map.get(other)).filter(|value| !value.is_null());
                let limit = either("budget_limit", "max_budget").ok_or_else(|| wrong(&path, "a budget_limit"))?;
                let before = before.get(&model).and_then(|budget| budget.period.clone());
                let own = either("time_period", "budget_duration").cloned();
                let own = own.map(|value| period(&format!("{path}.time_period"), value, before, now)).transpose()?;
                Budget { max: money(&format!("{path}.budget_limit"), limit)?, period: own }
            }
            value => Budget { max: money(&path, &value)?, period: None },
        };
        budgets.insert(model, budget);
    }
    Ok(())
}

/// Metadata, and what LiteLLM keeps in there: tags, and limits of single models. They may be given inside of it or beside.
fn metadata(
    kept: &mut Map<String, Value>,
    tags: &mut Vec<String>,
    rates: &mut BTreeMap<String, Rates>,
    fields: &mut Fields,
) -> Result<(), GatewayError> {
    match fields.map("metadata")? {
        Given::Absent => {}
        Given::Null => kept.clear(),
        Given::Is(mut given) => {
            for name in ["tags", "model_rpm_limit", "model_tpm_limit"] {
                if let Some(value) = given.remove(name)
                    && !fields.has(name)
                {
                    fields.default_to(name, &value);
                }
            }
            *kept = given;
        }
    }
    fields.texts("tags")?.set_or_default(tags);
    let mut of_models = |name: &str, set: fn(&mut Rates, Option<u64>)| -> Result<(), GatewayError> {
        let limits = match fields.count_map(name)? {
            Given::Absent => return Ok(()),
            given => given.value().unwrap_or_default(),
        };
        rates.values_mut().for_each(|rates| set(rates, None));
        for (model, limit) in limits {
            set(rates.entry(model).or_default(), Some(limit));
        }
        Ok(())
    };
    of_models("model_rpm_limit", |rates, limit| rates.requests = limit)?;
    of_models("model_tpm_limit", |rates, limit| rates.tokens = limit)?;
    rates.retain(|_, rates| *rates != Rates::default());
    Ok(())
}

/// Holds a new key to what the operator says a key has, and has at most.
pub(super) fn bounds(
    fields: &mut Fields,
    most: &Map<String, Value>,
    is_new: bool,
    now: SystemTime,
) -> Result<(), GatewayError> {
    for (name, most) in most {
        if fields.peek(name).is_none() {
            // What an update doesn't mention stays; what it clears would be without bounds.
            if is_new || fields.has(name) {
                fields.default_to(name, most);
                if fields.peek(name).is_none() {
                    return Err(above(name, "null", most));
                }
            }
            continue;
        }
        let Some(value) = fields.peek(name) else { continue };
        let is_above = match name.as_str() {
            "max_budget" | "soft_budget" => money(name, value)? > money(name, most)?,
            "tpm_limit" | "rpm_limit" | "max_parallel_requests" => count(name, value)? > count(name, most)?,
            "duration" | "budget_duration" => {
                let end = |value: &Value| end_of(value.as_str()?, now);
                value.as_str() == Some("-1") || end(value) > end(most)
            }
            _ => false,
        };
        if is_above {
            return Err(above(name, &value.to_string(), most));
        }
    }
    Ok(())
}

fn above(name: &str, value: &str, most: &Value) -> GatewayError {
    let message = format!("{name} is over max limit set in config - user_value={value}; max_value={most}");
    GatewayError::invalid(name, message)
}

/// What a member of a team is named by, and its role.
pub(super) fn member(value: Value) -> Result<(Option<String>, Option<String>, String), GatewayError> {
    let mut fields = Fields::of(object("member", value)?);
    let role = fields.text("role")?.value().unwrap_or_else(|| "user".to_owned());
    if !matches!(role.as_str(), "admin" | "user") {
        return Err(wrong("member.role", "admin or user"));
    }
    let (id, email) = (fields.text("user_id")?.value(), fields.text("user_email")?.value());
    if id.is_none() && email.is_none() {
        return Err(GatewayError::invalid("member", "Either user id or user email must be provided"));
    }
    Ok((id, email, role))
}
