//! `usage-based-routing` (v1 and v2): the fewest tokens within the last minute; equals take turns.

use std::sync::Arc;

use super::{Ask, Rotation, Strategy};
use crate::router::{Reason, Target};

#[derive(Debug, Default)]
pub(super) struct LowestUsage(Rotation);

impl Strategy for LowestUsage {
    fn choose(&self, candidates: &[&Arc<Target>], ask: &Ask<'_>) -> (usize, Reason) {
        let (index, tokens) = self.0.least(candidates, |target| target.vitals.used(ask.now).tokens).unwrap_or_default();
        (index, Reason::FewestTokens { tokens })
    }
}
