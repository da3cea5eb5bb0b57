//! Which of several deployments that could all serve a call does.

mod cost;
mod latency;
mod least_busy;
mod power_of_two;
mod shuffle;
mod usage;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::dice::Dice;
use super::{Reason, Target};
use crate::config::Routing;
use crate::config::routing::StrategyKind;

/// A way to choose. Each group has its own, with what it remembers.
pub(super) trait Strategy: fmt::Debug + Send + Sync {
    /// The index of the one that serves, and why that one. There are at least two.
    fn choose(&self, candidates: &[&Arc<Target>], ask: &Ask<'_>) -> (usize, Reason);
}

/// What is to be known of the call.
pub(super) struct Ask<'a> {
    pub(super) streaming: bool,
    pub(super) now: Instant,
    pub(super) dice: &'a Dice,
}

/// The strategy of a group of these deployments.
pub(super) fn of(routing: &Routing, targets: &[Arc<Target>]) -> Box<dyn Strategy> {
    match routing.strategy {
        StrategyKind::SimpleShuffle => Box::new(shuffle::SimpleShuffle::new(targets)),
        StrategyKind::LeastBusy => Box::<least_busy::LeastBusy>::default(),
        StrategyKind::Latency => Box::new(latency::LowestLatency::new(routing.strategy_args)),
        StrategyKind::Usage => Box::<usage::LowestUsage>::default(),
        StrategyKind::Cost => Box::<cost::LowestCost>::default(),
        StrategyKind::PowerOfTwo => Box::new(power_of_two::PowerOfTwo),
    }
}

/// Whose turn it is among equals.
#[derive(Debug, Default)]
struct Rotation(AtomicUsize);

impl Rotation {
    /// The index of the least; of several the one whose turn it is, and with it what it was measured by.
    fn least<T: Copy + PartialOrd>(
        &self,
        candidates: &[&Arc<Target>],
        measure: impl Fn(&Target) -> T,
    ) -> Option<(usize, T)> {
        let offset = self.0.fetch_add(1, Ordering::Relaxed) % candidates.len().max(1);
        let measured = candidates.iter().enumerate().cycle().skip(offset).take(candidates.len());
        let measured = measured.map(|(index, target)| (index, measure(target)));
        measured.reduce(|best, each| if each.1 < best.1 { each } else { best })
    }
}
