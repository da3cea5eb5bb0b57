//! What limits promise, through the door that calls go through.

mod budgets;
mod properties;
mod rates;
mod sharing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::keys::{Budget, Key, Period, Quota, Rates, Team, User};

fn usd(text: &str) -> Money {
    text.parse().expect("an amount")
}

/// A beginning of periods that isn't a round number.
fn beginning() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_442_399_250)
}

fn budget(max: &str, period: Option<&str>) -> Budget {
    let period = period.map(|text| Period { text: text.to_owned(), since: beginning() });
    Budget { max: usd(max), period }
}

fn of_money(max: &str) -> Quota {
    Quota { budget: Some(budget(max, None)), ..Quota::default() }
}

fn of_rates(requests: Option<u64>, tokens: Option<u64>) -> Quota {
    Quota { rates: Rates { requests, tokens }, ..Quota::default() }
}

fn of_parallel(parallel: u32) -> Quota {
    Quota { parallel: Some(parallel), ..Quota::default() }
}

fn key_scope() -> Scope {
    Scope::Key("0123".into())
}

/// A key, and what hangs on it.
fn caller_of(key: Key, user: Option<User>, team: Option<Team>) -> Arc<Caller> {
    let mut scopes = vec![(key_scope(), key.quota.clone())];
    scopes.extend(user.as_ref().map(|user| (Scope::User(user.id.as_str().into()), user.quota.clone())));
    scopes.extend(team.as_ref().map(|team| (Scope::Team(team.id.as_str().into()), team.quota.clone())));
    let tab = Tab::default();
    Arc::new(Caller { key, user: user.map(Arc::new), team: team.map(Arc::new), scopes, tab })
}

fn key(quota: Quota) -> Key {
    Key { name: "sk-...abcd".to_owned(), quota, ..Key::default() }
}

fn caller(quota: Quota) -> Arc<Caller> {
    caller_of(key(quota), None, None)
}

fn in_team(quota: Quota, of_team: Quota) -> Arc<Caller> {
    let team = Team { id: "core".to_owned(), quota: of_team, ..Team::default() };
    caller_of(key(quota), None, Some(team))
}

fn with_model(model: &str, budget: Option<Budget>, rates: Option<Rates>) -> Arc<Caller> {
    let model_budgets: BTreeMap<_, _> = budget.into_iter().map(|budget| (model.to_owned(), budget)).collect();
    let model_rates: BTreeMap<_, _> = rates.into_iter().map(|rates| (model.to_owned(), rates)).collect();
    caller_of(Key { model_budgets, model_rates, ..key(Quota::default()) }, None, None)
}

/// A gateway's limiter, and the budgets of its configuration.
#[derive(Debug, Default)]
struct Gate {
    limiter: Arc<Limiter>,
    budgets: Arc<Budgets>,
}

impl Gate {
    fn with(budgets: Budgets) -> Self {
        Self { limiter: Arc::default(), budgets: Arc::new(budgets) }
    }

    async fn ask(
        &self,
        caller: Option<&Arc<Caller>>,
        model: &str,
        at: SystemTime,
        estimate: Estimate,
    ) -> Result<Hold, Refused> {
        self.limiter.admit(&Ask { caller, model, names: &[model.into()], at, estimate }, &self.budgets).await
    }

    /// A call that may cost so much.
    async fn pay(&self, caller: &Arc<Caller>, cost: &str) -> Result<Hold, Refused> {
        self.ask(Some(caller), "gpt", beginning(), costs(cost)).await
    }

    /// A call of so many tokens.
    async fn talk(&self, caller: &Arc<Caller>, tokens: u64) -> Result<Hold, Refused> {
        self.ask(Some(caller), "gpt", beginning(), takes(tokens)).await
    }

    fn spent(&self, scope: &Scope) -> Money {
        self.limiter.spent(scope, None, beginning())
    }
}

/// Of a model with one name.
fn named(name: &'static str) -> &'static [Cow<'static, str>] {
    Box::leak(Box::new([Cow::Borrowed(name)]))
}

fn costs(cost: &str) -> Estimate {
    Estimate { cost: Some(usd(cost)), is_free: cost == "0", ..Estimate::default() }
}

fn takes(tokens: u64) -> Estimate {
    Estimate { prompt_tokens: tokens, ..costs("0.000001") }
}

fn cost(text: &str) -> Spent<'static> {
    Spent { cost: Some(usd(text)), ..Spent::default() }
}

fn used(tokens: u64) -> Spent<'static> {
    let usage = Usage { prompt_tokens: tokens, ..Usage::default() };
    Spent { usage: Some(usage), ..Spent::default() }
}

/// Whose limit, and when there is room again.
fn rate_of(refused: Result<Hold, Refused>) -> (Rate, Option<Duration>) {
    match refused {
        Err(Refused::Rate { what, retry_after, .. }) => (what, retry_after),
        other => panic!("not refused for a rate: {other:?}"),
    }
}

/// Whose budget, what is spent of it, and when there is money again.
fn budget_of(refused: Result<Hold, Refused>) -> (Scope, Money, Option<Duration>) {
    match refused {
        Err(Refused::Budget { scope, spent, resets_in, .. }) => (scope, spent, resets_in),
        other => panic!("not refused for a budget: {other:?}"),
    }
}
