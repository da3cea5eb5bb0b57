//! `least-busy`: the fewest calls under way; equals take turns.

use std::sync::Arc;

use super::{Ask, Rotation, Strategy};
use crate::router::{Reason, Target};

#[derive(Debug, Default)]
pub(super) struct LeastBusy(Rotation);

impl Strategy for LeastBusy {
    fn choose(&self, candidates: &[&Arc<Target>], _ask: &Ask<'_>) -> (usize, Reason) {
        let (index, in_flight) = self.0.least(candidates, |target| target.vitals.in_flight()).unwrap_or_default();
        (index, Reason::LeastBusy { in_flight })
    }
}
