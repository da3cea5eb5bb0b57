//! What the database knows of the same money, and what others ask of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Allowance, Limiter, Scope};
use crate::keys::{Budget, Caller};
use crate::money::Money;
use crate::store::Total;

impl Limiter {
    /// What the database says is spent, at the start and whenever it is read again. It has to be read while no batch of
    /// ours is under way, so that it holds what [`Limiter::written`] was told of and nothing else of ours; what calls have
    /// cost since then is added here.
    pub fn know(&self, totals: &[Total]) {
        for Total { scope, since, spent } in totals {
            // Nothing is what everybody has spent who isn't known.
            match self.counters.find(scope) {
                Some(account) => account.lock().known(*since, spent.pico()),
                None if *spent == Money::ZERO => {}
                None => self.counters.account(scope).lock().known(*since, spent.pico()),
            }
        }
    }

    /// The database holds these calls of ours from now on.
    pub fn written(&self, totals: &[Total]) {
        for Total { scope, since, spent } in totals {
            if let Some(account) = self.counters.find(scope) {
                account.lock().written(*since, spent.pico());
            }
        }
    }

    /// What somebody has spent: in the period that holds at `at`, where its budget has one.
    pub fn spent(&self, scope: &Scope, budget: Option<&Budget>, at: SystemTime) -> Money {
        self.spent_of(scope, budget.map(Allowance::of), at)
    }

    /// The same of a budget that the configuration names.
    pub fn spent_of(&self, scope: &Scope, budget: Option<Allowance>, at: SystemTime) -> Money {
        let since = budget.and_then(|allowance| allowance.since(at));
        self.counters.find(scope).map_or(Money::ZERO, |account| Money::from_pico(account.lock().spent(since)))
    }

    /// What a caller's key has spent, in the period that holds at `at`.
    pub fn key_spend(&self, caller: &Arc<Caller>, at: SystemTime) -> Money {
        let plan = caller.tab.plan(caller, &self.counters);
        let key = plan.owners.iter().find(|line| matches!(line.scope(), Scope::Key(_)));
        key.map_or(Money::ZERO, |line| Money::from_pico(line.account.lock().spent(line.since(at))))
    }

    /// Somebody has spent so much from now on: `/key/{key}/reset_spend`, or `spend` in an update. The database is told by
    /// whoever calls this.
    pub fn set_spent(&self, scope: &Scope, budget: Option<&Budget>, spent: Money, at: SystemTime) {
        let since = budget.map(Allowance::of).and_then(|allowance| allowance.since(at));
        self.counters.account(scope).lock().set(since, spent.pico());
        if let Some(sharing) = self.shared.get() {
            sharing.counters.set_spent(scope, since, spent);
        }
    }

    /// These are gone, and whoever gets the name of one later has spent nothing. Their accounts go when no call has them
    /// any more. `for_all`: it is for this gateway to tell the others with which it counts.
    pub fn begin_anew(&self, owners: &HashSet<Scope>, for_all: bool) {
        if owners.is_empty() {
            return;
        }
        for account in self.counters.of_all(owners) {
            let terms = account.lock().begin_anew();
            if for_all && let Some(sharing) = self.shared.get() {
                terms.into_iter().for_each(|since| sharing.counters.set_spent(&account.scope, since, Money::ZERO));
            }
        }
    }

    /// Forgets who was not heard of for a while and has nothing that counts; to be called now and then.
    pub fn tidy(&self) {
        self.counters.tidy(Instant::now());
    }
}
