//! From the name that a client used to the deployment that serves it.
//!
//! ```text
//! name -> resolve (alias, exact, wildcard, id) -> group -> choose (who fits, is healthy, has room; then the strategy)
//!                                                             -> Pick -> an attempt -> Flight: succeed | fail | dropped
//! ```
//!
//! Nothing here waits, and time is given by the caller.

mod access;
mod choose;
mod dice;
mod failure;
mod fallbacks;
mod group;
mod pattern;
mod reason;
mod retry_budget;
mod rules;
mod strategy;
#[cfg(test)]
mod tests;
mod vitals;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::config::{Alias, Config, Deployment};
use dice::Dice;
use group::{Shared, is_usable};
use pattern::Pattern;
use rules::Rules;

pub use choose::{Misfit, NoDeployment, Pick, Query};
pub use failure::{Cure, Failure, FailureKind};
pub use fallbacks::FallbackPlan;
pub use group::{Group, Resolved, Route, Target};
pub use pattern::covers;
pub use reason::Reason;
pub use retry_budget::RetryBudget;
pub use vitals::{Consequence, Counts, Flight, Snapshot, State, Vitals};

/// All deployments, by the names that clients use.
#[derive(Debug)]
pub struct Router {
    deployments: Vec<Arc<Target>>,
    /// Exact model names.
    groups: HashMap<String, Arc<Group>>,
    /// Model names with `*`, the most specific first.
    patterns: Vec<(Pattern, Arc<Group>)>,
    by_id: HashMap<String, Arc<Group>>,
    /// Those with a name, in the config's order.
    in_order: Vec<Arc<Group>>,
    aliases: BTreeMap<String, Alias>,
    dice: Dice,
}

/// No deployment has this name.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownModel {
    /// A name that is nearly it.
    pub suggestion: Option<String>,
}

impl Router {
    /// Sorts the deployments of a config that takes the place of `before`, whose knowledge of those with the same id and
    /// of groups with the same name goes on. But whose key or address is another isn't left alone for what the old one
    /// did.
    pub fn new(config: &Config, before: Option<&Self>) -> Self {
        Self::with_dice(config, before, Dice::default())
    }

    fn with_dice(config: &Config, before: Option<&Self>, dice: Dice) -> Self {
        let deployments = targets(config, before);
        let known: HashMap<&str, &Arc<Shared>> = before
            .iter()
            .flat_map(|before| &before.in_order)
            .map(|group| (group.name.as_str(), &group.shared))
            .collect();
        let mut names: Vec<&str> = Vec::new();
        let mut by_name: HashMap<&str, Vec<Arc<Target>>> = HashMap::new();
        for target in &deployments {
            let name = target.deployment.model_name.as_str();
            by_name.entry(name).or_insert_with(|| {
                names.push(name);
                Vec::new()
            });
            by_name.entry(name).or_default().push(target.clone());
        }
        let (mut groups, mut patterns, mut by_id) = (HashMap::new(), Vec::new(), HashMap::new());
        let mut in_order = Vec::with_capacity(names.len());
        for name in names {
            let targets = by_name.remove(name).unwrap_or_default();
            let shared = known.get(name).copied().cloned().unwrap_or_default();
            for target in &targets {
                let id = target.deployment.id.clone();
                let alone = vec![target.clone()];
                let group = Group::new(id.clone(), alone, true, &config.routing, shared.clone());
                by_id.extend(group.map(|group| (id, group)));
            }
            let Some(group) = Group::new(name.to_owned(), targets, false, &config.routing, shared) else { continue };
            in_order.push(group.clone());
            if name.contains('*') {
                patterns.push((Pattern::new(name), group));
            } else {
                groups.insert(name.to_owned(), group);
            }
        }
        patterns.sort_by(|(a, _), (b, _)| b.specificity().cmp(&a.specificity()));
        Self { deployments, groups, patterns, by_id, in_order, aliases: config.aliases.clone(), dice }
    }

    /// The deployments that serve `model`.
    ///
    /// # Errors
    /// There is none.
    pub fn resolve(&self, model: &str) -> Result<Resolved, UnknownModel> {
        let name = self.aliases.get(model).map_or(model, |alias| alias.target.as_str());
        if let Some(group) = self.groups.get(name) {
            return Ok(Resolved::new(group, Vec::new()));
        }
        // LiteLLM tries a bare `gpt-4o` as `openai/gpt-4o` too.
        let names = std::iter::once(Cow::Borrowed(name)).chain(with_provider(name).map(Cow::Owned));
        for name in names {
            for (pattern, group) in &self.patterns {
                if let Some(stars) = pattern.matches(&name) {
                    let stars = stars.into_iter().map(str::to_owned).collect();
                    return Ok(Resolved::new(group, stars));
                }
            }
        }
        match self.by_id.get(name) {
            Some(group) if !group.targets.iter().any(|target| target.deployment.is_wildcard()) => {
                Ok(Resolved::new(group, Vec::new()))
            }
            _ => Err(UnknownModel { suggestion: self.suggest(name) }),
        }
    }

    /// Every deployment, as the config lists them.
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.deployments
    }

    /// Every group of deployments that share a name, wildcards among them, as the config lists them.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.in_order.iter()
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

/// The deployments of a config, with the vitals of those that were there before.
fn targets(config: &Config, before: Option<&Router>) -> Vec<Arc<Target>> {
    let known: HashMap<&str, &Arc<Target>> = before
        .iter()
        .flat_map(|before| &before.deployments)
        .map(|target| (target.deployment.id.as_str(), target))
        .collect();
    let mut usable: HashMap<&str, usize> = HashMap::new();
    for deployment in config.deployments.iter().filter(|deployment| is_usable(deployment)) {
        *usable.entry(&deployment.model_name).or_default() += 1;
    }
    let target = |(position, deployment): (usize, &Deployment)| {
        let of_its_name = usable.get(deployment.model_name.as_str()).copied().unwrap_or_default();
        let others = of_its_name - usize::from(is_usable(deployment));
        let rules = Rules::new(&config.routing, deployment, others);
        let (vitals, access) = match known.get(deployment.id.as_str()) {
            Some(before) if access::is_same(&before.deployment, deployment) => (before.vitals.clone(), before.access),
            Some(before) => (before.vitals.clone(), before.vitals.change_access()),
            None => (Arc::default(), 0),
        };
        Arc::new(Target { deployment: deployment.clone(), position, vitals, access, rules })
    };
    config.deployments.iter().enumerate().map(target).collect()
}

fn with_provider(name: &str) -> Option<String> {
    if name.contains('/') {
        return None;
    }
    crate::config::provider_of_bare_name(name).map(|provider| format!("{provider}/{name}"))
}
