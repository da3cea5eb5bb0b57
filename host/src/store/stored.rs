//! The column `data`: keys, users and teams as JSON.
//!
//! The forms here are the database's, apart from the gateway's own types, so that neither a renamed field there nor a new
//! one makes what is stored unreadable. A field is never removed or given another meaning; a new one has a default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StoreError;
use super::scope::{millis, time};
use crate::keys::{Budget, Key, KeyHash, KeyKind, Member, Period, Quota, Rates, Team, User};
use crate::money::Money;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredKey {
    name: String,
    alias: Option<String>,
    user_id: Option<String>,
    team_id: Option<String>,
    organization_id: Option<String>,
    models: Vec<String>,
    aliases: BTreeMap<String, String>,
    quota: StoredQuota,
    model_budgets: BTreeMap<String, StoredBudget>,
    model_rates: BTreeMap<String, StoredRates>,
    soft_budget: Option<i64>,
    expires: Option<i64>,
    blocked: bool,
    allowed_routes: Vec<String>,
    kind: StoredKind,
    metadata: Map<String, Value>,
    tags: Vec<String>,
    extra: Map<String, Value>,
    created_by: Option<String>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredUser {
    id: String,
    alias: Option<String>,
    email: Option<String>,
    role: Option<String>,
    models: Vec<String>,
    quota: StoredQuota,
    model_budgets: BTreeMap<String, StoredBudget>,
    metadata: Map<String, Value>,
    extra: Map<String, Value>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredTeam {
    id: String,
    alias: Option<String>,
    organization_id: Option<String>,
    models: Vec<String>,
    aliases: BTreeMap<String, String>,
    quota: StoredQuota,
    model_budgets: BTreeMap<String, StoredBudget>,
    model_rates: BTreeMap<String, StoredRates>,
    blocked: bool,
    members: Vec<StoredMember>,
    metadata: Map<String, Value>,
    tags: Vec<String>,
    extra: Map<String, Value>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredQuota {
    budget: Option<StoredBudget>,
    requests: Option<u64>,
    tokens: Option<u64>,
    parallel: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct StoredBudget {
    /// In 10⁻¹² USD.
    max: i64,
    #[serde(default)]
    period: Option<StoredPeriod>,
}

#[derive(Serialize, Deserialize)]
struct StoredPeriod {
    text: String,
    since: i64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredRates {
    requests: Option<u64>,
    tokens: Option<u64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredMember {
    user_id: String,
    role: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredKind {
    #[default]
    Default,
    LlmApi,
    Management,
    ReadOnly,
}

pub(super) fn key(key: &Key) -> String {
    let stored = StoredKey {
        name: key.name.clone(),
        alias: key.alias.clone(),
        user_id: key.user_id.clone(),
        team_id: key.team_id.clone(),
        organization_id: key.organization_id.clone(),
        models: key.models.clone(),
        aliases: key.aliases.clone(),
        quota: (&key.quota).into(),
        model_budgets: mapped(&key.model_budgets),
        model_rates: mapped(&key.model_rates),
        soft_budget: key.soft_budget.map(Money::pico),
        expires: key.expires.map(millis),
        blocked: key.blocked,
        allowed_routes: key.allowed_routes.clone(),
        kind: match key.kind {
            KeyKind::Default => StoredKind::Default,
            KeyKind::LlmApi => StoredKind::LlmApi,
            KeyKind::Management => StoredKind::Management,
            KeyKind::ReadOnly => StoredKind::ReadOnly,
        },
        metadata: key.metadata.clone(),
        tags: key.tags.clone(),
        extra: key.extra.clone(),
        created_by: key.created_by.clone(),
        created_at: key.created_at.map(millis),
        updated_at: key.updated_at.map(millis),
    };
    json(&stored)
}

pub(super) fn read_key(hash: &str, data: &str) -> Result<Key, StoreError> {
    let stored: StoredKey = parse("key", data)?;
    Ok(Key {
        hash: hash_of(hash)?,
        name: stored.name,
        alias: stored.alias,
        user_id: stored.user_id,
        team_id: stored.team_id,
        organization_id: stored.organization_id,
        models: stored.models,
        aliases: stored.aliases,
        quota: stored.quota.into(),
        model_budgets: unmapped(stored.model_budgets),
        model_rates: unmapped(stored.model_rates),
        soft_budget: stored.soft_budget.map(Money::from_pico),
        expires: stored.expires.map(time),
        blocked: stored.blocked,
        allowed_routes: stored.allowed_routes,
        kind: match stored.kind {
            StoredKind::Default => KeyKind::Default,
            StoredKind::LlmApi => KeyKind::LlmApi,
            StoredKind::Management => KeyKind::Management,
            StoredKind::ReadOnly => KeyKind::ReadOnly,
        },
        metadata: stored.metadata,
        tags: stored.tags,
        extra: stored.extra,
        created_by: stored.created_by,
        created_at: stored.created_at.map(time),
        updated_at: stored.updated_at.map(time),
    })
}

pub(super) fn user(user: &User) -> String {
    let stored = StoredUser {
        id: user.id.clone(),
        alias: user.alias.clone(),
        email: user.email.clone(),
        role: user.role.clone(),
        models: user.models.clone(),
        quota: (&user.quota).into(),
        model_budgets: mapped(&user.model_budgets),
        metadata: user.metadata.clone(),
        extra: user.extra.clone(),
        created_at: user.created_at.map(millis),
        updated_at: user.updated_at.map(millis),
    };
    json(&stored)
}

pub(super) fn read_user(data: &str) -> Result<User, StoreError> {
    let stored: StoredUser = parse("user", data)?;
    Ok(User {
        id: stored.id,
        alias: stored.alias,
        email: stored.email,
        role: stored.role,
        models: stored.models,
        quota: stored.quota.into(),
        model_budgets: unmapped(stored.model_budgets),
        metadata: stored.metadata,
        extra: stored.extra,
        created_at: stored.created_at.map(time),
        updated_at: stored.updated_at.map(time),
    })
}

pub(super) fn team(team: &Team) -> String {
    let member = |member: &Member| StoredMember { user_id: member.user_id.clone(), role: member.role.clone() };
    let stored = StoredTeam {
        id: team.id.clone(),
        alias: team.alias.clone(),
        organization_id: team.organization_id.clone(),
        models: team.models.clone(),
        aliases: team.aliases.clone(),
        quota: (&team.quota).into(),
        model_budgets: mapped(&team.model_budgets),
        model_rates: mapped(&team.model_rates),
        blocked: team.blocked,
        members: team.members.iter().map(member).collect(),
        metadata: team.metadata.clone(),
        tags: team.tags.clone(),
        extra: team.extra.clone(),
        created_at: team.created_at.map(millis),
        updated_at: team.updated_at.map(millis),
    };
    json(&stored)
}

pub(super) fn read_team(data: &str) -> Result<Team, StoreError> {
    let stored: StoredTeam = parse("team", data)?;
    let member = |member: StoredMember| Member { user_id: member.user_id, role: member.role };
    Ok(Team {
        id: stored.id,
        alias: stored.alias,
        organization_id: stored.organization_id,
        models: stored.models,
        aliases: stored.aliases,
        quota: stored.quota.into(),
        model_budgets: unmapped(stored.model_budgets),
        model_rates: unmapped(stored.model_rates),
        blocked: stored.blocked,
        members: stored.members.into_iter().map(member).collect(),
        metadata: stored.metadata,
        tags: stored.tags,
        extra: stored.extra,
        created_at: stored.created_at.map(time),
        updated_at: stored.updated_at.map(time),
    })
}

/// The column `hash`.
pub(super) fn hash_of(hex: &str) -> Result<KeyHash, StoreError> {
    KeyHash::parse(hex).ok_or_else(|| StoreError::Unreadable("a key whose hash is no SHA-256".to_owned()))
}

fn json(stored: &impl Serialize) -> String {
    // Texts, numbers, and maps with texts for keys: there is nothing that JSON can't say.
    serde_json::to_string(stored).unwrap_or_default()
}

fn parse<'a, T: Deserialize<'a>>(what: &str, data: &'a str) -> Result<T, StoreError> {
    // Without serde's words, which quote the value.
    serde_json::from_str(data).map_err(|error| {
        StoreError::Unreadable(format!("the data of a {what}, at line {} column {}", error.line(), error.column()))
    })
}

fn mapped<'a, T: 'a, S: From<&'a T>>(map: &'a BTreeMap<String, T>) -> BTreeMap<String, S> {
    map.iter().map(|(name, value)| (name.clone(), value.into())).collect()
}

fn unmapped<S, T: From<S>>(map: BTreeMap<String, S>) -> BTreeMap<String, T> {
    map.into_iter().map(|(name, value)| (name, value.into())).collect()
}

impl From<&Quota> for StoredQuota {
    fn from(quota: &Quota) -> Self {
        Self {
            budget: quota.budget.as_ref().map(Into::into),
            requests: quota.rates.requests,
            tokens: quota.rates.tokens,
            parallel: quota.parallel,
        }
    }
}

impl From<StoredQuota> for Quota {
    fn from(stored: StoredQuota) -> Self {
        Self {
            budget: stored.budget.map(Into::into),
            rates: Rates { requests: stored.requests, tokens: stored.tokens },
            parallel: stored.parallel,
        }
    }
}

impl From<&Budget> for StoredBudget {
    fn from(budget: &Budget) -> Self {
        let period = budget.period.as_ref();
        let period = period.map(|period| StoredPeriod { text: period.text.clone(), since: millis(period.since) });
        Self { max: budget.max.pico(), period }
    }
}

impl From<StoredBudget> for Budget {
    fn from(stored: StoredBudget) -> Self {
        let period = |period: StoredPeriod| Period { text: period.text, since: time(period.since) };
        Self { max: Money::from_pico(stored.max), period: stored.period.map(period) }
    }
}

impl From<&Rates> for StoredRates {
    fn from(rates: &Rates) -> Self {
        Self { requests: rates.requests, tokens: rates.tokens }
    }
}

impl From<StoredRates> for Rates {
    fn from(stored: StoredRates) -> Self {
        Self { requests: stored.requests, tokens: stored.tokens }
    }
}
