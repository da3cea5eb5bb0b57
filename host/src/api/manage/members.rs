//! Who is in a team.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::Managing;
use super::fields::{Fields, Given};
use super::fill;
use super::teams::{found, refuse_budgets_of_members};
use super::who::forbidden;
use crate::keys::{Member, Roster, Team, User};
use crate::pipeline::GatewayError;
use crate::store::Edit;

impl Managing<'_> {
    /// `POST /team/member_add`: one, or several at a time. Who isn't known yet is made.
    pub(super) async fn add_members(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        let id = fields.needed_text("team_id")?;
        refuse_budgets_of_members(&fields)?;
        let members = match fields.take("member") {
            Given::Is(Value::Array(members)) => members,
            Given::Is(member) => vec![member],
            Given::Absent | Given::Null => return Err(GatewayError::missing("member")),
        };
        let members = members.into_iter().map(fill::member).collect::<Result<Vec<_>, _>>()?;
        let now = self.now;
        let (team, added) = self
            .directory()
            .change(|roster| {
                let mut team = Team::clone(self.led(&id, roster)?);
                let (mut edits, mut added) = (Vec::new(), Vec::new());
                for member in members {
                    edits.extend(add(&mut team, member, roster, now));
                    added.extend(team.members.last().map(|member| member.user_id.clone()));
                }
                team.updated_at = Some(now);
                edits.push(Edit::PutTeam(Box::new(team.clone())));
                Ok::<_, GatewayError>((edits, (team, added)))
            })
            .await?;
        for user in &added {
            self.actor.audit(&format!("put user {user} into team {id}"));
        }
        let mut view = super::view::object(self.shown_team(&team));
        let users = self.read(|roster| {
            let users = added.iter().filter_map(|id| roster.user(id));
            users.map(|user| self.view().user(user, roster)).collect::<Vec<_>>()
        });
        view.insert("updated_users".to_owned(), json!(users));
        let memberships = memberships(&team).into_iter().filter(|membership| {
            membership.get("user_id").and_then(Value::as_str).is_some_and(|id| added.iter().any(|added| added == id))
        });
        view.insert("updated_team_memberships".to_owned(), memberships.collect::<Vec<_>>().into());
        Ok(Value::Object(view))
    }

    /// `POST /team/member_delete`: with the keys that it has in the team.
    pub(super) async fn delete_member(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        let id = fields.needed_text("team_id")?;
        let (user, email) = (fields.text("user_id")?.value(), fields.text("user_email")?.value());
        if user.is_none() && email.is_none() {
            return Err(GatewayError::invalid("user_id", "Either user_id or user_email needs to be passed in"));
        }
        let now = self.now;
        let (team, gone) = self
            .directory()
            .change(|roster| {
                let mut team = Team::clone(self.led(&id, roster)?);
                let by_email = || Some(roster.user_with_email(email.as_deref()?)?.id.clone());
                let gone = user.clone().or_else(by_email);
                let gone = gone.filter(|gone| team.member(gone).is_some()).ok_or_else(|| {
                    GatewayError::invalid("user_id", format!("User is not a member of the team={id}"))
                })?;
                team.members.retain(|member| member.user_id != gone);
                team.updated_at = Some(now);
                let of_member = |caller: &&std::sync::Arc<crate::keys::Caller>| {
                    caller.key.user_id.as_deref() == Some(gone.as_str())
                };
                let keys = roster.keys_of_team(&id).filter(of_member);
                let mut edits: Vec<Edit> = keys.map(|caller| Edit::DeleteKey(caller.key.hash)).collect();
                edits.push(Edit::PutTeam(Box::new(team.clone())));
                Ok::<_, GatewayError>((edits, (team, gone)))
            })
            .await?;
        self.actor.audit(&format!("took user {gone} and its keys out of team {id}"));
        Ok(self.shown_team(&team))
    }

    /// The team, if whoever asks is an administrator or leads it.
    fn led<'a>(&self, id: &str, roster: &'a Roster) -> Result<&'a Team, GatewayError> {
        let team = roster.team(id);
        if !self.actor.is_admin() && !team.is_some_and(|team| self.actor.leads(team)) {
            let route = self.actor.path;
            let message = format!("Call not allowed. User not proxy admin OR team admin. route={route}, team_id={id}");
            return Err(forbidden(message));
        }
        found(roster, id).map(|team| &**team)
    }
}

/// Puts somebody into a team, last; one who is in it has another role afterwards. Returns the user that is to be made, if
/// nobody knows it.
pub(super) fn add(
    team: &mut Team,
    (id, email, role): (Option<String>, Option<String>, String),
    roster: &Roster,
    now: SystemTime,
) -> Option<Edit> {
    let known = match (&id, &email) {
        (Some(id), _) => roster.user(id),
        (None, Some(email)) => roster.user_with_email(email),
        (None, None) => None,
    };
    let user_id = known.map(|user| user.id.clone()).or(id).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    team.members.retain(|member| member.user_id != user_id);
    team.members.push(Member { user_id: user_id.clone(), role });
    let made = User { id: user_id, email, created_at: Some(now), updated_at: Some(now), ..User::default() };
    known.is_none().then(|| Edit::PutUser(Box::new(made)))
}

/// LiteLLM's `team_memberships`, without budgets: members have none of their own here.
pub(super) fn memberships(team: &Team) -> Vec<Map<String, Value>> {
    let membership = |member: &Member| {
        super::view::object(json!({
            "user_id": member.user_id,
            "team_id": team.id,
            "budget_id": null,
            "spend": 0.0,
            "litellm_budget_table": null,
            "budget_source": "none",
        }))
    };
    team.members.iter().map(membership).collect()
}
