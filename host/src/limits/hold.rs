//! What a call has reserved, from its first deployment to its last byte.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use super::claim::End;
use super::line::{Line, Lines};
use super::part::{Demand, Part};
use super::plan::Plan;
use super::{Ask, Charges, Estimate, Limiter, Rate, Refused, Scope, Spent, Standing};
use crate::config::Budgets;
use crate::money::Money;

/// What a call has reserved. Dropped, it gives all of it back.
#[derive(Debug)]
pub struct Hold {
    limiter: Arc<Limiter>,
    plan: Option<Arc<Plan>>,
    budgets: Arc<Budgets>,
    at: SystemTime,
    /// The gateway's budget.
    gateway: Option<Arc<Line>>,
    /// Limits of the model that is asked at present.
    model: Lines,
    /// What is taken of the caller's own limits, and the gateway's.
    own: Option<Box<Part>>,
    /// What is taken of the limits of a fallback.
    of_fallback: Option<Box<Part>>,
    /// Another model was asked after the first.
    has_passed_on: bool,
    /// Money was claimed, or would have been: the call isn't a free one.
    pays: bool,
}

// === impl Hold ===

impl Hold {
    pub(super) fn new(limiter: Arc<Limiter>, plan: Option<Arc<Plan>>, budgets: Arc<Budgets>, at: SystemTime) -> Self {
        let gateway = budgets.gateway.map(|allowance| {
            let line = Line::new(limiter.counters.account(&Scope::Gateway), "".into());
            Arc::new(Line { allowance: Some(allowance), ..line })
        });
        let (model, own, of_fallback) = (Lines::new(), None, None);
        Self { limiter, plan, budgets, at, gateway, model, own, of_fallback, has_passed_on: false, pays: false }
    }

    /// Takes what the call may come to of the caller's limits, with those of the model or without.
    pub(super) async fn enter(mut self, ask: &Ask<'_>, with_model: bool) -> Result<Self, Refused> {
        let model = if with_model { self.lines_of_model(ask) } else { Lines::new() };
        let mut demand = Demand::default();
        self.add_money(&mut demand, &ask.estimate, &model);
        demand.rates(self.owners(), &ask.estimate);
        demand.rates(&model, &ask.estimate);
        self.own = self.limiter.take(demand, ask, &self.budgets).await?;
        self.pays = !ask.estimate.is_free;
        self.model = model;
        Ok(self)
    }

    /// Another model is asked: its limits take the place of those of the one before. What was asked of that one stays
    /// counted as a request, and nothing else of it.
    ///
    /// # Errors
    /// A limit of that model's stands against it, or it costs money and there is none left. Nothing is taken of it then.
    pub async fn fall_back(&mut self, ask: &Ask<'_>) -> Result<(), Refused> {
        if let Some(part) = self.of_fallback.take() {
            part.settle(End::Settled { tokens: 0, cost: Money::ZERO });
        }
        self.model = Lines::new();
        self.has_passed_on = true;
        let model = self.lines_of_model(ask);
        let pays = !ask.estimate.is_free;
        let mut demand = Demand::default();
        if pays && !self.pays {
            self.add_money(&mut demand, &ask.estimate, &model);
        } else if pays {
            demand.money(&model, self.reserved_money(&ask.estimate), self.at, self.limiter.shared.get().is_some());
        }
        demand.rates(&model, &ask.estimate);
        self.of_fallback = self.limiter.take(demand, ask, &self.budgets).await?;
        self.pays |= pays;
        self.model = model;
        Ok(())
    }

    /// Whether a fallback has limits to be looked at.
    pub fn binds_fallback(&self, names: &[Cow<'_, str>]) -> bool {
        let owners_pay = || self.gateway.iter().chain(self.owners()).any(|line| line.allowance.is_some());
        let of_model = self.plan.as_ref().is_some_and(|plan| plan.binds_model(names));
        of_model || self.of_fallback.is_some() || !self.model.is_empty() || (!self.pays && owners_pay())
    }

    /// How the limits on rates stood when the call was let in, each of what, the limit, and what is used of it.
    pub fn rates(&self) -> impl Iterator<Item = (Rate, u64, Standing)> {
        self.own.iter().chain(&self.of_fallback).flat_map(|part| part.rates())
    }

    /// The call is over: what it used counts, the rest is given back. Tells whom it counts against.
    pub fn settle(mut self, spent: Spent<'_>) -> Charges {
        let tokens = spent.usage.map_or(0, |usage| usage.prompt_tokens.saturating_add(usage.completion_tokens));
        let cost = spent.cost.unwrap_or_default();
        let (own, of_fallback) = (self.own.take(), self.of_fallback.take());
        let passed_on = self.has_passed_on;
        let claimed = |line: &Line| {
            let first = own.iter().filter(|_| !(passed_on && matches!(line.scope(), Scope::Model(..))));
            first.chain(&of_fallback).any(|part| part.has_money_of(line))
        };
        let mut charges = Charges::new();
        for line in self.gateway.iter().chain(self.owners()).chain(&self.model) {
            let is_counted = line.allowance.is_some() || !matches!(line.scope(), Scope::Model(..));
            if !is_counted {
                continue;
            }
            let since = line.since(self.at);
            if !claimed(line) {
                line.account.lock().settle(since, 0, cost.pico());
            }
            charges.push((line.scope().clone(), since));
        }
        charges.extend(self.limiter.charge_funds(&self.budgets, spent.served_by, cost, self.at));
        let settled = End::Settled { tokens, cost };
        if let Some(own) = own {
            own.settle(if passed_on { End::PassedOn { tokens, cost } } else { settled });
        }
        if let Some(part) = of_fallback {
            part.settle(settled);
        }
        self.warn();
        charges
    }

    /// Tells the operator, once in a period, that a soft budget is passed.
    fn warn(&self) {
        for line in self.owners() {
            let Some(soft) = line.soft else { continue };
            let since = line.since(self.at);
            let mut state = line.account.lock();
            if state.passes(since, soft.pico()) {
                let spent = Money::from_pico(state.spent(since));
                drop(state);
                tracing::warn!(key = &*line.whose, %spent, soft_budget = %soft, "a key has passed its soft budget");
            }
        }
    }

    fn add_money(&self, demand: &mut Demand, estimate: &Estimate, model: &[Arc<Line>]) {
        if estimate.is_free {
            return;
        }
        let (amount, knows) = (self.reserved_money(estimate), self.limiter.shared.get().is_some());
        demand.money(self.gateway.as_slice(), amount, self.at, knows);
        demand.money(self.owners(), amount, self.at, knows);
        demand.money(model, amount, self.at, knows);
    }

    fn reserved_money(&self, estimate: &Estimate) -> Money {
        estimate.cost.filter(|_| self.budgets.reserves).unwrap_or_default().max(Money::ZERO)
    }

    fn owners(&self) -> &[Arc<Line>] {
        self.plan.as_ref().map_or(&[], |plan| &plan.owners)
    }

    fn lines_of_model(&self, ask: &Ask<'_>) -> Lines {
        self.plan.as_ref().map(|plan| plan.of_model(ask.names)).unwrap_or_default()
    }
}
