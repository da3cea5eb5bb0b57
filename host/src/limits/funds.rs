//! Budgets of deployments and providers: whose money is spent is left out when a deployment is chosen. Nothing is reserved
//! of them; calls that are under way when the last of it is spent are the most by which they are overspent.

use std::time::{Duration, SystemTime};

use super::{Allowance, Charges, Limiter, Scope};
use crate::config::Budgets;
use crate::money::Money;

impl Limiter {
    /// Whether the money of a deployment, or of its provider, is spent; then for how long, if it ever ends.
    pub fn is_spent(
        &self,
        budgets: &Budgets,
        deployment: &str,
        provider: &str,
        at: SystemTime,
    ) -> Option<Option<Duration>> {
        funds(budgets, deployment, provider).find_map(|(scope, allowance)| {
            let account = self.counters.find(&scope)?;
            let spent = account.lock().spent(allowance.since(at));
            (spent >= allowance.max.pico()).then(|| allowance.resets_in(at))
        })
    }

    /// Counts what a call has cost against who served it.
    pub(super) fn charge_funds(
        &self,
        budgets: &Budgets,
        served_by: Option<(&str, &str)>,
        cost: Money,
        at: SystemTime,
    ) -> Charges {
        let of = |(deployment, provider)| funds(budgets, deployment, provider);
        let charge = |(scope, allowance): (Scope, Allowance)| {
            let since = allowance.since(at);
            self.counters.account(&scope).lock().settle(since, 0, cost.pico());
            (scope, since)
        };
        served_by.into_iter().flat_map(of).map(charge).collect()
    }
}

fn funds<'a>(
    budgets: &'a Budgets,
    deployment: &'a str,
    provider: &'a str,
) -> impl Iterator<Item = (Scope, Allowance)> + use<'a> {
    let own = budgets.deployments.get(deployment).map(|budget| (Scope::Deployment(deployment.into()), *budget));
    let of_provider = budgets.providers.get(provider).map(|budget| (Scope::Provider(provider.into()), *budget));
    own.into_iter().chain(of_provider)
}
