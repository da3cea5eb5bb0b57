//! An attempt under way, as its deployment counts it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::counts::LastFailure;
use super::{Grant, Obstacle};
use crate::router::{Failure, FailureKind, Group, Target};
use crate::usage::Usage;

/// An attempt under way. Dropped without a word it was cancelled, which is nobody's fault.
///
/// Its end is counted once, and then what it held is given back: its slot, and the permit to probe.
pub struct Flight {
    target: Arc<Target>,
    group: Arc<Group>,
    /// When the attempt began.
    pub began: Instant,
    first_byte: Option<Duration>,
    streaming: bool,
    grant: Grant,
    /// Tokens that it has used, as far as the provider has said so.
    used: Option<u64>,
    ended: bool,
}

/// What a failure came to for its deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Consequence {
    /// It doesn't count.
    Exempt,
    /// It was counted.
    Counted,
    /// The deployment is left alone until then.
    CooledDown(Instant),
}

impl Flight {
    /// Begins an attempt, if nothing is in the way.
    pub(in crate::router) fn begin(
        target: &Arc<Target>,
        group: &Arc<Group>,
        (streaming, tokens): (bool, u64),
        now: Instant,
    ) -> Result<Self, Obstacle> {
        let admitted = target.vitals.admit(&target.rules, group.by_id, tokens, now);
        // Whoever found none free had taken nothing; the other refusals come when a slot was taken, for a moment.
        let gave_back = admitted.as_ref().is_err_and(|obstacle| *obstacle != Obstacle::Full);
        if gave_back && target.rules.slots.is_some() {
            group.shared.slot_freed();
        }
        let (target, group) = (target.clone(), group.clone());
        Ok(Self { target, group, began: now, first_byte: None, streaming, grant: admitted?, used: None, ended: false })
    }

    /// It finds out whether the deployment is well again.
    pub fn is_probe(&self) -> bool {
        self.grant.probe.is_some()
    }

    /// The first piece of the answer is here. A probe that has brought one has done its work.
    pub fn first_byte(&mut self, now: Instant) {
        if self.first_byte.is_some() {
            return;
        }
        let time = now.saturating_duration_since(self.began);
        self.first_byte = Some(time);
        let probe = std::mem::take(&mut self.grant.probe);
        self.target.vitals.change(|record| {
            record.counts.first_bytes += 1;
            record.counts.first_byte_time += time;
            record.latency.first_byte(time, self.streaming, now);
            if let Some(permit) = probe {
                record.circuit.answered(permit);
            }
        });
    }

    /// The provider has said what the attempt has used so far. That counts even if no whole answer comes of it.
    pub fn used(&mut self, usage: &Usage) {
        self.used = Some(tokens(usage));
    }

    /// The deployment isn't called after all: as if it had never been chosen.
    pub fn never_mind(mut self) {
        self.ended = true;
        let Grant { probe, reservation } = self.grant;
        if probe.is_none() && reservation.is_none() {
            return;
        }
        self.target.vitals.change(|record| {
            if let Some(reservation) = reservation {
                record.rate.forget(reservation, self.began);
            }
            if let Some(permit) = probe {
                record.circuit.told_nothing(permit);
            }
        });
    }

    /// The answer is whole.
    pub fn succeed(mut self, usage: Option<&Usage>, now: Instant) {
        self.first_byte(now);
        self.ended = true;
        let time = now.saturating_duration_since(self.began);
        self.target.vitals.change(|record| {
            record.counts.successes += 1;
            record.counts.success_time += time;
            // Of a stream it is its reader who decides how long it takes.
            if !self.streaming {
                record.latency.whole(time, usage.map_or(0, |usage| usage.completion_tokens), now);
            }
            record.rate.settle(self.grant.reservation, usage.map(tokens).or(self.used), now);
            if record.circuit.concerns(self.target.access) {
                record.circuit.succeeded(now);
            }
        });
    }

    /// The attempt failed.
    pub fn fail(mut self, failure: Failure, now: Instant) -> Consequence {
        self.ended = true;
        let kind = failure.kind;
        let time = now.saturating_duration_since(self.began);
        let Grant { probe, reservation } = self.grant;
        self.target.vitals.change(|record| {
            record.counts.failed(kind);
            record.last_failure = Some(LastFailure { kind, at: now });
            // Nobody charges for what wasn't answered.
            record.rate.settle(reservation, Some(self.used.unwrap_or(0)), now);
            if kind == FailureKind::Timeout {
                record.latency.timed_out(time, self.streaming, now);
            }
            if !self.target.rules.cooldown.counts(kind) || !record.circuit.concerns(self.target.access) {
                if let Some(permit) = probe {
                    record.circuit.told_nothing(permit);
                }
                return Consequence::Exempt;
            }
            let was_cooling = record.circuit.is_cooling();
            let consequence = record.circuit.failed(failure, probe, &self.target.rules.cooldown, now);
            // One that is made longer is still the same.
            record.counts.cooldowns += u64::from(!was_cooling && record.circuit.is_cooling());
            consequence
        })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let vitals = &self.target.vitals;
        if !self.ended {
            let Grant { probe, reservation } = self.grant;
            // Who drops it doesn't tell when.
            let now = Instant::now().max(self.began);
            vitals.change(|record| {
                record.counts.cancelled += 1;
                record.rate.settle(reservation, self.used, now);
                if let Some(permit) = probe {
                    record.circuit.told_nothing(permit);
                }
            });
        }
        vitals.in_flight.fetch_sub(1, Ordering::AcqRel);
        if self.target.rules.slots.is_some() {
            self.group.shared.slot_freed();
        }
    }
}

fn tokens(usage: &Usage) -> u64 {
    usage.prompt_tokens.saturating_add(usage.completion_tokens)
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut flight = f.debug_struct("Flight");
        flight.field("deployment", &self.target.deployment.id).field("group", &self.group.name);
        flight.field("began", &self.began).field("probe", &self.is_probe()).finish_non_exhaustive()
    }
}
