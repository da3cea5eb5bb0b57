//! From attempt to attempt within a model group: another deployment at once, the same one after a while, or nothing.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Answer;
use super::attempt::{Asked, Failed};
use super::backoff;
use super::fit::Fit;
use super::journey::Journey;
use super::request::Request;
use super::{GatewayError, Pipeline};
use crate::canonical::RequestBody;
use crate::router::{Cure, Misfit, NoDeployment, Pick, Resolved, Route};

/// A look at a group that is all busy or cooling isn't repeated sooner.
const SOONEST_LOOK: Duration = Duration::from_millis(10);
/// Calls that wait for a free slot of one group; more are refused at once.
const MOST_WAITING: usize = 1_000;

/// What a call's attempts at one group have come to.
#[derive(Default)]
struct Trail {
    /// Positions of the deployments that failed, in order.
    tried: Vec<usize>,
    /// Attempts after the first one.
    retries: u32,
    /// The failure that is told, should there be no answer.
    told: Option<Box<Failed>>,
}

impl Trail {
    /// Adds a failure.
    fn push(&mut self, failed: Box<Failed>) {
        self.tried.push(failed.route.target.position);
        self.told = match self.told.take() {
            Some(before) if rank(&before) > rank(&failed) => Some(before),
            _ => Some(failed),
        };
    }
}

impl Pipeline {
    /// Answers a call by one of the group's deployments. `patient`: nobody else could serve it, so a group that is all
    /// busy or cooling is waited for.
    ///
    /// # Errors
    /// The failure that says most: one that time may cure before one that only the operator can.
    pub(super) async fn serve(
        &self,
        request: &Request,
        body: &RequestBody,
        group: &Resolved,
        patient: bool,
        journey: &mut Journey<'_>,
    ) -> Result<Answer, GatewayError> {
        let mut trail = Trail::default();
        let fit = Fit::new(self, request, body, group);
        group.group.retry_budget.deposit();
        let mut next = self.find(&fit, group, (&[], false), patient, journey).await;
        loop {
            let pick = match (next, trail.told.take()) {
                (Ok(pick), told) => {
                    trail.told = told;
                    pick
                }
                (Err(_), Some(failed)) => return Err(failed.error),
                (Err(none), None) => return Err(self.no_deployment(none, group, request)),
            };
            let deadline = journey.deadline(&request.limits, &pick.route.target.deployment);
            let asked = Asked { request, body, deadline };
            journey.begin_attempt(&pick);
            let named = self.config.routing.model_successors.then(|| pick.route.model.clone());
            let failed = match self.attempt_or_hedge(asked, &fit, group, pick, &mut trail, journey).await {
                Ok((answer, route)) => {
                    journey.end(&route, named.as_deref());
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            next = match self.next_step(request, &fit, group, failed, patient, &mut trail, journey).await {
                Some(next) => next,
                None => return Err(self.untold(trail, group, request)),
            };
        }
    }

    /// What is tried after a failure, once the wait is over that it takes; `None`: nothing.
    async fn next_step(
        &self,
        request: &Request,
        fit: &Fit<'_>,
        group: &Resolved,
        failed: Box<Failed>,
        patient: bool,
        trail: &mut Trail,
        journey: &mut Journey<'_>,
    ) -> Option<Result<Pick, NoDeployment>> {
        let (failure, allowed) = (failed.failure, self.allowed_retries(request, group, &failed));
        journey.end_attempt(&failed);
        trail.push(failed);
        if failure.kind.cure() == Cure::Nothing || allowed == 0 {
            return None;
        }
        // Another deployment is asked at once, and as often as there is one: that is what a group is for.
        let now = Instant::now();
        if let Ok(pick) = fit.choose(&trail.tried, false, now) {
            group.group.retry_budget.withdraw_anyway(now);
            trail.retries += 1;
            journey.entry.retries += 1;
            return Some(Ok(pick));
        }
        if failure.kind.cure() != Cure::Time || trail.retries >= allowed {
            return None;
        }
        let retries = &self.config.routing.retries;
        let wait = backoff::wait(trail.retries, failure.retry_after, retries.min_wait, &request.id);
        if wait > journey.may_wait(retries.max_wait) || !group.group.retry_budget.try_withdraw(now) {
            return None;
        }
        journey.sleep(wait).await;
        trail.retries += 1;
        journey.entry.retries += 1;
        Some(self.find(fit, group, (&trail.tried, true), patient, journey).await)
    }

    /// How often a call may be retried after this failure: the client's word, the deployment's, the policy for such
    /// failures (the group's before the general one), else `num_retries`.
    fn allowed_retries(&self, request: &Request, group: &Resolved, failed: &Failed) -> u32 {
        let retries = &self.config.routing.retries;
        let kind = failed.failure.kind;
        let own = request.num_retries.or(failed.route.target.deployment.routing.num_retries);
        let policy = || retries.group_policies.get(&group.group.name).and_then(|policy| kind.of(policy));
        own.or_else(policy).or_else(|| kind.of(&retries.policy)).unwrap_or(retries.count)
    }

    /// A deployment for the next attempt; where the group is all busy or cooling, once that has passed.
    async fn find(
        &self,
        fit: &Fit<'_>,
        group: &Resolved,
        (tried, again): (&[usize], bool),
        patient: bool,
        journey: &mut Journey<'_>,
    ) -> Result<Pick, NoDeployment> {
        let max_wait = self.config.routing.retries.max_wait;
        loop {
            let none = match fit.choose(tried, again, Instant::now()) {
                Ok(pick) => return Ok(pick),
                Err(none) => none,
            };
            let left = journey.may_wait(max_wait);
            match none {
                NoDeployment::Cooling { back_in, .. } | NoDeployment::RateLimited { back_in } => {
                    let wait = back_in.max(SOONEST_LOOK);
                    if !patient || wait > left {
                        return Err(none);
                    }
                    journey.sleep(wait).await;
                }
                NoDeployment::Full if patient && !left.is_zero() => {
                    let Some(_place) = group.queue(MOST_WAITING) else { return Err(none) };
                    journey.wait_for(left, group.freed()).await.map_err(|()| none)?;
                }
                _ => return Err(none),
            }
        }
    }

    /// One attempt, and a second one beside it where the first is slow and the operator wants that. Whichever answers
    /// first wins; the other is cancelled.
    async fn attempt_or_hedge(
        &self,
        asked: Asked<'_>,
        fit: &Fit<'_>,
        group: &Resolved,
        pick: Pick,
        trail: &mut Trail,
        journey: &mut Journey<'_>,
    ) -> Result<(Answer, Route), Box<Failed>> {
        let hedging = self.config.routing.hedging.as_ref();
        let delay = hedging.and_then(|hedging| {
            let slow = pick.route.target.vitals.first_byte_quantile(hedging.quantile)?;
            Some(slow.max(hedging.min_delay))
        });
        let Some(delay) = delay else {
            return self.attempt(asked, pick).await;
        };
        let (first_route, began) = (pick.route.clone(), Instant::now());
        let mut first = pin!(self.attempt(asked, pick));
        if let Ok(result) = tokio::time::timeout(delay, &mut first).await {
            return result;
        }
        let mut tried = trail.tried.clone();
        tried.push(first_route.target.position);
        let now = Instant::now();
        let second = match fit.choose(&tried, false, now) {
            Ok(second) if group.group.retry_budget.try_withdraw(now) => second,
            _ => return first.await,
        };
        let (second_route, second_began) = (second.route.clone(), now);
        journey.hedge();
        let mut second = pin!(self.attempt(asked, second));
        let (result, loser, first_is_left) = tokio::select! {
            result = &mut first => (result, (&second_route, second_began), false),
            result = &mut second => (result, (&first_route, began), true),
        };
        match result {
            Ok((answer, route)) => {
                journey.lose_hedge(loser.0, loser.1.elapsed());
                journey.win_hedge(&route, first_is_left);
                Ok((answer, route))
            }
            Err(failed) => {
                journey.end_attempt(&failed);
                trail.push(failed);
                let other = if first_is_left { first.await } else { second.await };
                other.map(|(answer, route)| {
                    journey.win_hedge(&route, !first_is_left);
                    (answer, route)
                })
            }
        }
    }

    /// The failure that a caller is told.
    fn untold(&self, trail: Trail, group: &Resolved, request: &Request) -> GatewayError {
        let none = || self.no_deployment(NoDeployment::Exhausted, group, request);
        trail.told.map_or_else(none, |failed| failed.error)
    }

    fn no_deployment(&self, none: NoDeployment, group: &Resolved, request: &Request) -> GatewayError {
        match none {
            NoDeployment::NoneFits(Misfit::Unusable) => self.why_unusable(&group.group.first, request),
            why => GatewayError::NoDeployment { model: request.model.clone(), why },
        }
    }
}

/// How much a failure says to a caller: one that passes before one that only the operator can cure.
fn rank(failed: &Failed) -> u8 {
    match failed.failure.kind.cure() {
        Cure::AnotherDeployment => 0,
        Cure::Time => 1,
        Cure::Nothing => 2,
    }
}
