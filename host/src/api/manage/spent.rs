//! What somebody has spent, in the period that holds now.

use std::time::SystemTime;

use crate::accounts::Accounts;
use crate::keys::{Budget, Key, Team, User};
use crate::limits::{Scope, term};
use crate::money::Money;
use crate::store::{Edit, Total};

/// Something that is spent against, its budget, and what is to be said of that.
pub(in crate::api) struct Purse<'a> {
    scope: Scope,
    budget: Option<&'a Budget>,
}

impl<'a> Purse<'a> {
    pub(in crate::api) fn of_key(key: &'a Key) -> Self {
        Self { scope: Scope::Key(key.hash.to_string().into()), budget: key.quota.budget.as_ref() }
    }

    pub(in crate::api) fn of_user(user: &'a User) -> Self {
        Self { scope: Scope::User(user.id.as_str().into()), budget: user.quota.budget.as_ref() }
    }

    pub(in crate::api) fn of_team(team: &'a Team) -> Self {
        Self { scope: Scope::Team(team.id.as_str().into()), budget: team.quota.budget.as_ref() }
    }

    /// What is spent so far.
    pub(in crate::api) fn spent(&self, accounts: &Accounts, now: SystemTime) -> Money {
        accounts.limiter.spent(&self.scope, self.budget, now)
    }

    /// When there is another budget.
    pub(super) fn resets_at(&self, now: SystemTime) -> Option<SystemTime> {
        Some(term(self.budget?.period.as_ref()?, now)?.until)
    }

    /// Since when it is counted.
    pub(super) fn since(&self, now: SystemTime) -> Option<SystemTime> {
        Some(term(self.budget?.period.as_ref()?, now)?.since)
    }

    /// The change by which so much is spent from now on.
    pub(in crate::api) fn set(&self, spent: Money, now: SystemTime) -> Edit {
        Edit::SetSpend(Total { scope: self.scope.clone(), since: self.since(now), spent })
    }

    /// The same of something new, of which nobody has heard yet.
    pub(super) fn set_first(&self, accounts: &Accounts, spent: Money, now: SystemTime) {
        if spent != Money::ZERO {
            self.set_here(accounts, spent, now);
        }
    }

    /// The same, in this process: once the database has it.
    pub(in crate::api) fn set_here(&self, accounts: &Accounts, spent: Money, now: SystemTime) {
        accounts.limiter.set_spent(&self.scope, self.budget, spent, now);
    }
}
