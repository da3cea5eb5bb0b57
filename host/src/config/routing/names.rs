//! The names that calls may use, for whatever refers to them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::aliases::Alias;
use super::super::at::At;
use super::super::deployment::Deployment;
use super::super::known;
use super::super::report::Report;
use super::super::target::inferred;

/// Names of models, wildcards, aliases and ids of deployments.
pub(in super::super) struct Names<'a> {
    groups: BTreeSet<&'a str>,
    ids: BTreeSet<&'a str>,
    aliases: BTreeMap<&'a str, &'a str>,
}

// === impl Names ===

impl<'a> Names<'a> {
    pub(in super::super) fn of(deployments: &'a [Deployment], aliases: &'a BTreeMap<String, Alias>) -> Self {
        Self {
            groups: deployments.iter().map(|deployment| deployment.model_name.as_str()).collect(),
            ids: deployments.iter().map(|deployment| deployment.id.as_str()).collect(),
            aliases: aliases.iter().map(|(name, alias)| (name.as_str(), alias.target.as_str())).collect(),
        }
    }

    /// Warns of a model that is to be called and that nobody serves.
    pub(in super::super) fn tell_if_unserved(&self, name: &str, at: &At<'_>, report: &mut Report) {
        if !self.serves(name) {
            at.warn(format!("there is no model `{name}` in model_list{}", self.hint(name)), report);
        }
    }

    /// Warns of something about a model that no call can be for. Such a name may lack its provider: that of
    /// `openai/gpt-4o` is looked up as `gpt-4o`, too.
    pub(super) fn tell_if_unused(&self, name: &str, at: &At<'_>, report: &mut Report) {
        let prefixes = self.groups.iter().chain(self.aliases.keys()).filter_map(|known| known.split_once('/'));
        let with_prefix = |(prefix, _): (&str, &str)| self.serves(&format!("{prefix}/{name}"));
        if name != "*" && !self.serves(name) && !prefixes.into_iter().any(with_prefix) {
            at.warn(
                format!("there is no model `{name}` in model_list, so this is never used{}", self.hint(name)),
                report,
            );
        }
    }

    /// Warns of something about a group that isn't the `model_name` of any entry.
    pub(super) fn tell_if_no_group(&self, name: &str, at: &At<'_>, report: &mut Report) {
        if self.groups.contains(name) {
            return;
        }
        let hint = match self.aliases.get(name) {
            Some(target) => format!("; it is another name for `{target}`"),
            None => self.hint(name),
        };
        at.warn(format!("no entry of model_list has the model_name `{name}`, so this is never used{hint}"), report);
    }

    fn serves(&self, name: &str) -> bool {
        let known = |name: &str| {
            self.groups.contains(name) || self.groups.iter().any(|pattern| pattern.contains('*') && fits(pattern, name))
        };
        // The router tries a bare `gpt-4o` as `openai/gpt-4o` too.
        let with_provider =
            || inferred(name).filter(|_| !name.contains('/')).map(|provider| format!("{provider}/{name}"));
        known(name)
            || self.aliases.contains_key(name)
            || self.ids.contains(name)
            || with_provider().is_some_and(|name| known(&name))
    }

    fn hint(&self, name: &str) -> String {
        let names = self.groups.iter().chain(self.aliases.keys()).copied().filter(|known| !known.contains('*'));
        known::nearest(name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
    }
}

/// Whether `pattern`, in which each `*` stands for any text, fits the whole name.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let (first, last) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("openai/*", "openai/gpt-4o", true),
            ("openai/*", "azure/openai/x", false),
            ("claude-*-latest", "claude-haiku-latest", true),
            ("claude-*-latest", "claude-haiku-latest-2", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
