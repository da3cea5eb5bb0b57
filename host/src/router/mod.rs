//! From the name that a client used to the deployment that serves it.
//!
//! Strategies, retries, fallbacks and cooldowns are to come here. Now deployments of one name take turns.

mod pattern;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::{Alias, Config, Deployment};
use pattern::Pattern;

/// Its multiples are spread most evenly over the numbers from 0 to 1.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// All deployments, by the names that clients use.
#[derive(Debug)]
pub struct Router {
    deployments: Vec<Arc<Target>>,
    /// Exact model names.
    groups: HashMap<String, Group>,
    /// Model names with `*`, the most specific first.
    patterns: Vec<(Pattern, Group)>,
    by_id: HashMap<String, Arc<Target>>,
    aliases: BTreeMap<String, Alias>,
}

/// A deployment, and its place.
#[derive(Debug)]
pub struct Target {
    /// What the config says.
    pub deployment: Deployment,
    /// Its place in the config's list.
    pub position: usize,
}

/// The deployments of one name.
#[derive(Debug, Default)]
struct Group {
    targets: Vec<Arc<Target>>,
    next: AtomicUsize,
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// To which deployment.
    pub target: Arc<Target>,
    /// The provider's own name of the model.
    pub model: String,
}

/// No deployment has this name.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownModel {
    /// A name that is nearly it.
    pub suggestion: Option<String>,
}

impl Router {
    /// Sorts the deployments of a config.
    pub fn new(config: &Config) -> Self {
        let targets = config.deployments.iter().cloned().enumerate();
        let deployments: Vec<Arc<Target>> =
            targets.map(|(position, deployment)| Arc::new(Target { deployment, position })).collect();
        let mut groups: HashMap<String, Group> = HashMap::new();
        for target in &deployments {
            groups.entry(target.deployment.model_name.clone()).or_default().targets.push(target.clone());
        }
        let with_star = groups.extract_if(|name, _| name.contains('*'));
        let mut patterns: Vec<(Pattern, Group)> = with_star.map(|(name, group)| (Pattern::new(&name), group)).collect();
        patterns.sort_by(|(a, _), (b, _)| b.specificity().cmp(&a.specificity()));
        let by_id = deployments.iter().map(|target| (target.deployment.id.clone(), target.clone())).collect();
        Self { deployments, groups, patterns, by_id, aliases: config.aliases.clone() }
    }

    /// The deployment that serves `model` this time.
    ///
    /// # Errors
    /// There is none.
    pub fn route(&self, model: &str) -> Result<Route, UnknownModel> {
        let name = self.aliases.get(model).map_or(model, |alias| alias.target.as_str());
        if let Some(target) = self.groups.get(name).and_then(Group::next) {
            return Ok(Route { model: target.deployment.model.clone(), target });
        }
        // LiteLLM tries a bare `gpt-4o` as `openai/gpt-4o` too.
        let names = std::iter::once(Cow::Borrowed(name)).chain(with_provider(name).map(Cow::Owned));
        for name in names {
            for (pattern, group) in &self.patterns {
                if let (Some(stars), Some(target)) = (pattern.matches(&name), group.next()) {
                    let model = pattern::fill(&target.deployment.model, &stars);
                    return Ok(Route { target, model });
                }
            }
        }
        match self.by_id.get(name) {
            Some(target) if !target.deployment.is_wildcard() => {
                Ok(Route { target: target.clone(), model: target.deployment.model.clone() })
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
            let target = self.groups.get(&alias.target)?.targets.first()?;
            Some((name.as_str(), &**target))
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

impl Group {
    /// Deployments take turns, by their weights where any has one (then one without has none, as in LiteLLM).
    ///
    /// Turn after turn steps by the golden ratio through the weights laid end to end: shares come out even after few
    /// calls, and no randomness is needed.
    fn next(&self) -> Option<Arc<Target>> {
        if let [only] = self.targets.as_slice() {
            return Some(only.clone());
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let weighted = self.targets.iter().any(|target| target.deployment.weight.is_some());
        let weight = |target: &Target| if weighted { target.deployment.weight.unwrap_or(0.0) } else { 1.0 };
        let total: f64 = self.targets.iter().map(|target| weight(target)).sum();
        let mut left = (turn as f64 * GOLDEN).fract() * total;
        let chosen = self.targets.iter().find(|target| {
            left -= weight(target);
            left < 0.0
        });
        chosen.or(self.targets.last()).cloned()
    }
}

fn with_provider(name: &str) -> Option<String> {
    if name.contains('/') {
        return None;
    }
    crate::config::provider_of_bare_name(name).map(|provider| format!("{provider}/{name}"))
}
