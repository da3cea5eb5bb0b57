//! The deployments of one name.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pattern;
use super::retry_budget::{RetryBudget, Saved};
use super::rules::Rules;
use super::strategy::{self, Strategy};
use super::vitals::Vitals;
use crate::config::{Deployment, Routing, provider_of_bare_name};

/// A deployment, its place, and how it does.
#[derive(Debug)]
pub struct Target {
    /// What the config says.
    pub deployment: Deployment,
    /// Its place in the config's list.
    pub position: usize,
    /// How it does. It outlives a reload of the configuration.
    pub vitals: Arc<Vitals>,
    /// How often its key or its address had changed before: what began with an older one no longer decides whether it
    /// is called.
    pub(super) access: u64,
    pub(super) rules: Rules,
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
    /// What may be spent on repeats. It outlives a reload of the configuration.
    pub retry_budget: RetryBudget,
    /// It is one deployment, named by its id. As in LiteLLM it is called although it is cooling: who names it wants no
    /// other, and its answer.
    pub(super) by_id: bool,
    /// One of them can be called at all, so that those that can't needn't be.
    pub(super) usable: bool,
    pub(super) strategy: Box<dyn Strategy>,
    pub(super) shared: Arc<Shared>,
}

/// What outlives a reload of the configuration.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) saved: Arc<Saved>,
    /// Slots that were given back so far.
    freed: AtomicU64,
    waiting: Notify,
    /// Calls that wait for a slot.
    queued: AtomicUsize,
}

impl Shared {
    /// A slot was given back. All that wait are woken: one alone might have no use for a slot of this deployment.
    pub(super) fn slot_freed(&self) {
        self.freed.fetch_add(1, Ordering::AcqRel);
        self.waiting.notify_waiters();
    }
}

/// What a model's name stands for.
#[derive(Debug)]
pub struct Resolved {
    /// The deployments.
    pub group: Arc<Group>,
    /// What each `*` of the group's name stands for.
    stars: Vec<String>,
    /// Slots that had been given back when one was last looked for.
    seen: AtomicU64,
}

impl Group {
    /// The group of these deployments; `None` where there are none.
    pub(super) fn new(
        name: String,
        targets: Vec<Arc<Target>>,
        by_id: bool,
        routing: &Routing,
        shared: Arc<Shared>,
    ) -> Option<Arc<Self>> {
        let first = targets.first()?.clone();
        let usable = targets.iter().any(|target| is_usable(&target.deployment));
        let retry_budget = RetryBudget::new(&routing.retries.budget, shared.saved.clone());
        let strategy = strategy::of(routing, &targets);
        Some(Arc::new(Self { name, targets, first, retry_budget, by_id, usable, strategy, shared }))
    }
}

/// Whether a deployment can be called at all.
pub(super) fn is_usable(deployment: &Deployment) -> bool {
    !deployment.routing.blocked && deployment.unusable.is_none()
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
    pub(super) fn new(group: &Arc<Group>, stars: Vec<String>) -> Self {
        Self { group: group.clone(), stars, seen: AtomicU64::new(0) }
    }

    /// The provider's own name of the model, at one of the group's deployments.
    pub fn model<'a>(&self, target: &'a Target) -> Cow<'a, str> {
        let model = target.deployment.model.as_str();
        if self.stars.is_empty() || !model.contains('*') {
            return Cow::Borrowed(model);
        }
        let stars: Vec<&str> = self.stars.iter().map(String::as_str).collect();
        Cow::Owned(pattern::fill(model, &stars))
    }

    /// All names that this model has, among them the one that a client `asked` for it by: the group's; where a deployment
    /// was named by its id, its `model_name`; where a wildcard fits, what it fits, with its provider and without where that
    /// is the one that a bare name is taken for.
    pub fn names<'a>(&'a self, asked: &'a str) -> SmallVec<[Cow<'a, str>; 4]> {
        let Group { name, first, by_id, .. } = &*self.group;
        let mut names: SmallVec<[Cow<'a, str>; 4]> = SmallVec::new();
        names.push(Cow::Borrowed(name));
        if *by_id {
            names.push(Cow::Borrowed(&first.deployment.model_name));
        }
        if !self.stars.is_empty() {
            let stars: Vec<&str> = self.stars.iter().map(String::as_str).collect();
            let full = pattern::fill(name, &stars);
            let bare = full.split_once('/').filter(|(provider, bare)| provider_of_bare_name(bare) == Some(provider));
            let bare = bare.map(|(_, bare)| Cow::Owned(bare.to_owned()));
            let with_provider = super::with_provider(&full).map(Cow::Owned);
            names.extend(bare.into_iter().chain(with_provider));
            names.push(Cow::Owned(full));
        }
        if !names.iter().any(|name| name == asked) {
            names.push(Cow::Borrowed(asked));
        }
        names
    }

    /// Slots will now be looked for: [`Resolved::freed`] is about those that are given back from here on.
    pub(super) fn looks_for_slots(&self) {
        self.seen.store(self.group.shared.freed.load(Ordering::Acquire), Ordering::Relaxed);
    }

    /// Waits until a slot of one of the deployments is given back, since a deployment was last chosen, or until one
    /// comes back that was left alone.
    pub async fn freed(&self) {
        let shared = &self.group.shared;
        let freed = shared.waiting.notified();
        if shared.freed.load(Ordering::Acquire) != self.seen.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let returns = self.group.targets.iter().filter_map(|target| target.vitals.returns_at());
        let next = returns.filter(|at| *at > now).min();
        let far = now + Duration::from_secs(3600);
        tokio::select! {
            () = freed => {}
            () = tokio::time::sleep_until(next.unwrap_or(far)) => {}
        }
    }
}

impl Clone for Resolved {
    fn clone(&self) -> Self {
        let seen = AtomicU64::new(self.seen.load(Ordering::Relaxed));
        Self { group: self.group.clone(), stars: self.stars.clone(), seen }
    }
}

impl Resolved {
    /// A place among the calls that wait for a slot, where fewer than `most` do.
    pub fn queue(&self, most: usize) -> Option<Place> {
        let place = Place(self.group.shared.clone());
        (place.0.queued.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

/// A place among the calls that wait for a free slot of a group.
#[derive(Debug)]
pub struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}
