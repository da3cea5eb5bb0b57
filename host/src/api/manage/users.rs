//! Users.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Managing;
use super::fields::{Fields, Given, wrong};
use super::fill;
use super::keys::{listed, plain_key};
use super::query::{Page, Query};
use super::spent::Purse;
use super::who::{exists, forbidden, not_found};
use crate::keys::{Member, Roster, Team, User};
use crate::money::Money;
use crate::pipeline::GatewayError;
use crate::store::Edit;

const MOST_A_PAGE: usize = 100;

impl Managing<'_> {
    /// `POST /user/new`: a user, and a key of its own unless `auto_create_key` is false.
    pub(super) async fn new_user(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_admin()?;
        let with_key = fields.flag("auto_create_key")?.value().unwrap_or(true);
        let teams = teams(&mut fields)?;
        for (name, value) in self.config.key_defaults.user.iter().filter(|(name, _)| *name != "available_teams") {
            fields.default_to(name, value);
        }
        let mut user = User { created_at: Some(self.now), updated_at: Some(self.now), ..User::default() };
        user.id = fields.text("user_id")?.value().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let (plain, key) = match with_key {
            true => {
                let plain = plain_key(&mut fields, "key")?;
                let of_key = of_key(&mut fields, &user.id);
                (plain.clone(), Some(self.new_key(&plain, of_key)?.0))
            }
            false => (String::new(), None),
        };
        let spend = fields.money("spend")?.value().unwrap_or_default();
        fields.take("send_invite_email");
        fill::user(&mut user, &mut fields, self.now)?;
        fill::extra(&mut user.extra, fields);
        let now = self.now;
        self.directory()
            .change(|roster| {
                is_free(&user, None, roster)?;
                let mut edits = vec![Edit::PutUser(Box::new(user.clone()))];
                if spend != Money::ZERO {
                    edits.push(Purse::of_user(&user).set(spend, now));
                }
                for (team_id, role) in &teams {
                    let team = roster
                        .team(team_id)
                        .ok_or_else(|| not_found("teams", format!("Team not found, passed team_id={team_id}")))?;
                    let mut team = Team::clone(team);
                    team.members.retain(|member| member.user_id != user.id);
                    team.members.push(Member { user_id: user.id.clone(), role: role.clone() });
                    edits.push(Edit::PutTeam(Box::new(team)));
                }
                if let Some(key) = &key {
                    super::own::may_hold(self.actor, key, None, roster)?;
                    super::keys::is_free(key, None, roster)?;
                    edits.push(Edit::PutKey(Box::new(key.clone())));
                }
                Ok::<_, GatewayError>((edits, ()))
            })
            .await?;
        Purse::of_user(&user).set_first(self.accounts, spend, now);
        self.actor.audit(&format!("made user {}", user.id));
        let mut view = match &key {
            Some(key) => super::view::object(self.told_once(key, &plain)),
            None => Map::new(),
        };
        view.extend(self.read(|roster| self.view().user(&user, roster)));
        view.entry("key").or_insert_with(|| json!(""));
        Ok(Value::Object(view))
    }

    /// `GET /user/info` and `GET /v2/user/info`
    pub(super) fn user_info(&self, query: &Query, alone: bool) -> Result<Value, GatewayError> {
        let id = query.text("user_id").or(self.actor.user_id());
        let Some(id) = id else {
            return Err(GatewayError::invalid(
                "user_id",
                "user_id is required. Either pass it as a query parameter or authenticate with a user-bound key.",
            ));
        };
        if !self.actor.sees_all() && self.actor.user_id() != Some(id) {
            return Err(forbidden(format!("key not allowed to access this user's info. user_id={id}")));
        }
        self.read(|roster| {
            let user = roster.user(id).ok_or_else(|| not_found("user_id", format!("User {id} not found")))?;
            let info = self.view().user(user, roster);
            if alone {
                return Ok(Value::Object(info));
            }
            let mut teams: Vec<&Arc<Team>> = roster.teams_of(id).collect();
            teams.sort_by(|one, other| (&one.alias, &one.id).cmp(&(&other.alias, &other.id)));
            Ok(json!({
                "user_id": id,
                "user_info": info,
                "keys": listed(self, roster.keys_of_user(id), roster),
                "teams": teams.into_iter().map(|team| self.view().team(team, roster)).collect::<Vec<_>>(),
            }))
        })
    }

    /// `POST /user/update`
    pub(super) async fn update_user(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_admin()?;
        let id = fields.text("user_id")?.value();
        let email = fields.peek("user_email").and_then(Value::as_str).map(str::to_owned);
        if id.is_none() && email.is_none() {
            return Err(GatewayError::invalid("user_id", "Either user id or user email must be provided"));
        }
        let spend = fields.money("spend")?;
        let now = self.now;
        let (user, spend) = self
            .directory()
            .change(|roster| {
                let found = match (&id, &email) {
                    (Some(id), _) => roster.user(id),
                    (None, Some(email)) => roster.user_with_email(email),
                    (None, None) => None,
                };
                let before = found.ok_or_else(|| {
                    let who = id.as_deref().or(email.as_deref()).unwrap_or_default();
                    not_found("user_id", format!("User {who} not found"))
                })?;
                let mut user = User::clone(before);
                fill::user(&mut user, &mut fields, now)?;
                fill::extra(&mut user.extra, fields);
                user.updated_at = Some(now);
                is_free(&user, Some(&before.id), roster)?;
                let (old, new) = (Purse::of_user(before), Purse::of_user(&user));
                let spend = match spend {
                    Given::Absent => (old.since(now) != new.since(now)).then(|| old.spent(self.accounts, now)),
                    given => Some(given.value().unwrap_or_default()),
                };
                let mut edits = vec![Edit::PutUser(Box::new(user.clone()))];
                edits.extend(spend.map(|spend| new.set(spend, now)));
                Ok::<_, GatewayError>((edits, (user, spend)))
            })
            .await?;
        if let Some(spend) = spend {
            Purse::of_user(&user).set_here(self.accounts, spend, now);
        }
        self.actor.audit(&format!("changed user {}", user.id));
        let data = self.read(|roster| self.view().user(&user, roster));
        Ok(json!({"user_id": user.id, "data": data}))
    }

    /// `POST /user/delete`: with their keys, and out of their teams.
    pub(super) async fn delete_users(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_admin()?;
        let mut ids = fields.texts("user_ids")?.value().filter(|ids| !ids.is_empty());
        let ids = ids.take().ok_or_else(|| GatewayError::missing("user_ids"))?;
        let now = self.now;
        self.directory()
            .change(|roster| {
                let mut edits = Vec::new();
                for id in &ids {
                    if roster.user(id).is_none() {
                        return Err(not_found("user_ids", format!("User not found, passed user_id={id}")));
                    }
                    edits.push(Edit::DeleteUser(id.clone()));
                    edits.extend(roster.keys_of_user(id).map(|caller| Edit::DeleteKey(caller.key.hash)));
                }
                for team in roster.teams().filter(|team| ids.iter().any(|id| team.member(id).is_some())) {
                    let mut team = Team { updated_at: Some(now), ..Team::clone(team) };
                    team.members.retain(|member| !ids.contains(&member.user_id));
                    edits.push(Edit::PutTeam(Box::new(team)));
                }
                Ok((edits, ()))
            })
            .await?;
        for id in &ids {
            self.actor.audit(&format!("deleted user {id} and its keys"));
        }
        Ok(json!(ids.len()))
    }

    /// `GET /user/list`
    pub(super) fn list_users(&self, query: &Query) -> Result<Value, GatewayError> {
        if !self.actor.sees_all() {
            return Err(self.actor.refused());
        }
        let page = query.number("page", 1, usize::MAX)?;
        let size = query.number("page_size", 25, MOST_A_PAGE)?;
        let search = query.text("search").map(str::to_lowercase);
        let email = query.text("user_email").map(str::to_lowercase);
        let ids: Option<Vec<&str>> = query.text("user_ids").map(|ids| ids.split(',').map(str::trim).collect());
        let (role, team) = (query.text("role"), query.text("team"));
        let has = |field: &str, part: &str| field.to_lowercase().contains(part);
        self.read(|roster| {
            let users = roster.users().filter(|user| {
                let own_email = user.email.as_deref().unwrap_or_default();
                role.is_none_or(|role| user.role.as_deref() == Some(role))
                    && team.is_none_or(|team| roster.team(team).is_some_and(|team| team.member(&user.id).is_some()))
                    && email.as_ref().is_none_or(|email| has(own_email, email))
                    && search.as_ref().is_none_or(|search| has(own_email, search) || has(&user.id, search))
                    && match ids.as_deref() {
                        None => true,
                        Some([one]) => has(&user.id, &one.to_lowercase()),
                        Some(ids) => ids.contains(&user.id.as_str()),
                    }
            });
            let mut users: Vec<&Arc<User>> = users.collect();
            users.sort_by(|one, other| (&other.created_at, &one.id).cmp(&(&one.created_at, &other.id)));
            let page_of_users = Page::of(users, page, size);
            let shown = page_of_users.items.iter().map(|user| {
                let mut view = self.view().user(user, roster);
                view.insert("key_count".to_owned(), json!(roster.keys_of_user(&user.id).count()));
                view
            });
            Ok(json!({
                "users": shown.collect::<Vec<_>>(),
                "total": page_of_users.total,
                "page": page,
                "page_size": size,
                "total_pages": page_of_users.pages,
            }))
        })
    }
}

/// What of a request for a user is about its key; the rest is about the user, whose limits bind the key too.
fn of_key(fields: &mut Fields, user_id: &str) -> Fields {
    let mut of_key = Map::from_iter([("user_id".to_owned(), json!(user_id))]);
    for name in ["key_alias", "duration", "team_id", "aliases", "config", "permissions", "blocked", "allowed_routes"] {
        if let Given::Is(value) = fields.take(name) {
            of_key.insert(name.to_owned(), value);
        }
    }
    Fields::of(of_key)
}

/// `["team"]`, or `[{"team_id": "team", "user_role": "admin"}]`.
fn teams(fields: &mut Fields) -> Result<Vec<(String, String)>, GatewayError> {
    let mut teams = Vec::new();
    if let Some(Value::String(id)) = fields.peek("team_id") {
        teams.push((id.clone(), "user".to_owned()));
    }
    let Given::Is(value) = fields.take("teams") else { return Ok(teams) };
    let Value::Array(list) = value else { return Err(wrong("teams", "a list")) };
    for value in list {
        let (id, role) = match value {
            Value::String(id) => (id, "user".to_owned()),
            value => {
                let mut team = Fields::of(super::fields::object("teams", value)?);
                super::teams::refuse_budgets_of_members(&team)?;
                let role = team.text("user_role")?.value().unwrap_or_else(|| "user".to_owned());
                (team.needed_text("team_id")?, role)
            }
        };
        if !matches!(role.as_str(), "admin" | "user") {
            return Err(wrong("teams.user_role", "admin or user"));
        }
        if !teams.iter().any(|(other, _)| *other == id) {
            teams.push((id, role));
        }
    }
    Ok(teams)
}

/// That nobody else has its id or its address.
fn is_free(user: &User, itself: Option<&str>, roster: &Roster) -> Result<(), GatewayError> {
    if itself.is_none() && roster.user(&user.id).is_some() {
        return Err(exists("user_id", format!("User with id {} already exists", user.id)));
    }
    let other = user.email.as_deref().and_then(|email| roster.user_with_email(email));
    match other.filter(|other| Some(other.id.as_str()) != itself) {
        Some(_) => Err(exists("user_email", "User with this email already exists")),
        None => Ok(()),
    }
}
