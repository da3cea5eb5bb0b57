//! What probes found.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Checked, What};
use crate::config::Probe;
use crate::pipeline::{Pipeline, Revision};

/// What probes found, of each revision of a deployment.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The last result of each kind of probe, whoever asked.
    latest: HashMap<What, Arc<Checked>>,
    /// What the background found: the one thing that routing may hear of.
    background: HashMap<Revision, Arc<Checked>>,
    /// Deployments, by their ids, whose last probe of a kind failed: a repair is news although it is another revision.
    failing: HashSet<(String, Probe)>,
}

impl Found {
    /// Keeps what a probe found. Whether it is news: the first failure, or the first success after one.
    pub(super) fn note(&mut self, what: What, id: &str, checked: &Arc<Checked>) -> bool {
        self.latest.insert(what, checked.clone());
        let key = (id.to_owned(), what.probe);
        if checked.probed.error.is_some() { self.failing.insert(key) } else { self.failing.remove(&key) }
    }

    pub(super) fn latest(&self, what: What) -> Option<Arc<Checked>> {
        self.latest.get(&what).cloned()
    }

    /// The last one of whatever kind.
    pub(super) fn last(&self, revision: Revision) -> Option<Arc<Checked>> {
        let kinds = Probe::ALL.into_iter().filter_map(|probe| self.latest.get(&What { revision, probe }));
        kinds.max_by_key(|checked| checked.since).cloned()
    }

    /// Keeps what the background found.
    pub(super) fn note_in_background(&mut self, revision: Revision, checked: Arc<Checked>) {
        self.background.insert(revision, checked);
    }

    pub(super) fn in_background(&self, revision: Revision) -> Option<Arc<Checked>> {
        self.background.get(&revision).cloned()
    }

    /// Forgets what the background found: it doesn't look again.
    pub(super) fn forget_background(&mut self) {
        self.background.clear();
    }

    /// Forgets deployments that are gone, or are others by now.
    pub(super) fn retain(&mut self, pipeline: &Pipeline) {
        let targets = pipeline.router.targets();
        let revisions: HashSet<Revision> = targets.iter().map(|target| pipeline.revision(target)).collect();
        let ids: HashSet<&str> = targets.iter().map(|target| target.deployment.id.as_str()).collect();
        self.latest.retain(|what, _| revisions.contains(&what.revision));
        self.background.retain(|revision, _| revisions.contains(revision));
        self.failing.retain(|(id, _)| ids.contains(id.as_str()));
    }
}
