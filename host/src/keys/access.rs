//! What a caller may call.
//!
//! A name goes through the aliases of the caller's team, then through those of its key, and what comes out has to be
//! allowed by every list there is: the key's, and the team's or, for a key of no team, the user's. An alias of a key opens
//! nothing that its team or its user may not have. As in LiteLLM an empty list allows everything.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::Caller;
use crate::config::{Config, Deployment, provider_of_bare_name};
use crate::router::covers;

/// Why a caller may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Its key, its team or its user isn't allowed this model.
    #[error(
        "The requested model '{model}' is not available for this API key, or the model name is invalid: its {whose} does \
         not allow it. GET /v1/models tells what it may call."
    )]
    Model {
        /// `key`, `team` or `user`.
        whose: &'static str,
        /// The model.
        model: String,
    },
    /// Its key isn't for this path.
    #[error(
        "Virtual key is not allowed to call this route. Only allowed to call routes: {allowed:?}. Tried to call route: {path}"
    )]
    Route {
        /// The path.
        path: String,
        /// Its `allowed_routes`.
        allowed: Vec<String>,
    },
    /// The path is for administrators.
    #[error(
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. \
         Route={route}. Your role={role}"
    )]
    AdminOnly {
        /// The path.
        route: String,
        /// The role of the key's user, or `unknown`.
        role: String,
    },
}

impl Denied {
    /// The same, with the path as it may be told: without a key in it.
    pub fn told_at(self, told: &str) -> Self {
        match self {
            Self::Route { allowed, .. } => Self::Route { path: told.to_owned(), allowed },
            Self::AdminOnly { role, .. } => Self::AdminOnly { route: told.to_owned(), role },
            Self::Model { .. } => self,
        }
    }
}

impl Caller {
    /// The model that `model` stands for to this caller, if it may have that: for the model that a client names, and for
    /// every fallback.
    ///
    /// # Errors
    /// It may not.
    pub fn model<'a>(&self, model: &'a str, config: &Config) -> Result<Cow<'a, str>, Denied> {
        let team = self.team.as_deref();
        let after_team = team.and_then(|team| team.aliases.get(model)).map_or(model, String::as_str);
        let target = self.key.aliases.get(after_team).map_or(after_team, String::as_str);
        let names = Names { target, config };
        let denied = |whose| Err(Denied::Model { whose, model: model.to_owned() });
        // The key's list may name the alias or what it stands for.
        if !self.key_allows(&names) && (target == model || !self.key_allows(&Names { target: model, config })) {
            return denied("key");
        }
        // What the team itself calls by another name is the team's to call.
        let by_team = after_team != model && target == after_team;
        match (team, self.user.as_deref()) {
            (Some(team), _) if !by_team && !names.are_in(&team.models) => return denied("team"),
            (None, Some(user)) if !names.are_in(&user.models) => return denied("user"),
            _ => {}
        }
        Ok(if target == model { Cow::Borrowed(model) } else { Cow::Owned(target.to_owned()) })
    }

    fn key_allows(&self, names: &Names<'_>) -> bool {
        // Whose models the team's or the user's list is asked about anyway.
        self.key.models.iter().any(|entry| entry == "all-team-models") || names.are_in(&self.key.models)
    }
}

/// A model by all the names that a list may have for it.
struct Names<'a> {
    target: &'a str,
    config: &'a Config,
}

impl Names<'_> {
    fn are_in(&self, list: &[String]) -> bool {
        // What most lists are asked first.
        list.is_empty() || list.iter().any(|entry| is_entry(entry, self.target)) || self.by_another_name(list)
    }

    /// Whether the list has the model group that the name is an alias of, or whose deployment it identifies, or a group of
    /// models that it belongs to (`model_info.access_groups`), or a wildcard for its provider.
    fn by_another_name(&self, list: &[String]) -> bool {
        let Self { target, config } = self;
        let alias = config.aliases.get(*target).map(|alias| alias.target.as_str());
        let group = alias.unwrap_or(target);
        if alias.is_some() && list.iter().any(|entry| is_entry(entry, group)) {
            return true;
        }
        let with_provider = self.with_provider(group);
        if let Some(full) = &with_provider
            && list.iter().any(|entry| entry.contains('*') && covers(entry, full))
        {
            return true;
        }
        let (serving, by_id) = self.serving(group, with_provider.as_deref());
        serving.iter().any(|deployment| {
            let has = |name: &str| list.iter().any(|entry| is_entry(entry, name));
            deployment.access_groups().any(|group| list.iter().any(|entry| entry == group))
                || (by_id && has(&deployment.model_name))
        })
    }

    /// LiteLLM takes a bare `gpt-4o` for `openai/gpt-4o` too, where wildcards are about.
    fn with_provider(&self, group: &str) -> Option<String> {
        let provider = Some(group).filter(|group| !group.contains('/')).and_then(provider_of_bare_name)?;
        Some(format!("{provider}/{group}"))
    }

    /// The deployments that the router has for a name, and whether the name is an id of one.
    fn serving(&self, group: &str, with_provider: Option<&str>) -> (Vec<&Deployment>, bool) {
        let all = &self.config.deployments;
        let named = |name: &str| all.iter().filter(|deployment| deployment.model_name == name).collect::<Vec<_>>();
        let exact = named(group);
        if !exact.is_empty() {
            return (exact, false);
        }
        let patterns = || all.iter().map(|deployment| deployment.model_name.as_str()).filter(|name| name.contains('*'));
        // The longest one serves, and of these the one with the fewest stars.
        let best = |name: &str| {
            let fitting = patterns().filter(|pattern| covers(pattern, name));
            fitting.max_by_key(|pattern| (pattern.len(), Reverse(pattern.matches('*').count())))
        };
        match best(group).or_else(|| best(with_provider?)) {
            Some(pattern) => (named(pattern), false),
            None => (all.iter().filter(|deployment| deployment.id == group).collect(), true),
        }
    }
}

fn is_entry(entry: &str, name: &str) -> bool {
    entry == name || entry == "all-proxy-models" || (entry.contains('*') && covers(entry, name))
}
