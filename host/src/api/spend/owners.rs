//! `GET /spend/keys` and `/spend/users`: everybody there is, the dearest first, as they are in the directory.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::SystemTime;

use http::Response;
use serde_json::Value;

use super::super::Body;
use super::super::manage::{Purse, View};
use super::asked::Asked;
use super::table::{Cell, Table};
use crate::keys::{AccountError, Caller, User};
use crate::money::Money;
use crate::pipeline::GatewayError;

/// Keys, with what they have spent in the period that holds.
pub(super) fn keys(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let user = asked.sight()?;
    let (view, directory) = view(asked)?;
    let mut keys: Vec<(Money, Arc<Caller>)> = directory.read(|roster| match &user {
        Some(user) => roster.keys_of_user(user).map(|caller| (Money::ZERO, caller.clone())).collect(),
        None => roster.keys().map(|caller| (Money::ZERO, caller.clone())).collect(),
    });
    for (spent, caller) in &mut keys {
        *spent = Purse::of_key(&caller.key).spent(asked.accounts, view.now);
    }
    keys.sort_by_key(|(spent, caller)| (Reverse(*spent), caller.key.hash));
    let table = || {
        let line = |(spent, caller): &(Money, Arc<Caller>)| {
            let key = &caller.key;
            let texts = [key.alias.clone(), Some(key.name.clone()), key.user_id.clone(), key.team_id.clone()];
            let mut cells = vec![Cell::Text(key.hash.to_string())];
            cells.extend(texts.map(Cell::from));
            cells.extend([money(Some(*spent)), money(key.quota.budget.as_ref().map(|budget| budget.max))]);
            cells
        };
        Table {
            name: "keys",
            columns: &["token", "key_alias", "key_name", "user_id", "team_id", "spend", "max_budget"],
            lines: keys.iter().map(line).collect(),
        }
    };
    Ok(asked.answer(|| keys.iter().map(|(_, caller)| Value::Object(view.key(&caller.key))).collect(), table))
}

/// Users, with what they have spent in the period that holds.
pub(super) fn users(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let wanted = asked.user()?;
    let (view, directory) = view(asked)?;
    let mut users: Vec<(Money, Arc<User>)> = directory.read(|roster| match &wanted {
        Some(id) => roster.user(id).map(|user| (Money::ZERO, user.clone())).into_iter().collect(),
        None => roster.users().map(|user| (Money::ZERO, user.clone())).collect(),
    });
    for (spent, user) in &mut users {
        *spent = Purse::of_user(user).spent(asked.accounts, view.now);
    }
    users.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.id.cmp(&other.id)));
    let table = || {
        let line = |(spent, user): &(Money, Arc<User>)| {
            let texts = [Some(user.id.clone()), user.alias.clone(), user.email.clone(), user.role.clone()];
            let mut cells: Vec<Cell> = texts.map(Cell::from).into();
            cells.extend([money(Some(*spent)), money(user.quota.budget.as_ref().map(|budget| budget.max))]);
            cells
        };
        Table {
            name: "users",
            columns: &["user_id", "user_alias", "user_email", "user_role", "spend", "max_budget"],
            lines: users.iter().map(line).collect(),
        }
    };
    // One look for each: nobody who manages waits for all of them.
    let object = |(_, user): &(Money, Arc<User>)| Value::Object(directory.read(|roster| view.user(user, roster)));
    Ok(asked.answer(|| users.iter().map(object).collect(), table))
}

fn view<'a>(asked: &Asked<'a>) -> Result<(View<'a>, &'a crate::keys::Directory), GatewayError> {
    let accounts = asked.accounts;
    if !accounts.directory.has_store() {
        return Err(AccountError::NoDatabase.into());
    }
    Ok((View { accounts, now: SystemTime::now() }, &accounts.directory))
}

fn money(money: Option<Money>) -> Cell {
    money.map_or(Cell::Nothing, |money| Cell::Money(money.pico().into()))
}
