//! `simple-shuffle`: by weight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Ask, Strategy};
use crate::router::{Reason, Target};

/// The golden ratio's fraction of 2⁶⁴: multiples of it are spread most evenly over all numbers.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Deployments take turns: by `weight` where any has one (then one without has none, as in LiteLLM), else by `rpm`, else
/// by `tpm`, else evenly.
///
/// Turn after turn steps by the golden ratio through the weights laid end to end: shares come out even after few
/// calls, and no randomness is needed.
#[derive(Debug)]
pub(super) struct SimpleShuffle {
    weight: fn(&Target) -> Option<f64>,
    turns: AtomicU64,
}

impl SimpleShuffle {
    pub(super) fn new(targets: &[Arc<Target>]) -> Self {
        let weights: [fn(&Target) -> Option<f64>; 3] = [
            |target| target.deployment.weight,
            |target| target.deployment.routing.rpm.map(|limit| limit as f64),
            |target| target.deployment.routing.tpm.map(|limit| limit as f64),
        ];
        let said = |weight: &fn(&Target) -> Option<f64>| targets.iter().any(|target| weight(target).is_some());
        let weight = weights.into_iter().find(said).unwrap_or(|_| Some(1.0));
        Self { weight, turns: AtomicU64::new(0) }
    }
}

impl Strategy for SimpleShuffle {
    fn choose(&self, candidates: &[&Arc<Target>], _ask: &Ask<'_>) -> (usize, Reason) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
        let place = (turn >> 11) as f64 / (1u64 << 53) as f64;
        let said = |target: &Target| (self.weight)(target).unwrap_or(0.0).max(0.0);
        let sum: f64 = candidates.iter().map(|target| said(target)).sum();
        // Those that have a share aren't there: the others have the same.
        let (of, even) = if sum > 0.0 { (sum, false) } else { (candidates.len() as f64, true) };
        let weight = |target: &Target| if even { 1.0 } else { said(target) };
        let mut left = place * of;
        let chosen = candidates.iter().position(|target| {
            left -= weight(target);
            left < 0.0
        });
        // Rounding may leave a hair: it is the last one's that has a share.
        let chosen = chosen.or_else(|| candidates.iter().rposition(|target| weight(target) > 0.0)).unwrap_or(0);
        let weight = candidates.get(chosen).map_or(0.0, |target| weight(target));
        (chosen, Reason::Turn { weight, of })
    }
}
