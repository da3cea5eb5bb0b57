//! From the name that a client used to the deployment that serves it.
//!
//! ```text
//! name -> resolve (alias, exact, wildcard, id) -> group -> choose (who fits, is healthy, has room; then the strategy)
//!                                                             -> Pick -> an attempt -> Flight: succeed | fail | dropped
//! ```
//!
//! Nothing here waits, and time is given by the caller.

mod choose;
mod failure;
mod group;
mod pattern;
mod vitals;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::config::{Alias, Config};
use pattern::Pattern;

pub use choose::{Misfit, NoDeployment, Pick, Query, Reason};
pub use failure::{Cure, Failure, FailureKind};
pub use group::{Group, Resolved, Route, Target};
pub use vitals::{Consequence, Flight, Vitals};

/// All deployments, by the names that clients use.
#[derive(Debug)]
pub struct Router {
    deployments: Vec<Arc<Target>>,
    /// Exact model names.
    groups: HashMap<String, Arc<Group>>,
    /// Model names with `*`, the most specific first.
    patterns: Vec<(Pattern, Arc<Group>)>,
    by_id: HashMap<String, Arc<Group>>,
    aliases: BTreeMap<String, Alias>,
}

/// No deployment has this name.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownModel {
    /// A name that is nearly it.
    pub suggestion: Option<String>,
}

impl Router {
    /// Sorts the deployments of a config. Those that `before` knows by their id keep their vitals.
    pub fn new(config: &Config, before: Option<&Self>) -> Self {
        let known: HashMap<&str, &Arc<Vitals>> = before
            .iter()
            .flat_map(|before| &before.deployments)
            .map(|target| (target.deployment.id.as_str(), &target.vitals))
            .collect();
        let targets = config.deployments.iter().cloned().enumerate().map(|(position, deployment)| {
            let vitals = known.get(deployment.id.as_str()).copied().cloned().unwrap_or_default();
            Arc::new(Target { deployment, position, vitals })
        });
        let deployments: Vec<Arc<Target>> = targets.collect();
        let mut by_name: HashMap<String, Vec<Arc<Target>>> = HashMap::new();
        for target in &deployments {
            by_name.entry(target.deployment.model_name.clone()).or_default().push(target.clone());
        }
        let mut groups: HashMap<String, Arc<Group>> = by_name
            .into_iter()
            .filter_map(|(name, targets)| Some((name.clone(), Group::new(name, targets)?)))
            .collect();
        let with_star = groups.extract_if(|name, _| name.contains('*'));
        let mut patterns: Vec<(Pattern, Arc<Group>)> =
            with_star.map(|(name, group)| (Pattern::new(&name), group)).collect();
        patterns.sort_by(|(a, _), (b, _)| b.specificity().cmp(&a.specificity()));
        let by_id = deployments.iter().filter_map(|target| {
            let id = target.deployment.id.clone();
            Some((id.clone(), Group::new(id, vec![target.clone()])?))
        });
        let by_id = by_id.collect();
        Self { deployments, groups, patterns, by_id, aliases: config.aliases.clone() }
    }

    /// The deployments that serve `model`.
    ///
    /// # Errors
    /// There is none.
    pub fn resolve(&self, model: &str) -> Result<Resolved, UnknownModel> {
        let name = self.aliases.get(model).map_or(model, |alias| alias.target.as_str());
        if let Some(group) = self.groups.get(name) {
            return Ok(Resolved { group: group.clone(), stars: Vec::new() });
        }
        // LiteLLM tries a bare `gpt-4o` as `openai/gpt-4o` too.
        let names = std::iter::once(Cow::Borrowed(name)).chain(with_provider(name).map(Cow::Owned));
        for name in names {
            for (pattern, group) in &self.patterns {
                if let Some(stars) = pattern.matches(&name) {
                    let stars = stars.into_iter().map(str::to_owned).collect();
                    return Ok(Resolved { group: group.clone(), stars });
                }
            }
        }
        match self.by_id.get(name) {
            Some(group) if !group.targets.iter().any(|target| target.deployment.is_wildcard()) => {
                Ok(Resolved { group: group.clone(), stars: Vec::new() })
            }
            _ => Err(UnknownModel { suggestion: self.suggest(name) }),
        }
    }

    /// Every deployment, as the config lists them.
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.deployments
    }

    /// The names that clients may use, wildcards not expanded, in the config's order; hidden aliases left out.
    pub fn names(&self) -> impl Iterator<Item = (&str, &Target)> {
        let mut seen = std::collections::HashSet::new();
        let own = self.deployments.iter().map(|target| (target.deployment.model_name.as_str(), &**target));
        let aliases = self.aliases.iter().filter(|(_, alias)| !alias.hidden).filter_map(|(name, alias)| {
            let group = self.groups.get(&alias.target)?;
            Some((name.as_str(), &*group.first))
        });
        own.chain(aliases).filter(move |(name, _)| seen.insert(*name))
    }

    fn suggest(&self, name: &str) -> Option<String> {
        let likeness = |candidate: &str| strsim::jaro_winkler(&candidate.to_lowercase(), &name.to_lowercase());
        let names = self.names().map(|(name, _)| name).filter(|name| !name.contains('*'));
        let best = names.map(|candidate| (likeness(candidate), candidate)).max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        (best.0 > 0.75).then(|| best.1.to_owned())
    }
}

fn with_provider(name: &str) -> Option<String> {
    if name.contains('/') {
        return None;
    }
    crate::config::provider_of_bare_name(name).map(|provider| format!("{provider}/{name}"))
}
