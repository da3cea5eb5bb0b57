//! Which of a group's deployments serves an attempt.
//!
//! Whoever can serve it and is free to: of these the lowest `order`, of these whom the group's strategy names. A
//! deployment that was left alone and whose time is over is one like the others; the call that gets it probes it.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::group::is_usable;
use super::reason::Others;
use super::strategy::Ask;
use super::vitals::{Flight, Obstacle};
use super::{FailureKind, Reason, Resolved, Route, Router, Target};

/// What an attempt wants.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The client wants a stream.
    pub streaming: bool,
    /// Positions of the deployments that have failed this call, in order.
    pub tried: &'a [usize],
    /// Whether one that has failed may be called again.
    pub again: bool,
    /// Whether a deployment can serve the request at all; the text is the provider's own name of the model.
    pub fits: &'a (dyn Fn(&Target, &str) -> Result<(), Misfit> + Sync),
    /// Tokens that the request is thought to take.
    pub tokens: u64,
}

/// Why a deployment can't serve a request, whatever its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The prompt doesn't fit the model's context window.
    ContextWindow {
        /// The prompt's length, at least or about.
        tokens: u64,
        /// What the model takes.
        limit: u64,
    },
    /// The model can't do something: "take pictures", "call tools".
    Lacks(&'static str),
    /// Its tags are others than the request's.
    Tags,
    /// Its money, or its provider's, is spent.
    Spent {
        /// When there is money again, if ever.
        back_in: Option<Duration>,
    },
    /// It can't be asked at all: no plugin, no key, another endpoint.
    Unusable,
}

/// A deployment for one attempt.
#[derive(Debug)]
pub struct Pick {
    /// Which.
    pub route: Route,
    /// Why this one.
    pub reason: Reason,
    /// The attempt, as the deployment counts it.
    pub flight: Flight,
}

/// Why there is no deployment for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDeployment {
    /// All that could serve have failed this call.
    Exhausted,
    /// None can serve such a request; why the best of them can't.
    NoneFits(Misfit),
    /// All are left alone for a while.
    Cooling {
        /// Until the first comes back.
        back_in: Duration,
        /// All of them because of a rate limit.
        rate_limited: bool,
    },
    /// All have as many calls under way as they may.
    Full,
    /// All have had their calls or tokens of this minute.
    RateLimited {
        /// Until the first has some again.
        back_in: Duration,
    },
    /// The operator has blocked all.
    Blocked,
}

/// Deployments that an attempt may go to, and why it may not go to the others.
#[derive(Default)]
struct Survey<'a> {
    candidates: SmallVec<[&'a Arc<Target>; 16]>,
    others: Others,
    obstacles: Obstacles,
    misfit: Option<Misfit>,
}

/// What is in the way of all that could serve.
#[derive(Default)]
struct Obstacles {
    full: bool,
    cooling: Option<Duration>,
    /// One is left alone for another reason than a rate limit.
    ailing: bool,
    rate_limited: Option<Duration>,
}

impl Router {
    /// The deployment for an attempt, its slot taken.
    ///
    /// # Errors
    /// There is none now. Where deployments differ in what keeps them from being called: [`NoDeployment::Full`] if a
    /// slot could be given back any moment, else whoever comes back first.
    pub fn choose(&self, resolved: &Resolved, query: &Query<'_>, now: Instant) -> Result<Pick, NoDeployment> {
        let group = &resolved.group;
        resolved.looks_for_slots();
        let mut lost = Obstacles::default();
        // Another thread may take a deployment's last slot in between: at most that often as there are slots to lose.
        for _ in 0..=group.targets.len() {
            let mut survey = Survey::default();
            survey.look(resolved, query, false, now);
            if survey.candidates.is_empty() && query.again {
                survey.look(resolved, query, true, now);
            }
            survey.heed_probes();
            let Some((target, reason)) = self.pick(&mut survey, resolved, query, now) else {
                return Err(survey.nothing(resolved));
            };
            match Flight::begin(target, group, (query.streaming, query.tokens), now) {
                Ok(flight) => {
                    let reason = if flight.is_probe() { Reason::Probe } else { reason };
                    let route = Route { target: target.clone(), model: resolved.model(target).into_owned() };
                    return Ok(Pick { route, reason, flight });
                }
                Err(obstacle) => lost.add(obstacle),
            }
        }
        Err(lost.tell().unwrap_or(NoDeployment::Full))
    }

    fn pick<'a>(
        &self,
        survey: &mut Survey<'a>,
        resolved: &Resolved,
        query: &Query<'_>,
        now: Instant,
    ) -> Option<(&'a Arc<Target>, Reason)> {
        let group = &resolved.group;
        if let [only] = survey.candidates.as_slice() {
            let lone = group.targets.len() == 1;
            return Some((only, if lone { Reason::Only } else { Reason::OnlyOneLeft(survey.others) }));
        }
        let order = survey.candidates.iter().map(|target| order(target)).min()?;
        survey.candidates.retain(|target| self::order(target) == order);
        if let [only] = survey.candidates.as_slice() {
            return Some((only, Reason::FirstInOrder { order: only.deployment.routing.order }));
        }
        let ask = Ask { streaming: query.streaming, now, dice: &self.dice };
        let (index, reason) = group.strategy.choose(&survey.candidates, &ask);
        let chosen = survey.candidates.get(index).or(survey.candidates.first())?;
        Some((chosen, reason))
    }
}

/// Without an order it comes last.
fn order(target: &Target) -> (bool, i64) {
    let order = target.deployment.routing.order;
    (order.is_none(), order.unwrap_or_default())
}

impl<'a> Survey<'a> {
    /// Looks at the deployments that have failed this call, or at those that haven't.
    fn look(&mut self, resolved: &'a Resolved, query: &Query<'_>, tried: bool, now: Instant) {
        let group = &resolved.group;
        self.others.tried = 0;
        for target in &group.targets {
            if query.tried.contains(&target.position) != tried {
                self.others.tried += u32::from(!tried);
                continue;
            }
            // If none can be called, one that can't tells why.
            if target.deployment.routing.blocked || (group.usable && !is_usable(&target.deployment)) {
                self.others.unusable += 1;
                continue;
            }
            if let Err(misfit) = (query.fits)(target, &resolved.model(target)) {
                self.others.unfit += 1;
                self.misfit = self.misfit.into_iter().chain([misfit]).max_by_key(Misfit::nearness);
                continue;
            }
            match target.vitals.obstacle(&target.rules, group.by_id, query.tokens, now) {
                None => self.candidates.push(target),
                Some(obstacle) => {
                    match obstacle {
                        Obstacle::Cooling { .. } => self.others.cooling += 1,
                        Obstacle::Full => self.others.full += 1,
                        Obstacle::RateLimited { .. } => self.others.rate_limited += 1,
                    }
                    self.obstacles.add(obstacle);
                }
            }
        }
    }

    /// Leaves out whom a probe found unwell; where it found all so, one of them may serve all the same.
    fn heed_probes(&mut self) {
        let unwell = self.candidates.iter().filter(|target| target.vitals.found_unwell()).count();
        if unwell > 0 && unwell < self.candidates.len() {
            self.candidates.retain(|target| !target.vitals.found_unwell());
            self.others.unwell += u32::try_from(unwell).unwrap_or(u32::MAX);
        }
    }

    /// Why there is no candidate.
    fn nothing(&self, resolved: &Resolved) -> NoDeployment {
        if let Some(reason) = self.obstacles.tell() {
            return reason;
        }
        let all = resolved.group.targets.len();
        match self.misfit {
            _ if self.others.unusable as usize == all => NoDeployment::Blocked,
            Some(misfit) if self.others.tried == 0 => NoDeployment::NoneFits(misfit),
            _ => NoDeployment::Exhausted,
        }
    }
}

impl Obstacles {
    fn add(&mut self, obstacle: Obstacle) {
        let sooner = |known: Option<Duration>, new| Some(known.map_or(new, |known| known.min(new)));
        match obstacle {
            Obstacle::Full => self.full = true,
            Obstacle::RateLimited { back_in } => self.rate_limited = sooner(self.rate_limited, back_in),
            Obstacle::Cooling { back_in, because } => {
                self.cooling = sooner(self.cooling, back_in);
                self.ailing |= because != FailureKind::RateLimited;
            }
        }
    }

    fn tell(&self) -> Option<NoDeployment> {
        match (self.cooling, self.rate_limited) {
            _ if self.full => Some(NoDeployment::Full),
            (Some(back_in), over) if over.is_none_or(|over| back_in <= over) => {
                Some(NoDeployment::Cooling { back_in, rate_limited: !self.ailing })
            }
            (_, Some(back_in)) => Some(NoDeployment::RateLimited { back_in }),
            (_, None) => None,
        }
    }
}

impl Misfit {
    /// What comes nearer to fitting is what a client hears of.
    fn nearness(&self) -> (u8, u64) {
        match self {
            Self::Unusable => (0, 0),
            Self::Tags => (0, 1),
            Self::Lacks(_) => (1, 0),
            Self::ContextWindow { limit, .. } => (2, *limit),
            // Whoever comes back first is told.
            Self::Spent { back_in } => (3, back_in.map_or(0, |wait| u64::MAX - wait.as_secs())),
        }
    }
}
