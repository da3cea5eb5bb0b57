//! `router_settings.model_group_alias`: more names for the models there are.

use std::collections::BTreeMap;

use super::at::At;
use super::deployment::Deployment;
use super::node::Value;
use super::report::Report;
use super::routing::Names;

/// Another name for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The `model_name` that it stands for.
    pub target: String,
    /// It works but is not in the list of models.
    pub hidden: bool,
}

/// All aliases. An alias of something that is not there is a warning.
pub(super) fn read(root: &At<'_>, deployments: &[Deployment], report: &mut Report) -> BTreeMap<String, Alias> {
    let section = root.get("router_settings").and_then(|router| router.map("model_group_alias", report));
    let no_aliases = BTreeMap::new();
    let names = Names::of(deployments, &no_aliases);
    let mut aliases = BTreeMap::new();
    for (name, at) in section.iter().flat_map(At::entries) {
        let Some(alias) = alias(&at, report) else { continue };
        names.tell_if_unserved(&alias.target, &at, report);
        aliases.insert(name.to_owned(), alias);
    }
    aliases
}

fn alias(at: &At<'_>, report: &mut Report) -> Option<Alias> {
    match &at.node.value {
        Value::Text(target) => Some(Alias { target: target.clone(), hidden: false }),
        Value::Map(_) if at.get("model").is_some() => {
            let target = at.get("model").and_then(|model| model.text(report))?;
            let hidden = at.get("hidden").and_then(|hidden| hidden.flag(report)).unwrap_or(false);
            Some(Alias { target, hidden })
        }
        _ => at.expected("the name of a model, or {model: …, hidden: …}", report),
    }
}
