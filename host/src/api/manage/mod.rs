//! Keys, users and teams: `/key/*`, `/user/*`, `/team/*`, as LiteLLM has them.
//!
//! A request's fields are read one by one (`fields`), into what is stored (`fill`); what nobody here knows is kept, and
//! shown (`view`) as it came. Every change is one of the directory: decided upon what everybody is now, written to the
//! database, and met by calls when the answer is out.

mod fields;
mod fill;
mod key_list;
mod keys;
mod members;
mod own;
mod query;
mod route;
mod spent;
mod teams;
mod users;
mod view;
mod who;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, Response, StatusCode};
use serde_json::Value;

use super::upload::Upload;
use super::{Body, Gateway, respond};
use crate::accounts::Accounts;
use crate::auth::Principal;
use crate::config::Config;
use crate::keys::{AccountError, Directory, KeyHash, Roster};
use crate::pipeline::GatewayError;
use crate::reload::State;
use fields::Fields;
use query::Query;
pub(super) use route::{Route, find};
pub(super) use spent::Purse;
pub(super) use view::{View, moment};
use who::Actor;

/// One request of somebody who manages.
#[derive(Clone, Copy)]
struct Managing<'a> {
    accounts: &'a Accounts,
    config: &'a Config,
    actor: Actor<'a>,
    now: SystemTime,
}

impl<'a> Managing<'a> {
    fn directory(&self) -> &'a Directory {
        &self.accounts.directory
    }

    fn read<T>(&self, look: impl FnOnce(&Roster) -> T) -> T {
        self.directory().read(look)
    }

    fn view(&self) -> View<'a> {
        View { accounts: self.accounts, now: self.now }
    }
}

/// Answers such a request.
pub(super) async fn answer(
    gateway: &Gateway,
    state: &State,
    who: &Principal,
    route: Route,
    request: Request<Upload>,
) -> Result<Response<Body>, GatewayError> {
    let accounts = &*gateway.live.accounts;
    let config = &*state.pipeline.config;
    if !accounts.directory.has_store() {
        return Err(AccountError::NoDatabase.into());
    }
    let path = route.path();
    let managing = Managing { accounts, config, actor: Actor::new(who, &path), now: now() };
    let query = Query::of(request.uri().query());
    let answer = if route.only_tells() {
        tell(managing, &route, &query)?
    } else {
        change(managing, route, Fields::read(request, config).await?).await?
    };
    Ok(respond::json(StatusCode::OK, &answer))
}

fn tell(managing: Managing<'_>, route: &Route, query: &Query) -> Result<Value, GatewayError> {
    match route {
        Route::KeyList => managing.list_keys(query),
        Route::KeyAliases => managing.key_aliases(query),
        Route::UserInfo => managing.user_info(query, false),
        Route::UserInfoAlone => managing.user_info(query, true),
        Route::UserList => managing.list_users(query),
        Route::TeamInfo => managing.team_info(query),
        Route::TeamList => managing.list_teams(query, false),
        Route::TeamPages => managing.list_teams(query, true),
        _ => managing.key_info(query),
    }
}

async fn change(managing: Managing<'_>, route: Route, fields: Fields) -> Result<Value, GatewayError> {
    match route {
        Route::KeyGenerate => managing.generate_key(fields).await,
        Route::KeyUpdate => managing.update_key(fields).await,
        Route::KeyDelete => managing.delete_keys(fields).await,
        Route::KeyBlock { blocked } => managing.block_key(fields, blocked).await,
        Route::KeyRegenerate(named) => managing.regenerate_key(named.as_deref(), fields).await,
        Route::KeyResetSpend(named) => managing.reset_spend(&named, fields).await,
        Route::UserNew => managing.new_user(fields).await,
        Route::UserUpdate => managing.update_user(fields).await,
        Route::UserDelete => managing.delete_users(fields).await,
        Route::TeamNew => managing.new_team(fields).await,
        Route::TeamUpdate => managing.update_team(fields).await,
        Route::TeamDelete => managing.delete_teams(fields).await,
        Route::TeamBlock { blocked } => managing.block_team(fields, blocked).await,
        Route::MemberAdd => managing.add_members(fields).await,
        Route::MemberDelete => managing.delete_member(fields).await,
        _ => managing.key_infos(fields),
    }
}

/// To the millisecond, as the database keeps it: what is told now is what is told tomorrow.
fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A key's hash, of the key or of its hash in hexadecimal.
fn hash_of(named: &str) -> KeyHash {
    KeyHash::parse(named).unwrap_or_else(|| KeyHash::of(named.as_bytes()))
}
