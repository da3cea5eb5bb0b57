//! What a call has been through: its attempts, told in the log as they end, and what of its time is left.

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::Instant;

use super::GatewayError;
use super::answer::Answer;
use super::patience::Limits;
use super::request::Request;
use crate::config::Deployment;
use crate::router::{Consequence, Cure, FailureKind, Pick, Reason, Route};
use crate::telemetry::{self, Line};
use crate::usage::{Attempt, Entry, Meter, ServedBy, Usage};

/// A call on its way from deployment to deployment.
pub(super) struct Journey<'a> {
    pub(super) entry: &'a mut Entry,
    /// Whom the attempts are made for: the client's model, then each fallback.
    group: Cow<'a, str>,
    began: Instant,
    deadline: Option<Instant>,
    waited: Duration,
    /// Since the call came in, when the attempt under way began.
    attempt_began: Duration,
}

impl<'a> Journey<'a> {
    pub(super) fn new(entry: &'a mut Entry, request: &'a Request) -> Self {
        let began = Instant::now();
        // Without a word of the client's it depends on the deployment that is asked first.
        let deadline = request.limits.total.map(|total| began + total);
        Self {
            entry,
            group: Cow::Borrowed(&request.model),
            began,
            deadline,
            waited: Duration::ZERO,
            attempt_began: Duration::ZERO,
        }
    }

    /// A fallback takes over.
    pub(super) fn fall_back(&mut self, model: &str) {
        self.group = Cow::Owned(model.to_owned());
        self.entry.fallbacks += 1;
        self.entry.group = Some(model.to_owned());
    }

    /// Nobody serves the fallback that has taken over.
    pub(super) fn log_missing(&self) {
        tracing::warn!(
            call_id = self.entry.call_id,
            fallback = &*self.group,
            "no deployment has the name of a fallback"
        );
    }

    /// When the caller gives up.
    pub(super) fn deadline(&mut self, limits: &Limits, first: &Deployment) -> Instant {
        *self.deadline.get_or_insert_with(|| limits.deadline(self.began, first))
    }

    /// How much longer the call may wait without asking anybody.
    pub(super) fn may_wait(&self, max_wait: Duration) -> Duration {
        let left = self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        max_wait.saturating_sub(self.waited).min(left)
    }

    pub(super) async fn sleep(&mut self, wait: Duration) {
        tokio::time::sleep(wait).await;
        self.waited += wait;
        self.entry.wait_for_upstream(wait);
    }

    /// Waits for `event`, at most `most`.
    pub(super) async fn wait_for(&mut self, most: Duration, event: impl Future<Output = ()>) -> Result<(), ()> {
        let began = Instant::now();
        let came = tokio::time::timeout(most, event).await;
        self.waited += began.elapsed();
        self.entry.wait_for_upstream(began.elapsed());
        came.map_err(drop)
    }

    pub(super) fn begin_attempt(&mut self, pick: &Pick) {
        self.entry.attempts += 1;
        self.attempt_began = self.entry.elapsed();
        self.entry.meter = Some(Meter::default());
        self.entry.reason = Some(pick.reason);
        self.serve_by(&pick.route);
    }

    /// An answer is here.
    pub(super) fn end(&mut self, answer: &mut Answer, route: &Route) {
        self.entry.wait_for_upstream(answer.waited);
        self.trace(route, self.attempt_began, None, None);
        self.entry.successor = answer.successor.take();
        if let (Some(by), true) = (&mut self.entry.served_by, self.entry.successor.is_some()) {
            by.model.clone_from(&route.model);
        }
    }

    /// The caller has given up by now.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// A second attempt begins beside the one under way.
    pub(super) fn hedge(&mut self) {
        self.entry.attempts += 1;
        self.entry.hedged = true;
    }

    /// One of two attempts side by side has answered.
    pub(super) fn win_hedge(&mut self, route: &Route, is_second: bool) {
        self.serve_by(route);
        if is_second {
            self.entry.reason = Some(Reason::Hedge);
        }
    }

    pub(super) fn serve_by(&mut self, route: &Route) {
        let deployment = &route.target.deployment;
        if let Some(call) = &mut self.entry.call {
            call.pricing = Some(deployment.pricing.clone());
        }
        self.entry.served_by = Some(ServedBy {
            deployment: deployment.id.clone(),
            provider: deployment.provider.clone(),
            model: route.model.clone(),
        });
    }

    /// An attempt failed: its line, and what it used although it did.
    pub(super) fn end_attempt(&mut self, ending: &Ending<'_>) {
        let kind = ending.kind.name();
        self.entry.meter = None;
        let spent = self.entry.charge_failed(ending.route, ending.spent, ending.is_sent);
        self.entry.wait_for_upstream(ending.waited);
        let began = self.entry.elapsed().saturating_sub(ending.took);
        self.trace(ending.route, began, Some(ending.took), Some(kind));
        self.entry.note_failed(&ending.route.target.deployment.id, kind, spent);
        let consequence = match ending.consequence {
            Consequence::Exempt => None,
            Consequence::Counted => Some("counted against the deployment".to_owned()),
            Consequence::CooledDown(until) => {
                let wait = until.saturating_duration_since(Instant::now());
                Some(format!("left alone for {:.1} s", wait.as_secs_f64()))
            }
        };
        // What a client did wrong is nothing to warn its operator of.
        let level = if ending.kind.cure() == Cure::Nothing { "INFO" } else { "WARN" };
        self.log(level, ending.route, ending.reason, ending.took, |line| {
            line.text("kind", Some(kind));
            line.text("consequence", consequence.as_deref());
            line.number("prompt_tokens", ending.spent.map(|usage| usage.prompt_tokens));
            line.number("completion_tokens", ending.spent.map(|usage| usage.completion_tokens));
            line.text("error", Some(&ending.error.to_string()));
        });
    }

    /// The other attempt was faster.
    pub(super) fn lose_hedge(&mut self, route: &Route, took: Duration, meter: Option<&Meter>) {
        let kind = "hedge_lost";
        let (said, is_sent) = (meter.and_then(Meter::read), meter.is_some_and(Meter::is_sent));
        let spent = self.entry.charge_failed(route, said, is_sent);
        self.trace(route, self.entry.elapsed().saturating_sub(took), Some(took), Some(kind));
        self.entry.note_failed(&route.target.deployment.id, kind, spent);
        self.log("INFO", route, Reason::Hedge, took, |line| line.text("kind", Some(kind)));
    }

    /// Keeps an attempt, where calls are traced.
    fn trace(&mut self, route: &Route, began: Duration, took: Option<Duration>, kind: Option<&'static str>) {
        let Some(call) = self.entry.call.as_mut().filter(|call| call.accounts.tellers.traces) else { return };
        let deployment = &route.target.deployment;
        let by = ServedBy {
            deployment: deployment.id.clone(),
            provider: deployment.provider.clone(),
            model: route.model.clone(),
        };
        call.attempts.push(Attempt { by, began, took, kind });
    }

    fn log(&self, level: &str, route: &Route, reason: Reason, took: Duration, outcome: impl FnOnce(&mut Line)) {
        let deployment = &route.target.deployment;
        telemetry::log_attempt(level, |line| {
            line.text("call_id", Some(&self.entry.call_id));
            line.number("attempt", Some(self.entry.attempts.into()));
            line.text("group", Some(&self.group));
            line.text("deployment", Some(&deployment.id));
            line.text("provider", Some(&deployment.provider));
            line.text("provider_model", Some(&route.model));
            line.formatted("chosen", Some(reason));
            line.milliseconds("duration_ms", Some(took));
            outcome(line);
        });
    }
}

/// How an attempt ended that brought no answer, or half of one.
pub(super) struct Ending<'a> {
    pub(super) error: &'a GatewayError,
    pub(super) kind: FailureKind,
    pub(super) consequence: Consequence,
    pub(super) route: &'a Route,
    pub(super) reason: Reason,
    pub(super) took: Duration,
    /// What the provider says that it used all the same.
    pub(super) spent: Option<Usage>,
    /// The provider has the request, and didn't refuse it.
    pub(super) is_sent: bool,
    /// How long the provider was waited for.
    pub(super) waited: Duration,
}
