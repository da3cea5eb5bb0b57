//! The deployments of one name.

use std::sync::Arc;

use tokio::sync::Notify;

use super::pattern;
use super::vitals::Vitals;
use crate::config::Deployment;

/// A deployment, its place, and how it does.
#[derive(Debug)]
pub struct Target {
    /// What the config says.
    pub deployment: Deployment,
    /// Its place in the config's list.
    pub position: usize,
    /// How it does. It outlives a reload of the configuration.
    pub vitals: Arc<Vitals>,
}

/// The deployments of one name: LiteLLM's model group.
#[derive(Debug)]
pub struct Group {
    /// The `model_name`, with its `*` where it has one; of a deployment that is named by its id, that id.
    pub name: String,
    /// In the config's order.
    pub targets: Vec<Arc<Target>>,
    /// The first of them: a group has at least one.
    pub first: Arc<Target>,
    /// Whoever waits for a free slot of one of them is woken by this.
    pub(super) freed: Arc<Notify>,
}

/// What a model's name stands for.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The deployments.
    pub group: Arc<Group>,
    /// What each `*` of the group's name stands for.
    pub(super) stars: Vec<String>,
}

impl Group {
    /// The group of these deployments; `None` where there are none.
    pub(super) fn new(name: String, targets: Vec<Arc<Target>>) -> Option<Arc<Self>> {
        let first = targets.first()?.clone();
        Some(Arc::new(Self { name, targets, first, freed: Arc::new(Notify::new()) }))
    }
}

/// Where an attempt goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// To which deployment.
    pub target: Arc<Target>,
    /// The provider's own name of the model.
    pub model: String,
}

impl Resolved {
    /// The provider's own name of the model, at one of the group's deployments.
    pub fn model(&self, target: &Target) -> String {
        if self.stars.is_empty() {
            return target.deployment.model.clone();
        }
        let stars: Vec<&str> = self.stars.iter().map(String::as_str).collect();
        pattern::fill(&target.deployment.model, &stars)
    }

    /// Waits until a slot of one of the deployments is given back.
    pub async fn freed(&self) {
        self.group.freed.notified().await;
    }
}
