//! What a caller's calls count against: worked out once for each caller, and anew when its key, user or team changes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::Scope;
use super::counters::Counters;
use super::line::{Line, Lines};
use crate::keys::{Budget, Caller, Rates};

/// Where a caller keeps its accounts at hand.
#[derive(Debug, Default)]
pub struct Tab(OnceLock<Arc<Plan>>);

/// Whom a caller's calls count against.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The key, its user and its team.
    pub(super) owners: Lines,
    /// Models that have limits of their own, for one of them.
    models: BTreeMap<String, Lines>,
    /// Whether one of the owners has a limit.
    pub(super) binds: bool,
}

// === impl Tab ===

impl Tab {
    pub(super) fn plan(&self, caller: &Caller, counters: &Counters) -> &Arc<Plan> {
        self.0.get_or_init(|| Arc::new(Plan::of(caller, counters)))
    }
}

// === impl Plan ===

impl Plan {
    fn of(caller: &Caller, counters: &Counters) -> Self {
        let mut plan = Self::default();
        for (scope, quota) in &caller.scopes {
            // The gateway's own budget binds the master key too, so that it isn't looked up here.
            if *scope == Scope::Gateway || plan.owners.iter().any(|line| line.scope() == scope) {
                continue;
            }
            let (key, user, team) = (&caller.key, caller.user.as_ref(), caller.team.as_ref());
            let nothing = (&BTreeMap::new(), &BTreeMap::new());
            let (whose, (budgets, rates)): (Arc<str>, _) = match scope {
                Scope::Key(_) => (key.name.as_str().into(), (&key.model_budgets, &key.model_rates)),
                Scope::User(id) => (id.clone(), user.map_or(nothing, |user| (&user.model_budgets, nothing.1))),
                Scope::Team(id) => (id.clone(), team.map_or(nothing, |team| (&team.model_budgets, &team.model_rates))),
                _ => ("".into(), nothing),
            };
            let mut line = Line::new(counters.account(scope), whose).with_quota(quota);
            if matches!(scope, Scope::Key(_)) {
                line.soft = key.soft_budget;
            }
            plan.add_models(&line, budgets, rates, counters);
            plan.binds |= line.binds();
            plan.owners.push(Arc::new(line));
        }
        plan
    }

    fn add_models(
        &mut self,
        owner: &Line,
        budgets: &BTreeMap<String, Budget>,
        rates: &BTreeMap<String, Rates>,
        counters: &Counters,
    ) {
        let owning = Arc::new(owner.scope().clone());
        let mut models: Vec<&String> = budgets.keys().chain(rates.keys()).collect();
        models.sort_unstable();
        models.dedup();
        for model in models {
            let scope = Scope::Model(owning.clone(), model.as_str().into());
            let line = Line::new(counters.account(&scope), owner.whose.clone())
                .with_budget(budgets.get(model))
                .with_rates(rates.get(model).copied().unwrap_or_default());
            self.models.entry(model.clone()).or_default().push(Arc::new(line));
        }
    }

    /// The limits of a model, under all its names: whichever of them a client uses, none is passed by.
    pub(super) fn of_model(&self, names: &[Cow<'_, str>]) -> Lines {
        let mut found = Lines::new();
        if self.models.is_empty() {
            return found;
        }
        for line in names.iter().filter_map(|name| self.models.get(&**name)).flatten() {
            if !found.iter().any(|known| Arc::ptr_eq(known, line)) {
                found.push(line.clone());
            }
        }
        found
    }

    /// Whether the model has limits of its own.
    pub(super) fn binds_model(&self, names: &[Cow<'_, str>]) -> bool {
        !self.models.is_empty() && names.iter().any(|name| self.models.contains_key(&**name))
    }
}
