//! What somebody who is no administrator may do with keys.

use super::fields::Fields;
use super::who::{Actor, forbidden, not_found};
use crate::keys::{INTERNAL_USER, INTERNAL_USER_VIEWER, Key, Roster};
use crate::pipeline::GatewayError;

/// What only an administrator says of a key that is there, or somebody who leads its team: a key's owner may not lift what
/// somebody has laid on it.
const ADMINS: [&str; 13] = [
    "max_budget",
    "soft_budget",
    "budget_duration",
    "model_max_budget",
    "tpm_limit",
    "rpm_limit",
    "model_tpm_limit",
    "model_rpm_limit",
    "max_parallel_requests",
    "blocked",
    "permissions",
    "organization_id",
    "allowed_routes",
];

/// Of a new key, too.
const ADMINS_OF_NEW: [&str; 3] = ["permissions", "organization_id", "blocked"];

/// That a key of one's own is made or changed in nothing that is an administrator's.
pub(super) fn may_set(fields: &Fields, is_new: bool) -> Result<(), GatewayError> {
    let closed: &[&str] = if is_new { &ADMINS_OF_NEW } else { &ADMINS };
    let is_closed = |name: &&str| closed.contains(name) && (!is_new || fields.peek(name).is_some());
    if let Some(name) = fields.names().find(is_closed) {
        return Err(forbidden(format!("Only proxy admins can set '{name}' of a key.")));
    }
    let kind = fields.peek("key_type").and_then(|kind| kind.as_str());
    let routes = fields.peek("allowed_routes").and_then(|routes| routes.as_array());
    let is_safe = |route: &serde_json::Value| matches!(route.as_str(), Some("llm_api_routes" | "info_routes"));
    if routes.is_some_and(|routes| !routes.iter().all(is_safe)) || kind == Some("management") {
        return Err(forbidden("Only proxy admins can make keys for other routes than llm_api_routes and info_routes."));
    }
    // Metadata has limits of models in it, as LiteLLM keeps them.
    let metadata = fields.peek("metadata").and_then(|metadata| metadata.as_object());
    let limits = ["model_rpm_limit", "model_tpm_limit"];
    if !is_new && metadata.is_some_and(|metadata| limits.iter().any(|name| metadata.contains_key(*name))) {
        return Err(forbidden("Only proxy admins can set limits of a key."));
    }
    Ok(())
}

/// That a new key is for whoever makes it, or for a team that it leads.
pub(super) fn may_generate(actor: Actor<'_>, key: &mut Key, roster: &Roster) -> Result<(), GatewayError> {
    if !actor.is_admin() && key.user_id.is_none() {
        key.user_id = actor.user_id().map(str::to_owned);
    }
    if key.team_id.is_none() {
        key.team_id = actor.own_team().map(str::to_owned);
    }
    may_hold(actor, key, None, roster)
}

/// That a key is somebody's who may have it, in a team that there is and that it may be in.
pub(super) fn may_hold(actor: Actor<'_>, key: &Key, before: Option<&Key>, roster: &Roster) -> Result<(), GatewayError> {
    let is_new_team = before.is_none_or(|before| before.team_id != key.team_id);
    let team = match &key.team_id {
        Some(id) if is_new_team => Some(roster.team(id).ok_or_else(|| {
            not_found("team_id", format!("Team doesn't exist in db. Team={id}. Create team via `/team/new` call."))
        })?),
        Some(id) => roster.team(id),
        None => None,
    };
    if actor.is_admin() {
        return Ok(());
    }
    // Out of reach of the team's limits would be out of those of the key.
    if !actor.reaches(key.team_id.as_deref()) {
        return Err(forbidden("A key of a team makes and changes keys of that team only."));
    }
    if is_new_team
        && let Some(team) = team
        && actor.user_id().is_none_or(|id| team.member(id).is_none())
    {
        return Err(forbidden(format!("User={} is not a member of the team={}.", actor.name(), team.id)));
    }
    // Out of its team a key would be out of the team's limits.
    if is_new_team && before.is_some_and(|before| before.team_id.is_some()) {
        return Err(forbidden("Only proxy admins can take a key out of its team."));
    }
    let is_led = team.is_some_and(|team| actor.leads(team));
    let is_same_user = before.is_some_and(|before| before.user_id == key.user_id);
    if actor.owns(key) || (is_led && is_same_user) {
        return Ok(());
    }
    // A key does what its user may: whoever leads a team gives none away that does more than its own.
    if is_led && before.is_none() && key.user_id.as_deref().is_none_or(|id| is_plain_user(id, roster)) {
        return Ok(());
    }
    let whose = key.user_id.as_deref().unwrap_or("nobody");
    Err(forbidden(format!("User can only create keys for themselves. Got user_id={whose}, Your ID={}", actor.name())))
}

/// What is told of a key that isn't there: to who may not know of all keys the same as of one that is another's.
pub(super) fn no_such_key(actor: Actor<'_>, message: &str) -> GatewayError {
    if actor.is_admin() { not_found("key", message) } else { forbidden(NOT_YOURS) }
}

const NOT_YOURS: &str = "You are not authorized to change this key";

/// That it may change the key at all.
pub(super) fn may_change(actor: Actor<'_>, key: &Key, roster: &Roster) -> Result<(), GatewayError> {
    if actor.is_admin() || (actor.owns(key) && actor.reaches(key.team_id.as_deref())) {
        return Ok(());
    }
    let role = key.user_id.as_deref().and_then(|id| roster.user(id)).and_then(|user| user.role.as_deref());
    if actor.leads_team_of(key, roster) && is_plain(role) {
        return Ok(());
    }
    Err(forbidden(NOT_YOURS))
}

/// Whether it may end the key.
pub(super) fn may_delete(actor: Actor<'_>, key: &Key, roster: &Roster) -> bool {
    let is_own = actor.owns(key) && actor.reaches(key.team_id.as_deref());
    actor.is_admin() || is_own || actor.leads_team_of(key, roster)
}

/// That it may have another secret for the key: whoever leads a team would have its members' rights by one.
pub(super) fn may_regenerate(actor: Actor<'_>, key: &Key, roster: &Roster) -> Result<(), GatewayError> {
    may_change(actor, key, roster)?;
    if actor.is_admin() || actor.owns(key) || key.user_id.is_none() {
        return Ok(());
    }
    Err(forbidden("Only proxy admins can regenerate a key of another user."))
}

/// Whether there is such a user, and it is no administrator. One that is still to be made may become anything.
fn is_plain_user(id: &str, roster: &Roster) -> bool {
    roster.user(id).is_some_and(|user| is_plain(user.role.as_deref()))
}

fn is_plain(role: Option<&str>) -> bool {
    matches!(role, None | Some(INTERNAL_USER | INTERNAL_USER_VIEWER))
}
