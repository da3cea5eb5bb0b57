//! The deployments of one name.

use std::sync::Arc;

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

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
    /// How many do.
    waiting: Arc<AtomicUsize>,
    pub retry_budget: Arc<RetryBudget>,
}
#[derive(Debug, Default)]
pub struct RetryBudget;
impl RetryBudget {
    pub fn deposit(&self) {}
    pub fn try_withdraw(&self, _now: tokio::time::Instant) -> bool {
        true
    }
    pub fn withdraw_anyway(&self, _now: tokio::time::Instant) {}
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
        Some(Arc::new(Self {
            name,
            targets,
            first,
            freed: Arc::new(Notify::new()),
            waiting: Arc::default(),
            retry_budget: Arc::default(),
        }))
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

    /// Ends when a slot of one of the deployments is given back.
    pub fn freed(&self) -> Notified<'_> {
        self.group.freed.notified()
    }

    /// A place among the calls that wait for a slot, where fewer than `most` do.
    pub fn queue(&self, most: usize) -> Option<Place> {
        let waiting = &self.group.waiting;
        let place = Place(waiting.clone());
        (waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

/// A place among the calls that wait for a free slot of a group.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
