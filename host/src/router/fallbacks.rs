//! Which model group takes the place of one that has failed.

use super::FailureKind;
use crate::config::routing::{Chains, Fallback, Fallbacks};

/// The groups that one call may still go to, in the order in which it does.
///
/// A group's own fallbacks come before the ones that were left of the group whose place it took, as in LiteLLM. No
/// name comes twice, so that there are no circles, and a fallback's fallback's … is `max_fallbacks` deep at most. With
/// parameters of its own an entry is another call, and comes once although its name was there: `{a: [{model: a, …}]}`.
#[derive(Debug)]
pub struct FallbackPlan<'a> {
    config: &'a Fallbacks,
    /// What the client wants instead, if it said so: then nothing else is tried, as in LiteLLM.
    own: Option<&'a [Fallback]>,
    /// What comes next stands last; with how many groups it would be away from the one that was asked for.
    ahead: Vec<(&'a Fallback, u32)>,
    /// How many groups the current one is away.
    depth: u32,
    visited: Vec<String>,
    /// Entries with parameters of their own that were gone to.
    varied: Vec<&'a Fallback>,
}

impl<'a> FallbackPlan<'a> {
    /// The plan of a call.
    pub fn new(config: &'a Fallbacks, own: Option<&'a [Fallback]>) -> Self {
        Self { config, own, ahead: Vec::new(), depth: 0, visited: Vec::new(), varied: Vec::new() }
    }

    /// The group to go to after the one of this name has failed in this way. `aliases`: other names of the same group,
    /// whose fallbacks are its own too and which aren't gone to any more.
    pub fn after(&mut self, failed: &str, aliases: &[&str], kind: FailureKind) -> Option<&'a Fallback> {
        let names = || std::iter::once(failed).chain(aliases.iter().copied());
        self.visited.extend(names().map(str::to_owned));
        if self.depth < self.config.max {
            let chain = match self.own {
                Some(own) if self.depth == 0 => own.iter().collect(),
                Some(_) => Vec::new(),
                None => chain(self.config, names, kind),
            };
            self.ahead.extend(chain.into_iter().rev().map(|fallback| (fallback, self.depth + 1)));
        }
        while let Some((fallback, depth)) = self.ahead.pop() {
            if self.is_new(fallback) {
                self.depth = depth;
                return Some(fallback);
            }
        }
        None
    }

    fn is_new(&mut self, fallback: &'a Fallback) -> bool {
        if fallback.overrides.is_empty() {
            return !self.visited.contains(&fallback.model);
        }
        let new = !self.varied.contains(&fallback);
        if new {
            self.varied.push(fallback);
        }
        new
    }
}

/// The fallbacks of a group: those for the kind of its failure, then the general ones, which are everybody's where it has
/// none of its own.
fn chain<'a, 'n, N: Iterator<Item = &'n str>>(
    config: &'a Fallbacks,
    names: impl Fn() -> N,
    kind: FailureKind,
) -> Vec<&'a Fallback> {
    let of_kind = match kind {
        FailureKind::ContextWindow => Some(&config.context_window),
        FailureKind::ContentPolicy => Some(&config.content_policy),
        _ => None,
    };
    let for_every = |chains: &'a Chains| chains.get(Fallbacks::EVERY).map(Vec::as_slice);
    let special = of_kind.and_then(|chains| find(chains, names()).or_else(|| for_every(chains)));
    let general = find(&config.general, names()).unwrap_or(&config.default);
    special.into_iter().flatten().chain(general).collect()
}

/// By a name as it is, else by what follows the provider in it: `openai/gpt-4o` has the fallbacks of `gpt-4o`.
fn find<'a, 'n>(chains: &'a Chains, mut names: impl Iterator<Item = &'n str>) -> Option<&'a [Fallback]> {
    let found = names.find_map(|name| {
        let bare = || name.split_once('/').and_then(|(_, bare)| chains.get(bare));
        chains.get(name).or_else(bare)
    });
    found.map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(models: &[&str]) -> Vec<Fallback> {
        models.iter().map(|model| Fallback { model: (*model).to_owned(), ..Fallback::default() }).collect()
    }

    fn chains(chains: &[(&str, &[&str])]) -> Chains {
        chains.iter().map(|(name, models)| ((*name).to_owned(), to(models))).collect()
    }

    /// The groups that a call goes to when all of them fail in the same way.
    fn walk(config: &Fallbacks, own: Option<&[Fallback]>, name: &str, kind: FailureKind) -> Vec<String> {
        let mut plan = FallbackPlan::new(config, own);
        let mut walked: Vec<String> = Vec::new();
        while let Some(next) = plan.after(walked.last().map_or(name, String::as_str), &[], kind) {
            walked.push(next.model.clone());
        }
        walked
    }

    #[test]
    fn a_groups_own_fallbacks_are_tried_in_order_and_everybodys_where_it_has_none() {
        let config = Fallbacks { general: chains(&[("a", &["b", "c"])]), default: to(&["z"]), ..Fallbacks::default() };
        assert_eq!(walk(&config, None, "a", FailureKind::Server), ["b", "z", "c"]);
        assert_eq!(walk(&config, None, "x", FailureKind::Server), ["z"]);
        assert_eq!(walk(&config, None, "openai/a", FailureKind::Server), ["b", "z", "c"]);
    }

    #[test]
    fn the_kind_of_the_failure_has_its_own_fallbacks_first() {
        let config = Fallbacks {
            general: chains(&[("a", &["b"])]),
            context_window: chains(&[("a", &["long"])]),
            content_policy: chains(&[("a", &["lax"])]),
            ..Fallbacks::default()
        };
        assert_eq!(walk(&config, None, "a", FailureKind::ContextWindow), ["long", "b"]);
        assert_eq!(walk(&config, None, "a", FailureKind::ContentPolicy), ["lax", "b"]);
        assert_eq!(walk(&config, None, "a", FailureKind::InvalidRequest), ["b"]);
        let every =
            Fallbacks { context_window: chains(&[("a", &["long"]), ("*", &["longest"])]), ..Fallbacks::default() };
        assert_eq!(walk(&every, None, "a", FailureKind::ContextWindow), ["long", "longest"]);
        assert_eq!(walk(&every, None, "x", FailureKind::ContextWindow), ["longest"]);
    }

    #[test]
    fn a_fallbacks_fallbacks_come_before_the_rest_and_circles_end() {
        let config = Fallbacks {
            general: chains(&[("a", &["b", "c"]), ("b", &["a", "d"]), ("d", &["b", "c"])]),
            ..Fallbacks::default()
        };
        assert_eq!(walk(&config, None, "a", FailureKind::Server), ["b", "d", "c"]);
    }

    #[test]
    fn the_same_model_with_other_parameters_is_tried_once() {
        let short = |model: &str, most: u64| Fallback {
            model: model.to_owned(),
            overrides: serde_json::Map::from_iter([("max_tokens".to_owned(), most.into())]),
        };
        let own = vec![short("a", 512), short("a", 64), to(&["a"]).remove(0), to(&["b"]).remove(0)];
        let config = Fallbacks {
            general: Chains::from([("a".to_owned(), own), ("b".to_owned(), vec![short("a", 64), short("b", 64)])]),
            ..Fallbacks::default()
        };
        let mut plan = FallbackPlan::new(&config, None);
        let (mut failed, mut walked) = ("a", Vec::new());
        while let Some(next) = plan.after(failed, &[], FailureKind::Server) {
            failed = &next.model;
            walked.push((failed, next.overrides.get("max_tokens").and_then(serde_json::Value::as_u64)));
        }
        assert_eq!(walked, [("a", Some(512)), ("a", Some(64)), ("b", None), ("b", Some(64))]);
    }

    #[test]
    fn no_chain_is_deeper_than_told() {
        let names = ["0", "1", "2", "3", "4", "5", "6", "7"];
        let links: Vec<(&str, &[&str])> = names.windows(2).map(|pair| (pair[0], &pair[1..])).collect();
        let mut config = Fallbacks { general: chains(&links), ..Fallbacks::default() };
        assert_eq!(walk(&config, None, "0", FailureKind::Server), ["1", "2", "3", "4", "5"]);
        config.max = 0;
        assert_eq!(walk(&config, None, "0", FailureKind::Server), [""; 0]);
    }

    #[test]
    fn a_clients_own_list_is_all_there_is() {
        let config = Fallbacks { general: chains(&[("a", &["b"]), ("x", &["c"])]), ..Fallbacks::default() };
        let own = to(&["x", "a", "y"]);
        assert_eq!(walk(&config, Some(&own), "a", FailureKind::Server), ["x", "y"]);
        assert_eq!(walk(&config, Some(&[]), "a", FailureKind::Server), [""; 0]);
    }

    #[test]
    fn a_group_is_known_by_all_its_names() {
        let config = Fallbacks { general: chains(&[("group", &["alias", "b"])]), ..Fallbacks::default() };
        let mut plan = FallbackPlan::new(&config, None);
        let next = plan.after("alias", &["group"], FailureKind::Server).map(|next| next.model.as_str());
        assert_eq!(next, Some("b"));
    }
}
