//! What budgets have left, and how far the books are written, for `GET /metrics`.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::accounts::Accounts;
use crate::keys::{Budget, Caller, Team, User};
use crate::limits::{Limiter, Scope, term};
use crate::spend::Status;

type Labels = Vec<(&'static str, String)>;
type Money = Family<Labels, Gauge<f64, AtomicU64>>;

/// Keys, users and teams with budgets whose metrics are shown, of each; more would make a reading take long.
const MOST: usize = 5_000;

/// LiteLLM's three metrics of a budget.
#[derive(Default)]
struct Budgets {
    max: Money,
    left: Money,
    hours: Money,
}

/// Adds what is known of accounts.
pub(super) fn register(registry: &mut Registry, accounts: &Accounts) {
    let now = SystemTime::now();
    let (keys, users, teams) = (Budgets::default(), Budgets::default(), Budgets::default());
    let limiter = &accounts.limiter;
    accounts.directory.read(|roster| {
        for caller in roster.keys().filter(|caller| caller.key.quota.budget.is_some()).take(MOST) {
            keys.add(limiter, &Scope::Key(caller.key.hash.to_string().into()), key(caller), now);
        }
        for user in roster.users().filter(|user| user.quota.budget.is_some()).take(MOST) {
            users.add(limiter, &Scope::User(user.id.as_str().into()), of_user(user), now);
        }
        for team in roster.teams().filter(|team| team.quota.budget.is_some()).take(MOST) {
            teams.add(limiter, &Scope::Team(team.id.as_str().into()), of_team(team), now);
        }
    });
    keys.register(registry, "api_key");
    users.register(registry, "user");
    teams.register(registry, "team");
    if let Some(spend) = &accounts.spend {
        writer(registry, &spend.status());
    }
}

fn key(caller: &Caller) -> (Labels, Option<&Budget>) {
    let alias = caller.key.alias.clone().unwrap_or_else(|| "None".to_owned());
    let labels = vec![("hashed_api_key", caller.key.hash.to_string()), ("api_key_alias", alias)];
    (labels, caller.key.quota.budget.as_ref())
}

fn of_user(user: &User) -> (Labels, Option<&Budget>) {
    (vec![("user", user.id.clone())], user.quota.budget.as_ref())
}

fn of_team(team: &Team) -> (Labels, Option<&Budget>) {
    let alias = team.alias.clone().unwrap_or_else(|| "None".to_owned());
    (vec![("team", team.id.clone()), ("team_alias", alias)], team.quota.budget.as_ref())
}

// === impl Budgets ===

impl Budgets {
    fn add(&self, limiter: &Limiter, scope: &Scope, (labels, budget): (Labels, Option<&Budget>), now: SystemTime) {
        let Some(budget) = budget else { return };
        let spent = limiter.spent(scope, Some(budget), now);
        self.max.get_or_create(&labels).set(budget.max.as_f64());
        self.left.get_or_create(&labels).set(budget.max.saturating_sub(spent).as_f64());
        if let Some(term) = budget.period.as_ref().and_then(|period| term(period, now)) {
            let left = term.until.duration_since(now).unwrap_or_default();
            self.hours.get_or_create(&labels).set(left.as_secs_f64() / 3600.0);
        }
    }

    fn register(self, registry: &mut Registry, whose: &str) {
        let name = |metric: &str| metric.replace('*', whose);
        registry.register(name("litellm_*_max_budget_metric"), "A budget, in US dollars", self.max);
        registry.register(name("litellm_remaining_*_budget_metric"), "What is left of a budget", self.left);
        registry.register(name("litellm_*_budget_remaining_hours_metric"), "Hours until a budget is new", self.hours);
    }
}

/// How far the books are written.
fn writer(registry: &mut Registry, status: &Status) {
    registry.register("ai_api_spend_queued", "Calls that wait to be written", gauge(status.queued as u64));
    registry.register("ai_api_spend_written", "Calls that the database has", counter(status.written));
    let help = "Calls without a row of their own, for want of room; what they cost is in all sums";
    registry.register("ai_api_spend_dropped", help, counter(status.dropped));
    registry.register("ai_api_spend_lost", "Calls that are in no sum of the database", counter(status.lost));
    let is_failing = u64::from(status.failing_since.is_some());
    registry.register("ai_api_spend_failing", "Whether the database takes nothing at the moment", gauge(is_failing));
}

fn counter(count: u64) -> Counter {
    let counter = Counter::default();
    counter.inc_by(count);
    counter
}

fn gauge(value: u64) -> Gauge {
    let gauge: Gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge
}
