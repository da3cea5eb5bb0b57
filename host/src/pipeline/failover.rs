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
use crate::usage::Meter;

/// A look at a group that is all busy or cooling isn't repeated sooner.
const SOONEST_LOOK: Duration = Duration::from_millis(10);
/// Calls that wait for a free slot of one group; more are refused at once.
const MOST_WAITING: usize = 1_000;

/// A call at one group.
pub(super) struct Serving<'a> {
    pipeline: &'a Pipeline,
    request: &'a Request,
    /// The request's own, or what a fallback wants instead.
    body: &'a RequestBody,
    group: &'a Resolved,
    fit: Fit<'a>,
    /// It is the group that the client named, not a fallback.
    is_first: bool,
    /// Positions of the deployments that failed, in order.
    tried: Vec<usize>,
    /// Attempts after the first one.
    retries: u32,
    /// The failure that is told, should there be no answer.
    told: Option<Box<Failed>>,
}

impl<'a> Serving<'a> {
    pub(super) fn new(
        pipeline: &'a Pipeline,
        request: &'a Request,
        body: &'a RequestBody,
        group: &'a Resolved,
        is_first: bool,
    ) -> Self {
        let fit = Fit::new(pipeline, request, body, group);
        Self { pipeline, request, body, group, fit, is_first, tried: Vec::new(), retries: 0, told: None }
    }

    /// The deployment at this position has failed the call before.
    pub(super) fn without(mut self, position: usize) -> Self {
        self.tried.push(position);
        self
    }

    /// Answers the call by one of the group's deployments.
    ///
    /// # Errors
    /// The failure that says most: one that time may cure before one that only the operator can.
    pub(super) async fn run(mut self, journey: &mut Journey<'_>) -> Result<(Answer, Route), GatewayError> {
        self.group.group.retry_budget.deposit();
        self.fit.heed_budgets(journey.entry);
        let mut next = self.find(false, journey).await;
        loop {
            let pick = match next {
                Ok(pick) => pick,
                Err(none) => return Err(self.last_word(none)),
            };
            let deadline = journey.deadline(&self.request.limits, &pick.route.target.deployment);
            journey.begin_attempt(&pick);
            let meter = journey.entry.meter.clone();
            let asked = Asked { request: self.request, body: self.body, deadline, meter: meter.as_ref() };
            let failed = match self.attempt_or_hedge(asked, pick, journey).await {
                Ok((mut answer, route)) => {
                    journey.end(&mut answer, &route);
                    return Ok((answer, route));
                }
                Err(failed) => failed,
            };
            next = match self.next_step(failed, journey).await {
                Some(next) => next,
                None => return Err(self.last_word(NoDeployment::Exhausted)),
            };
        }
    }

    /// What is tried after a failure, once the wait is over that it takes; `None`: nothing.
    async fn next_step(
        &mut self,
        failed: Box<Failed>,
        journey: &mut Journey<'_>,
    ) -> Option<Result<Pick, NoDeployment>> {
        let (failure, allowed) = (failed.failure, self.allowed_retries(&failed));
        self.note(failed, journey);
        if failure.kind.cure() == Cure::Nothing || allowed == 0 || journey.is_late() {
            return None;
        }
        // Another deployment is asked at once, and as often as there is one: that is what a group is for.
        let now = Instant::now();
        let budget = &self.group.group.retry_budget;
        if let Ok(pick) = self.fit.choose(&self.tried, false, now) {
            budget.withdraw_anyway(now);
            self.count_retry(journey);
            return Some(Ok(pick));
        }
        if failure.kind.cure() != Cure::Time || self.retries >= allowed {
            return None;
        }
        let retries = &self.pipeline.config.routing.retries;
        let mut wait = backoff::wait(self.retries, failure.retry_after, retries.min_wait, &self.request.id);
        // Sleeping is for nothing where nobody will be there afterwards.
        match self.fit.choose(&self.tried, true, now) {
            Ok(pick) => pick.flight.never_mind(),
            Err(NoDeployment::Cooling { back_in, .. } | NoDeployment::RateLimited { back_in }) if back_in > wait => {
                if !self.is_patient() {
                    return None;
                }
                wait = back_in;
            }
            Err(_) => {}
        }
        if wait > journey.may_wait(retries.max_wait) || !budget.try_withdraw(now) {
            return None;
        }
        journey.sleep(wait).await;
        self.count_retry(journey);
        Some(self.find(true, journey).await)
    }

    /// A deployment for the next attempt; where the group is all busy or cooling, once that has passed. `again`: it may
    /// be one that has failed the call.
    async fn find(&self, again: bool, journey: &mut Journey<'_>) -> Result<Pick, NoDeployment> {
        let max_wait = self.pipeline.config.routing.retries.max_wait;
        loop {
            let none = match self.fit.choose(&self.tried, again, Instant::now()) {
                Ok(pick) => return Ok(pick),
                Err(none) => none,
            };
            let left = journey.may_wait(max_wait);
            match none {
                NoDeployment::Cooling { back_in, .. } | NoDeployment::RateLimited { back_in } => {
                    let wait = back_in.max(SOONEST_LOOK);
                    if wait > left || !self.is_patient() {
                        return Err(none);
                    }
                    journey.sleep(wait).await;
                }
                NoDeployment::Full if !left.is_zero() && self.is_patient() => {
                    let Some(_place) = self.group.queue(MOST_WAITING) else { return Err(none) };
                    journey.wait_for(left, self.group.freed()).await.map_err(|()| none)?;
                }
                _ => return Err(none),
            }
        }
    }

    /// One attempt, and a second one beside it where the first is slow and the operator wants that. Whichever answers
    /// first wins; the other is cancelled.
    async fn attempt_or_hedge(
        &mut self,
        asked: Asked<'_>,
        pick: Pick,
        journey: &mut Journey<'_>,
    ) -> Result<(Answer, Route), Box<Failed>> {
        let pipeline = self.pipeline;
        let Some(delay) = self.hedge_after(&pick) else { return pipeline.attempt(asked, pick).await };
        let (first_route, began) = (pick.route.clone(), Instant::now());
        let mut first = pin!(pipeline.attempt(asked, pick));
        if let Ok(result) = tokio::time::timeout(delay, &mut first).await {
            return result;
        }
        let Some(second) = self.beside(&first_route) else { return first.await };
        let (second_route, second_began) = (second.route.clone(), Instant::now());
        journey.hedge();
        let other_meter = asked.meter.map(|_| Meter::default());
        let beside = Asked { meter: other_meter.as_ref(), ..asked };
        let mut second = pin!(pipeline.attempt(beside, second));
        let (result, (loser, loser_began, its_meter), first_is_left) = tokio::select! {
            result = &mut first => (result, (second_route, second_began, other_meter.as_ref()), false),
            result = &mut second => (result, (first_route, began, asked.meter), true),
        };
        match result {
            Ok((answer, route)) => {
                journey.lose_hedge(&loser, loser_began.elapsed(), its_meter);
                journey.win_hedge(&route, first_is_left);
                if first_is_left {
                    journey.entry.meter.clone_from(&other_meter);
                }
                Ok((answer, route))
            }
            Err(failed) => {
                self.note(failed, journey);
                journey.entry.meter = if first_is_left { asked.meter.cloned() } else { other_meter.clone() };
                let other = if first_is_left { first.await } else { second.await };
                other.inspect(|(_, route)| journey.win_hedge(route, !first_is_left))
            }
        }
    }

    /// How long an attempt may show nothing until a second one begins, if one ever does.
    fn hedge_after(&self, pick: &Pick) -> Option<Duration> {
        let hedging = self.pipeline.config.routing.hedging.as_ref()?;
        let slow = pick.route.target.vitals.first_byte_quantile(hedging.quantile, self.request.streaming)?;
        Some(slow.max(hedging.min_delay))
    }

    /// A deployment for an attempt beside the one at `first`, paid for from the budget of retries.
    fn beside(&self, first: &Route) -> Option<Pick> {
        let mut tried = self.tried.clone();
        tried.push(first.target.position);
        let now = Instant::now();
        let second = self.fit.choose(&tried, false, now).ok()?;
        if self.group.group.retry_budget.try_withdraw(now) {
            return Some(second);
        }
        second.flight.never_mind();
        None
    }

    /// How often the call may be retried after this failure.
    fn allowed_retries(&self, failed: &Failed) -> u32 {
        let own = self.request.num_retries.or(failed.route.target.deployment.routing.num_retries);
        failed.failure.kind.retries(&self.pipeline.config.routing.retries, &self.group.group.name, own)
    }

    fn count_retry(&mut self, journey: &mut Journey<'_>) {
        self.retries += 1;
        journey.entry.retries += 1;
    }

    /// An attempt failed.
    fn note(&mut self, failed: Box<Failed>, journey: &mut Journey<'_>) {
        journey.end_attempt(&failed.ending());
        self.tried.push(failed.route.target.position);
        self.told = match self.told.take() {
            Some(before) if rank(&before) > rank(&failed) => Some(before),
            _ => Some(failed),
        };
    }

    /// Nobody else could serve the call, so a group that is all busy or cooling is waited for.
    fn is_patient(&self) -> bool {
        self.is_first && !self.pipeline.has_fallback(self.request, self.group)
    }

    /// What a caller is told: the failure that says most, else why nobody was asked.
    fn last_word(self, none: NoDeployment) -> GatewayError {
        match self.told {
            Some(failed) => failed.error,
            None => self.no_deployment(none),
        }
    }

    fn no_deployment(&self, none: NoDeployment) -> GatewayError {
        match none {
            NoDeployment::NoneFits(Misfit::Unusable) => {
                self.pipeline.why_unusable(&self.group.group.first, self.request)
            }
            why => GatewayError::NoDeployment { model: self.request.model.clone(), why },
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
