//! Teams.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Managing;
use super::fields::{Fields, Given, wrong};
use super::fill;
use super::keys::listed;
use super::query::{Page, Query};
use super::spent::Purse;
use super::who::{exists, forbidden, not_found};
use crate::keys::{Roster, Team};
use crate::money::Money;
use crate::pipeline::GatewayError;
use crate::store::Edit;

const MOST_A_PAGE: usize = 100;

impl Managing<'_> {
    /// `POST /team/new`
    pub(super) async fn new_team(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_admin()?;
        for (name, value) in &self.config.key_defaults.team {
            fields.default_to(name, value);
        }
        let now = self.now;
        let mut team = Team { created_at: Some(now), updated_at: Some(now), ..Team::default() };
        team.id = fields.text("team_id")?.value().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let members = match fields.take("members_with_roles") {
            Given::Is(Value::Array(members)) => members,
            Given::Is(_) => return Err(wrong("members_with_roles", "a list")),
            Given::Absent | Given::Null => Vec::new(),
        };
        let members = members.into_iter().map(fill::member).collect::<Result<Vec<_>, _>>()?;
        let spend = fields.money("spend")?.value().unwrap_or_default();
        fill::team(&mut team, &mut fields, now)?;
        fill::extra(&mut team.extra, fields);
        let team = self
            .directory()
            .change(|roster| {
                if roster.team(&team.id).is_some() {
                    let message = format!("Team id = {} already exists. Please use a different team id.", team.id);
                    return Err(exists("team_id", message));
                }
                let mut edits = Vec::new();
                for member in members {
                    edits.extend(super::members::add(&mut team, member, roster, now));
                }
                edits.push(Edit::PutTeam(Box::new(team.clone())));
                if spend != Money::ZERO {
                    edits.push(Purse::of_team(&team).set(spend, now));
                }
                Ok::<_, GatewayError>((edits, team))
            })
            .await?;
        Purse::of_team(&team).set_first(self.accounts, spend, now);
        self.actor.audit(&format!("made team {}", team.id));
        Ok(self.shown_team(&team))
    }

    pub(super) fn shown_team(&self, team: &Team) -> Value {
        Value::Object(self.read(|roster| self.view().team(team, roster)))
    }

    /// `GET /team/info`
    pub(super) fn team_info(&self, query: &Query) -> Result<Value, GatewayError> {
        let id = query.text("team_id").ok_or_else(|| GatewayError::missing("team_id"))?;
        self.read(|roster| {
            let team = roster.team(id).filter(|team| self.actor.sees_all() || self.actor.is_in(team));
            let team = team.ok_or_else(|| match self.actor.sees_all() {
                true => not_found("team_id", format!("Team not found, passed team id: {id}.")),
                false => forbidden(format!("User not authorized to access this team={id}")),
            })?;
            Ok(json!({
                "team_id": id,
                "team_info": self.view().team(team, roster),
                "keys": listed(self, roster.keys_of_team(id).filter(|caller| self.actor.sees(&caller.key, roster)), roster),
                "team_memberships": super::members::memberships(team),
            }))
        })
    }

    /// `POST /team/update`
    pub(super) async fn update_team(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_admin()?;
        let id = fields.needed_text("team_id")?;
        let spend = fields.money("spend")?;
        let now = self.now;
        let (team, spend) = self
            .directory()
            .change(|roster| {
                let before = found(roster, &id)?;
                let mut team = Team::clone(before);
                fill::team(&mut team, &mut fields, now)?;
                fill::extra(&mut team.extra, fields);
                team.updated_at = Some(now);
                let (old, new) = (Purse::of_team(before), Purse::of_team(&team));
                let spend = match spend {
                    Given::Absent => (old.since(now) != new.since(now)).then(|| old.spent(self.accounts, now)),
                    given => Some(given.value().unwrap_or_default()),
                };
                let mut edits = vec![Edit::PutTeam(Box::new(team.clone()))];
                edits.extend(spend.map(|spend| new.set(spend, now)));
                Ok::<_, GatewayError>((edits, (team, spend)))
            })
            .await?;
        if let Some(spend) = spend {
            Purse::of_team(&team).set_here(self.accounts, spend, now);
        }
        self.actor.audit(&format!("changed team {id}"));
        Ok(json!({"team_id": id, "data": self.shown_team(&team)}))
    }

    /// `POST /team/delete`: with their keys.
    pub(super) async fn delete_teams(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_admin()?;
        let ids = fields.texts("team_ids")?.value().filter(|ids| !ids.is_empty());
        let ids = ids.ok_or_else(|| GatewayError::missing("team_ids"))?;
        self.directory()
            .change(|roster| {
                let mut edits = Vec::new();
                for id in &ids {
                    found(roster, id)?;
                    edits.extend(roster.keys_of_team(id).map(|caller| Edit::DeleteKey(caller.key.hash)));
                    edits.push(Edit::DeleteTeam(id.clone()));
                }
                Ok::<_, GatewayError>((edits, ()))
            })
            .await?;
        for id in &ids {
            self.actor.audit(&format!("deleted team {id} and its keys"));
        }
        Ok(json!({"deleted_teams": ids}))
    }

    /// `POST /team/block` and `POST /team/unblock`
    pub(super) async fn block_team(&self, mut fields: Fields, blocked: bool) -> Result<Value, GatewayError> {
        self.actor.needs_admin()?;
        let id = fields.needed_text("team_id")?;
        let now = self.now;
        let team = self
            .directory()
            .change(|roster| {
                let team = Team { blocked, updated_at: Some(now), ..Team::clone(found(roster, &id)?) };
                Ok::<_, GatewayError>((vec![Edit::PutTeam(Box::new(team.clone()))], team))
            })
            .await?;
        self.actor.audit(&format!("{} team {id}", if blocked { "blocked" } else { "unblocked" }));
        Ok(self.shown_team(&team))
    }

    /// `GET /team/list`, all there are, and `GET /v2/team/list`, page by page.
    pub(super) fn list_teams(&self, query: &Query, by_page: bool) -> Result<Value, GatewayError> {
        let page = query.number("page", 1, usize::MAX)?;
        let size = query.number("page_size", 10, MOST_A_PAGE)?;
        let user = query.text("user_id");
        if !self.actor.sees_all()
            && (self.actor.user_id().is_none() || user.is_some_and(|id| self.actor.user_id() != Some(id)))
        {
            return Err(self.actor.refused());
        }
        let user = user.or(self.actor.user_id().filter(|_| !self.actor.sees_all()));
        let (organization, alias) = (query.text("organization_id"), query.text("team_alias").map(str::to_lowercase));
        let id = query.text("team_id");
        self.read(|roster| {
            let teams = roster.teams().filter(|team| {
                let own_alias = team.alias.as_deref().unwrap_or_default().to_lowercase();
                user.is_none_or(|user| team.member(user).is_some())
                    && id.is_none_or(|id| team.id == id)
                    && alias.as_ref().is_none_or(|alias| own_alias.contains(alias))
                    && match organization {
                        None => true,
                        Some("default_organization") => team.organization_id.is_none(),
                        organization => team.organization_id.as_deref() == organization,
                    }
            });
            let mut teams: Vec<&Arc<Team>> = teams.collect();
            teams.sort_by(|one, other| (&one.alias, &one.id).cmp(&(&other.alias, &other.id)));
            let show = |team: &Arc<Team>| {
                let mut view = self.view().team(team, roster);
                let keys = roster.keys_of_team(&team.id).filter(|caller| self.actor.sees(&caller.key, roster));
                view.insert("keys".to_owned(), json!(listed(self, keys, roster)));
                view.insert("team_memberships".to_owned(), json!(super::members::memberships(team)));
                view
            };
            if !by_page {
                return Ok(teams.into_iter().map(show).collect::<Vec<_>>().into());
            }
            let page_of_teams = Page::of(teams, page, size);
            Ok(json!({
                "teams": page_of_teams.items.into_iter().map(|team| self.view().team(team, roster)).collect::<Vec<_>>(),
                "total": page_of_teams.total,
                "page": page,
                "page_size": size,
                "total_pages": page_of_teams.pages,
            }))
        })
    }
}

pub(super) fn found<'a>(roster: &'a Roster, id: &str) -> Result<&'a Arc<Team>, GatewayError> {
    roster.team(id).ok_or_else(|| not_found("team_id", format!("Team not found, passed team_id={id}")))
}

/// Single members have no limits of their own here: to take one without a word would be a lie.
pub(super) fn refuse_budgets_of_members(fields: &Fields) -> Result<(), GatewayError> {
    for name in ["max_budget_in_team", "budget_duration", "allowed_models", "tpm_limit", "rpm_limit"] {
        if fields.peek(name).is_some() {
            let message =
                format!("'{name}' of a single member is not supported: give the member's key or user a limit.");
            return Err(GatewayError::invalid(name, message));
        }
    }
    Ok(())
}
