//! What somebody may manage. LiteLLM's rules in short: the master key and users who are `proxy_admin` may do all,
//! `proxy_admin_viewer` sees all, an admin of a team looks after its keys and members, an `internal_user` after keys of
//! its own, and a key sees itself.

use std::sync::Arc;

use crate::auth::Principal;
use crate::keys::{AccountError, Caller, Denied, INTERNAL_USER, Key, KeyKind, Quota, Roster, Team};
use crate::pipeline::GatewayError;

/// LiteLLM's name for whoever has the master key.
const MASTER: &str = "default_user_id";

/// Somebody who manages, at one route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor<'a> {
    who: &'a Principal,
    /// For what is told of a refusal, and in the log.
    pub(super) path: &'a str,
}

impl<'a> Actor<'a> {
    pub(super) fn new(who: &'a Principal, path: &'a str) -> Self {
        Self { who, path }
    }

    pub(super) fn is_admin(&self) -> bool {
        self.who.is_admin()
    }

    pub(super) fn sees_all(&self) -> bool {
        self.who.sees_all()
    }

    /// The key that it comes with, if it isn't the master key.
    pub(super) fn caller(&self) -> Option<&'a Arc<Caller>> {
        match self.who {
            Principal::Key(caller) => Some(caller),
            Principal::Admin | Principal::Anyone => None,
        }
    }

    pub(super) fn user_id(&self) -> Option<&'a str> {
        self.caller()?.key.user_id.as_deref()
    }

    /// `created_by`.
    pub(super) fn name(&self) -> String {
        match self.caller() {
            None => MASTER.to_owned(),
            Some(caller) => caller.key.user_id.clone().unwrap_or_else(|| caller.key.name.clone()),
        }
    }

    fn role(&self) -> &'a str {
        self.caller().and_then(|caller| caller.role()).unwrap_or("unknown")
    }

    /// That it is an administrator.
    pub(super) fn needs_admin(&self) -> Result<(), GatewayError> {
        if self.is_admin() { Ok(()) } else { Err(self.refused()) }
    }

    /// That it is an administrator, or a user who may look after keys of its own. A `user_id` that is nobody's is only
    /// what somebody has written on a key.
    pub(super) fn needs_user(&self) -> Result<(), GatewayError> {
        let user = self.caller().and_then(|caller| caller.user.as_deref());
        let is_internal = user.is_some_and(|user| user.role.as_deref().is_none_or(|role| role == INTERNAL_USER));
        if self.is_admin() || is_internal { Ok(()) } else { Err(self.refused()) }
    }

    /// The same for whoever makes or changes keys: with a key that has no limits of its own, for these would be gone with
    /// the first key that it makes.
    pub(super) fn needs_own_keys(&self) -> Result<(), GatewayError> {
        self.needs_user()?;
        match self.caller() {
            Some(caller) if !self.is_admin() && is_limited(&caller.key) => Err(forbidden(
                "A key with limits of its own (models, budgets, rates, routes, an end) makes and changes no keys: use one of \
                 the user's that has none. Limits of a user bind all of its keys.",
            )),
            _ => Ok(()),
        }
    }

    /// LiteLLM's answer to whoever isn't an administrator.
    pub(super) fn refused(&self) -> GatewayError {
        Denied::AdminOnly { route: self.path.to_owned(), role: self.role().to_owned() }.into()
    }

    /// The team that it stays in, whatever else its user may do: its key is that team's.
    pub(super) fn own_team(&self) -> Option<&'a str> {
        self.caller().filter(|_| !self.is_admin())?.key.team_id.as_deref()
    }

    /// Whether what it makes and changes may be of this team, or of none.
    pub(super) fn reaches(&self, team_id: Option<&str>) -> bool {
        self.own_team().is_none_or(|own| Some(own) == team_id)
    }

    /// Whether it is an admin of the team.
    pub(super) fn leads(&self, team: &Team) -> bool {
        self.reaches(Some(&team.id))
            && self.user_id().and_then(|id| team.member(id)).is_some_and(|member| member.role == "admin")
    }

    /// Whether it is a member of the team, or has one of its keys.
    pub(super) fn is_in(&self, team: &Team) -> bool {
        let has_key = self.caller().is_some_and(|caller| caller.key.team_id.as_deref() == Some(team.id.as_str()));
        has_key || self.user_id().is_some_and(|id| team.member(id).is_some())
    }

    /// Whether it may know of the key.
    pub(super) fn sees(&self, key: &Key, roster: &Roster) -> bool {
        let team = || key.team_id.as_deref().and_then(|id| roster.team(id));
        self.sees_whole(key, roster) || team().is_some_and(|team| self.is_in(team))
    }

    /// Whether it may know all of it, not only that it is there, whose it is and what binds it.
    pub(super) fn sees_whole(&self, key: &Key, roster: &Roster) -> bool {
        let is_itself = self.caller().is_some_and(|caller| caller.key.hash == key.hash);
        self.sees_all() || is_itself || self.owns(key) || self.leads_team_of(key, roster)
    }

    /// Whether the key is one of its user's.
    pub(super) fn owns(&self, key: &Key) -> bool {
        key.user_id.is_some() && key.user_id.as_deref() == self.user_id()
    }

    /// Whether it leads the team that the key is of.
    pub(super) fn leads_team_of(&self, key: &Key, roster: &Roster) -> bool {
        key.team_id.as_deref().and_then(|id| roster.team(id)).is_some_and(|team| self.leads(team))
    }

    /// One line in the log for each thing that is changed: by whom, what, whose. Never a key.
    pub(super) fn audit(&self, changed: &str) {
        let key = self.caller().map(|caller| caller.key.name.as_str());
        tracing::info!(by = self.name(), with = key.unwrap_or("the master key"), route = self.path, changed, "managed");
    }
}

fn is_limited(key: &Key) -> bool {
    let has_list =
        key.models.iter().any(|model| !matches!(model.as_str(), "*" | "all-proxy-models" | "all-team-models"));
    has_list
        || key.quota != Quota::default()
        || !key.model_budgets.is_empty()
        || !key.model_rates.is_empty()
        || key.expires.is_some()
        || !key.allowed_routes.is_empty()
        || key.kind != KeyKind::Default
}

/// That something isn't allowed to whoever asks, although the route is.
pub(super) fn forbidden(message: impl Into<String>) -> GatewayError {
    AccountError::Forbidden(message.into()).into()
}

/// That there is no such thing.
pub(super) fn not_found(param: &'static str, message: impl Into<String>) -> GatewayError {
    AccountError::NotFound { param, message: message.into() }.into()
}

/// That there is one already.
pub(super) fn exists(param: &'static str, message: impl Into<String>) -> GatewayError {
    AccountError::Exists { param, message: message.into() }.into()
}
