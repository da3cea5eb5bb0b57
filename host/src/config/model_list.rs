//! `model_list` to [`Deployment`]s, and what they have in common.

use std::collections::HashMap;

use super::at::At;
use super::cloud::Ambient;
use super::deployment::Deployment;
use super::entry::Entry;
use super::environment::Environment;
use super::node::Place;
use super::pricing::CostSettings;
use super::providers::Providers;
use super::report::Report;
use super::routing::Defaults;

/// What an entry of the list is read with.
pub(super) struct Context<'a> {
    pub root: At<'a>,
    pub environment: &'a Environment,
    pub providers: &'a Providers,
    pub drop_params: bool,
    pub strict: bool,
    /// What the environment has for clouds, read once.
    pub ambient: Ambient,
    /// What the router says for all.
    pub defaults: Defaults,
    /// What the operator says of prices for all.
    pub costs: CostSettings,
}

// === impl Context ===

impl<'a> Context<'a> {
    pub(super) fn read(
        root: &At<'a>,
        environment: &'a Environment,
        providers: &'a Providers,
        (defaults, costs): (Defaults, CostSettings),
        report: &mut Report,
    ) -> Self {
        let litellm = root.get("litellm_settings");
        let own = root.map("ai_api_settings", report);
        let get = |section: &Option<At<'a>>, key: &str| section.as_ref().and_then(|section| section.get(key));
        let mut flag = |at: Option<At<'_>>| at.and_then(|at| at.flag(report)).unwrap_or(false);
        Self {
            root: root.clone(),
            environment,
            providers,
            drop_params: flag(get(&litellm, "drop_params")),
            strict: flag(get(&own, "strict")),
            ambient: Ambient::read(environment),
            defaults,
            costs,
        }
    }
}

/// All deployments, in the order of the file.
pub(super) fn read(context: &Context<'_>, report: &mut Report) -> Vec<Deployment> {
    let list = context.root.list("model_list", report);
    let items: Vec<_> = list.iter().flat_map(|list| list.items()).collect();
    if items.is_empty() {
        let place = list.as_ref().unwrap_or(&context.root).place();
        report.warn(place, "model_list", "there is no model, so every call is answered with an error");
    }
    let mut deployments: Vec<Deployment> = Vec::with_capacity(items.len());
    for item in items {
        if let Some(entry) = Entry::read(&item, context, report) {
            deployments.extend(entry.deployments(context, report));
        }
    }
    make_ids_unique(&mut deployments, report);
    deployments
}

/// The second deployment with the same id gets `-2`: an id tells which of them answered.
fn make_ids_unique(deployments: &mut [Deployment], report: &mut Report) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for deployment in deployments {
        let count = seen.entry(deployment.id.clone()).or_default();
        *count += 1;
        if *count == 1 {
            continue;
        }
        if deployment.model_info.contains_key("id") {
            let place = Place { file: deployment.file.clone(), line: deployment.line };
            report.warn(&place, "model_list", format!("the model_info.id `{}` is there more than once", deployment.id));
        }
        deployment.id = format!("{}-{count}", deployment.id);
    }
}
