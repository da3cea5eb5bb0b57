//! Claims that were taken, in this process and perhaps for all gateways: given back when they are dropped.

use std::cmp::Reverse;
use std::sync::{Arc, MutexGuard};
use std::time::SystemTime;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::account::State;
use super::claim::{Amount, Claim, End, Refusal, Shared, Standing, Standings, Ticket};
use super::line::{Line, Lines};
use super::{Estimate, Rate};
use crate::config::FailClosed;
use crate::money::Money;

/// What is claimed together.
#[derive(Debug, Default)]
pub(super) struct Demand {
    pub(super) lines: Lines,
    pub(super) claims: SmallVec<[Claim; 6]>,
    /// Whose each claim is, by the position of the line.
    owners: SmallVec<[usize; 6]>,
}

/// Claims that were taken. Dropped, they are given back.
#[derive(Debug)]
pub(super) struct Part {
    lines: Lines,
    claims: Arc<[Claim]>,
    owners: SmallVec<[usize; 6]>,
    /// In which second each was taken.
    seconds: SmallVec<[u64; 6]>,
    standings: Standings,
    shared: Option<(Arc<dyn Shared>, Ticket)>,
    /// What became of it.
    end: End,
}

// === impl Demand ===

impl Demand {
    /// Money of these: at the dearest what is estimated, or nothing where the operator wants no reservations.
    pub(super) fn money(&mut self, lines: &[Arc<Line>], amount: Money, at: SystemTime, knows: bool) {
        for line in lines {
            let Some(allowance) = line.allowance else { continue };
            let since = allowance.since(at);
            let known = if knows { Money::from_pico(line.account.lock().spent(since)) } else { Money::ZERO };
            let period = allowance.term(at).map(|term| term.until.duration_since(term.since).unwrap_or_default());
            self.add(line, Amount::Money { amount, limit: Some(allowance.max), since, period, known });
        }
    }

    /// Requests, tokens and calls at a time of these.
    pub(super) fn rates(&mut self, lines: &[Arc<Line>], estimate: &Estimate) {
        for line in lines {
            let tokens = estimate.tokens(line.tokens.unwrap_or(u64::MAX));
            let of = [
                (Rate::Parallel, 1, line.parallel),
                (Rate::Requests, 1, line.requests),
                (Rate::Tokens, tokens, line.tokens),
            ];
            for (what, amount, limit) in of {
                if limit.is_some() {
                    self.add(line, Amount::Rate { what, amount, limit });
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Whether it is refused rather than granted by this process alone.
    pub(super) fn may_not_fail(&self, FailClosed { rates, budgets }: FailClosed) -> bool {
        self.claims.iter().any(|claim| if matches!(claim.of, Amount::Money { .. }) { budgets } else { rates })
    }

    /// Whose a claim is.
    pub(super) fn line_of(&self, claim: usize) -> Option<&Line> {
        self.lines.get(*self.owners.get(claim)?).map(|line| &**line)
    }

    fn add(&mut self, line: &Arc<Line>, of: Amount) {
        let known = self.lines.iter().position(|other| Arc::ptr_eq(&other.account, &line.account));
        let owner = known.unwrap_or_else(|| {
            self.lines.push(line.clone());
            self.lines.len() - 1
        });
        self.claims.push(Claim { scope: line.scope().clone(), of });
        self.owners.push(owner);
    }

    /// Takes all of it in this process, or nothing; with `bound`, if no limit stands against it.
    pub(super) fn take(&mut self, bound: bool, now: Instant, at: SystemTime) -> Result<Part, Refusal> {
        // The locks of all accounts, always in the same order: nobody sees half of what is taken, and nobody waits for
        // somebody who waits for him.
        let mut order: SmallVec<[usize; 6]> = (0..self.lines.len()).collect();
        order.sort_unstable_by_key(|index| Reverse(self.lines.get(*index).map(|line| line.account.number)));
        let lines = self.lines.clone();
        let mut states: SmallVec<[(usize, MutexGuard<'_, State>); 6]> =
            order.iter().filter_map(|index| Some((*index, lines.get(*index)?.account.lock()))).collect();
        states.sort_unstable_by_key(|(index, _)| *index);
        let mut refused = None;
        for (position, (claim, owner)) in self.claims.iter().zip(&self.owners).enumerate() {
            let Some((_, state)) = states.get_mut(*owner).filter(|_| bound) else { break };
            let used = used(state, claim, now);
            if !claim.fits(used) {
                let retry_after = match (&claim.of, claim.limit()) {
                    (Amount::Rate { what, .. }, Some(limit)) if claim.reserved() <= limit => {
                        Some(state.wait(*what, limit - claim.reserved(), now))
                    }
                    (Amount::Money { .. }, _) => {
                        lines.get(*owner).and_then(|line| line.allowance).and_then(|allowance| allowance.resets_in(at))
                    }
                    _ => None,
                };
                refused = Some(Refusal { claim: position, used, retry_after });
                break;
            }
        }
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        let (mut seconds, mut standings) = (SmallVec::new(), Standings::new());
        for (claim, owner) in self.claims.iter().zip(&self.owners) {
            let Some((_, state)) = states.get_mut(*owner) else { break };
            let (second, resets_in) = match &claim.of {
                Amount::Rate { what, .. } => {
                    let second = state.take(*what, claim.reserved(), now);
                    (second, state.wait(*what, 0, now))
                }
                Amount::Money { since, .. } => {
                    state.reserve(*since, claim.reserved());
                    let allowance = lines.get(*owner).and_then(|line| line.allowance);
                    (0, allowance.and_then(|allowance| allowance.resets_in(at)).unwrap_or_default())
                }
            };
            seconds.push(second);
            standings.push(Standing { used: used(state, claim, now), resets_in });
        }
        drop(states);
        let Self { claims, owners, .. } = std::mem::take(self);
        Ok(Part {
            lines,
            claims: claims.into_iter().collect(),
            owners,
            seconds,
            standings,
            shared: None,
            end: End::Cancelled,
        })
    }
}

fn used(state: &mut State, claim: &Claim, now: Instant) -> i64 {
    match &claim.of {
        Amount::Rate { what, .. } => state.used(*what, now),
        Amount::Money { since, .. } => state.spent_or_reserved(*since),
    }
}

// === impl Part ===

impl Part {
    /// It was taken for all gateways too, where it stands like this.
    pub(super) fn shared_by(&mut self, shared: Arc<dyn Shared>, ticket: Ticket, standings: Standings) {
        self.shared = Some((shared, ticket));
        if standings.len() == self.claims.len() {
            self.standings = standings;
        }
    }

    /// What was taken.
    pub(super) fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The calls were made, and took this.
    pub(super) fn settle(mut self, end: End) {
        self.end = end;
    }

    /// Whether money of this one was claimed.
    pub(super) fn has_money_of(&self, line: &Line) -> bool {
        let is_its = |owner: &usize| self.lines.get(*owner).is_some_and(|own| std::ptr::eq(&**own, line));
        self.claims
            .iter()
            .zip(&self.owners)
            .any(|(claim, owner)| matches!(claim.of, Amount::Money { .. }) && is_its(owner))
    }

    /// How the rates that bind stood when they were taken: of what, the limit, what is used of it.
    pub(super) fn rates(&self) -> impl Iterator<Item = (Rate, u64, Standing)> {
        self.claims.iter().zip(&self.standings).filter_map(|(claim, standing)| match &claim.of {
            Amount::Rate { what, limit: Some(limit), .. } => Some((*what, *limit, *standing)),
            _ => None,
        })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let now = Instant::now();
        for ((claim, owner), second) in self.claims.iter().zip(&self.owners).zip(&self.seconds) {
            let Some(line) = self.lines.get(*owner) else { continue };
            let (reserved, kept) = (claim.reserved(), claim.kept(self.end));
            let mut state = line.account.lock();
            match &claim.of {
                Amount::Rate { what, .. } if kept < reserved => {
                    state.give_back(*what, reserved - kept, *second, now);
                }
                Amount::Rate { what, .. } if kept > reserved => {
                    state.take(*what, kept - reserved, now);
                }
                Amount::Rate { .. } => {}
                Amount::Money { since, .. } => state.settle(*since, reserved, kept),
            }
        }
        if let Some((shared, ticket)) = self.shared.take() {
            shared.settle(ticket, self.claims.clone(), self.end);
        }
    }
}
