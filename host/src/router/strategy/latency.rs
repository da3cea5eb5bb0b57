//! `latency-based-routing`: the least time for an output token; of streams, to the first piece.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Ask, Strategy};
use crate::config::routing::StrategyArgs;
use crate::router::{Reason, Target};

/// As in LiteLLM: the mean of the last ten calls; who has none comes first; one of those that are slower than the
/// quickest by no more than the buffer is drawn.
#[derive(Debug)]
pub(super) struct LowestLatency(StrategyArgs);

impl LowestLatency {
    pub(super) fn new(args: StrategyArgs) -> Self {
        Self(args)
    }
}

impl Strategy for LowestLatency {
    fn choose(&self, candidates: &[&Arc<Target>], ask: &Ask<'_>) -> (usize, Reason) {
        let Self(args) = self;
        let measure = |target: &Target| target.vitals.mean_pace(ask.streaming, args.ttl, ask.now);
        let measured = candidates.iter().map(|target| measure(target).unwrap_or(0.0));
        let measured: SmallVec<[f64; 16]> = measured.collect();
        let lowest = measured.iter().copied().fold(f64::INFINITY, f64::min);
        let bar = lowest * (1.0 + args.lowest_latency_buffer);
        let mut near = measured.iter().enumerate().filter(|(_, seconds)| **seconds <= bar);
        let drawn = ask.dice.below(near.clone().count());
        match near.nth(drawn) {
            Some((index, seconds)) if *seconds > 0.0 => {
                (index, Reason::LowestLatency { seconds: *seconds, streaming: ask.streaming })
            }
            Some((index, _)) => (index, Reason::Unmeasured),
            None => (0, Reason::Unmeasured),
        }
    }
}
