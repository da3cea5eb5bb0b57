//! How keys, users and teams look in answers: LiteLLM's fields, all of them there, and those that it alone knows as they
//! came.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::spent::Purse;
use crate::accounts::Accounts;
use crate::keys::{Budget, Key, Quota, Rates, Roster, Team, User};

/// What answers are made from.
#[derive(Clone, Copy)]
pub(in crate::api) struct View<'a> {
    pub(in crate::api) accounts: &'a Accounts,
    pub(in crate::api) now: SystemTime,
}

impl View<'_> {
    /// A key. Its `token` is its hash.
    pub(in crate::api) fn key(&self, key: &Key) -> Map<String, Value> {
        let purse = Purse::of_key(key);
        let mut view = object(json!({
            "token": key.hash.to_string(),
            "key_name": key.name,
            "key_alias": key.alias,
            "spend": purse.spent(self.accounts, self.now),
            "soft_budget": key.soft_budget,
            "litellm_budget_table": key.soft_budget.map(|budget| json!({"soft_budget": budget})),
            "expires": key.expires.map(moment),
            "models": key.models,
            "aliases": key.aliases,
            "config": {},
            "permissions": {},
            "user_id": key.user_id,
            "team_id": key.team_id,
            "organization_id": key.organization_id,
            "metadata": metadata(&key.metadata, &key.tags, &key.model_rates),
            "tags": key.tags,
            "model_max_budget": budgets(&key.model_budgets),
            "model_rpm_limit": rates(&key.model_rates, |rates| rates.requests),
            "model_tpm_limit": rates(&key.model_rates, |rates| rates.tokens),
            "allowed_cache_controls": [],
            "allowed_routes": key.allowed_routes,
            "key_type": key.kind.as_str(),
            "blocked": key.blocked,
            "created_at": key.created_at.map(moment),
            "created_by": key.created_by,
            "updated_at": key.updated_at.map(moment),
        }));
        self.quota(&mut view, &key.quota, &purse);
        let mut view = with(view, &key.extra);
        for name in OF_LITELLM_ALONE {
            view.entry(name).or_insert(Value::Null);
        }
        view
    }

    /// How a key does: what `/key/list?status=` asks for.
    pub(super) fn status(&self, key: &Key) -> &'static str {
        match key.expires {
            _ if key.blocked => "revoked",
            Some(end) if end <= self.now => "expired",
            _ => "active",
        }
    }

    /// A user.
    pub(in crate::api) fn user(&self, user: &User, roster: &Roster) -> Map<String, Value> {
        let purse = Purse::of_user(user);
        let mut teams: Vec<&str> = roster.teams_of(&user.id).map(|team| team.id.as_str()).collect();
        teams.sort_unstable();
        let mut view = object(json!({
            "user_id": user.id,
            "user_alias": user.alias,
            "user_email": user.email,
            "user_role": user.role,
            "teams": teams,
            "organization_id": null,
            "spend": purse.spent(self.accounts, self.now),
            "models": user.models,
            "metadata": user.metadata,
            "model_max_budget": budgets(&user.model_budgets),
            "model_spend": {},
            "allowed_cache_controls": [],
            "created_at": user.created_at.map(moment),
            "updated_at": user.updated_at.map(moment),
        }));
        self.quota(&mut view, &user.quota, &purse);
        with(view, &user.extra)
    }

    /// A team.
    pub(super) fn team(&self, team: &Team, roster: &Roster) -> Map<String, Value> {
        let purse = Purse::of_team(team);
        let member = |member: &crate::keys::Member| {
            let email = roster.user(&member.user_id).and_then(|user| user.email.clone());
            json!({"user_id": member.user_id, "user_email": email, "role": member.role})
        };
        let mut view = object(json!({
            "team_id": team.id,
            "team_alias": team.alias,
            "organization_id": team.organization_id,
            "admins": [],
            "members": [],
            "members_with_roles": team.members.iter().map(member).collect::<Vec<_>>(),
            "spend": purse.spent(self.accounts, self.now),
            "models": team.models,
            "model_aliases": team.aliases,
            "metadata": metadata(&team.metadata, &team.tags, &team.model_rates),
            "tags": team.tags,
            "model_max_budget": budgets(&team.model_budgets),
            "model_rpm_limit": rates(&team.model_rates, |rates| rates.requests),
            "model_tpm_limit": rates(&team.model_rates, |rates| rates.tokens),
            "model_spend": {},
            "blocked": team.blocked,
            "created_at": team.created_at.map(moment),
            "updated_at": team.updated_at.map(moment),
        }));
        self.quota(&mut view, &team.quota, &purse);
        with(view, &team.extra)
    }

    fn quota(&self, view: &mut Map<String, Value>, quota: &Quota, purse: &Purse<'_>) {
        let budget = quota.budget.as_ref();
        let period = budget.and_then(|budget| budget.period.as_ref());
        let fields = json!({
            "max_budget": budget.map(|budget| budget.max),
            "budget_duration": period.map(|period| &period.text),
            "budget_reset_at": purse.resets_at(self.now).map(moment),
            "tpm_limit": quota.rates.tokens,
            "rpm_limit": quota.rates.requests,
            "max_parallel_requests": quota.parallel,
        });
        view.extend(object(fields));
    }
}

/// Fields of a key that LiteLLM's answers have, that nothing here hangs on, and that nobody has said anything about.
const OF_LITELLM_ALONE: [&str; 9] = [
    "agent_id",
    "budget_id",
    "budget_limits",
    "last_active",
    "object_permission",
    "project_id",
    "router_settings",
    "tpd_limit",
    "updated_by",
];

/// As LiteLLM writes times.
pub(in crate::api) fn moment(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    // To the microsecond, for Python reads no more.
    let time = time.replace_nanosecond(time.microsecond() * 1000).unwrap_or(time);
    time.format(&Rfc3339).unwrap_or_default()
}

/// What nobody here knows is told as it came, but takes nobody's place who is known.
fn with(mut view: Map<String, Value>, extra: &Map<String, Value>) -> Map<String, Value> {
    const EMPTY: [&str; 5] = ["config", "permissions", "allowed_cache_controls", "budget_duration", "organization_id"];
    for (name, value) in extra {
        let is_open = view.get(name).is_none_or(|_| EMPTY.contains(&name.as_str()));
        if is_open {
            view.insert(name.clone(), value.clone());
        }
    }
    view
}

fn metadata(own: &Map<String, Value>, tags: &[String], of_models: &BTreeMap<String, Rates>) -> Map<String, Value> {
    let mut all = own.clone();
    if !tags.is_empty() {
        all.insert("tags".to_owned(), json!(tags));
    }
    for (name, limits) in [
        ("model_rpm_limit", rates(of_models, |rates| rates.requests)),
        ("model_tpm_limit", rates(of_models, |rates| rates.tokens)),
    ] {
        if !limits.is_null() {
            all.insert(name.to_owned(), limits);
        }
    }
    all
}

fn rates(of_models: &BTreeMap<String, Rates>, which: fn(&Rates) -> Option<u64>) -> Value {
    let limits = of_models.iter().filter_map(|(model, rates)| Some((model.clone(), json!(which(rates)?))));
    let limits: Map<String, Value> = limits.collect();
    if limits.is_empty() { Value::Null } else { Value::Object(limits) }
}

fn budgets(of_models: &BTreeMap<String, Budget>) -> Map<String, Value> {
    let budget = |budget: &Budget| {
        let mut view = object(json!({"budget_limit": budget.max}));
        if let Some(period) = &budget.period {
            view.insert("time_period".to_owned(), json!(period.text));
        }
        view
    };
    of_models.iter().map(|(model, own)| (model.clone(), Value::Object(budget(own)))).collect()
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
