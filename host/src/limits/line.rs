//! Whom a call counts against, and what binds it there.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;

use super::account::Account;
use super::{Scope, Span, Term};
use crate::keys::{Budget, Quota, Rates};
use crate::money::Money;

/// Lines of one call.
pub(super) type Lines = SmallVec<[Arc<Line>; 6]>;

/// One that a call counts against.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) account: Arc<Account>,
    /// What people know it by.
    pub(super) whose: Arc<str>,
    pub(super) requests: Option<u64>,
    pub(super) tokens: Option<u64>,
    pub(super) parallel: Option<u64>,
    pub(super) allowance: Option<Allowance>,
    /// Above it somebody is told.
    pub(super) soft: Option<Money>,
}

/// A budget that is ready to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The money.
    pub max: Money,
    /// How long it is for, and when the first period began; `None`: for good.
    pub period: Option<(Span, SystemTime)>,
}

// === impl Line ===

impl Line {
    pub(super) fn new(account: Arc<Account>, whose: Arc<str>) -> Self {
        Self { account, whose, requests: None, tokens: None, parallel: None, allowance: None, soft: None }
    }

    pub(super) fn with_quota(self, quota: &Quota) -> Self {
        let parallel = quota.parallel.map(u64::from);
        Self { parallel, ..self.with_rates(quota.rates).with_budget(quota.budget.as_ref()) }
    }

    pub(super) fn with_rates(self, Rates { requests, tokens }: Rates) -> Self {
        Self { requests, tokens, ..self }
    }

    pub(super) fn with_budget(self, budget: Option<&Budget>) -> Self {
        Self { allowance: budget.map(Allowance::of), ..self }
    }

    /// Whether anything of it stands against calls.
    pub(super) fn binds(&self) -> bool {
        self.requests.is_some() || self.tokens.is_some() || self.parallel.is_some() || self.allowance.is_some()
    }

    /// When what is spent at `at` began to be counted.
    pub(super) fn since(&self, at: SystemTime) -> Option<SystemTime> {
        self.allowance.and_then(|allowance| allowance.since(at))
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.account.scope
    }
}

// === impl Allowance ===

impl Allowance {
    /// Of a budget; a period whose length can't be read is none.
    pub fn of(budget: &Budget) -> Self {
        let period = budget.period.as_ref().and_then(|period| Some((Span::parse(&period.text).ok()?, period.since)));
        Self { max: budget.max, period }
    }

    /// The period that holds.
    pub fn term(&self, at: SystemTime) -> Option<Term> {
        self.period.map(|(span, first)| Term::of(span, first, at))
    }

    /// When it began.
    pub fn since(&self, at: SystemTime) -> Option<SystemTime> {
        self.term(at).map(|term| term.since)
    }

    /// How long until there is money again.
    pub(super) fn resets_in(&self, at: SystemTime) -> Option<Duration> {
        self.term(at).map(|term| term.until.duration_since(at).unwrap_or_default())
    }
}
