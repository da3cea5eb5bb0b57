//! One attempt: a call, a deployment, and what became of it.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::{Answer, AnswerBody};
use super::binding::{Binding, Unbound};
use super::journey::Ending;
use super::request::Request;
use super::{Call, GatewayError, Patience, Pipeline, Waits, failure, lifecycle, mock};
use crate::canonical::RequestBody;
use crate::plugin::{Operation, Support};
use crate::router::{Consequence, Failure, Misfit, Pick, Reason, Route, Target};
use crate::usage::{Meter, Usage};

/// What an attempt is made with.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    /// The request's body, or what a fallback wants instead.
    pub(super) body: &'a RequestBody,
    /// When the caller gives up.
    pub(super) deadline: Instant,
    /// Shows what a stream has used before its first word, should nobody wait for that.
    pub(super) meter: Option<&'a Meter>,
}

/// An attempt that brought no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: GatewayError,
    pub(super) failure: Failure,
    pub(super) consequence: Consequence,
    pub(super) route: Route,
    pub(super) reason: Reason,
    pub(super) took: Duration,
    /// What the provider says that it used all the same.
    pub(super) spent: Option<Usage>,
    /// The provider has the request, and didn't refuse it.
    pub(super) is_sent: bool,
    /// How long the provider was waited for.
    pub(super) waited: Duration,
}

impl Failed {
    /// What is told of it.
    pub(super) fn ending(&self) -> Ending<'_> {
        Ending {
            error: &self.error,
            kind: self.failure.kind,
            consequence: self.consequence,
            route: &self.route,
            reason: self.reason,
            took: self.took,
            spent: self.spent,
            is_sent: self.is_sent,
            waited: self.waited,
        }
    }
}

impl Pipeline {
    /// Makes one attempt. What becomes of a stream after its first piece is told to the deployment when it ends.
    pub(super) async fn attempt(&self, asked: Asked<'_>, pick: Pick) -> Result<(Answer, Route), Box<Failed>> {
        let Pick { mut route, reason, mut flight } = pick;
        let successor = match self.config.routing.model_successors {
            true => lifecycle::succeed(&mut route),
            false => None,
        };
        let deployment = &route.target.deployment;
        let Asked { request, deadline, .. } = asked;
        let patience = request.limits.patience(deployment, request.streaming, Instant::now(), deadline);
        let mut spent = None;
        let waits = Waits::default();
        let result = self.ask_deployment(asked, &route, patience, (&mut spent, &waits)).await;
        let (now, waited) = (Instant::now(), waits.total());
        match result {
            Ok(mut answer) => {
                flight.first_byte(now);
                match &mut answer.body {
                    AnswerBody::Stream(reply) if reply.end.is_none() => reply.flight = Some(flight),
                    AnswerBody::Stream(_) | AnswerBody::Whole(_) => flight.succeed(spent.as_ref(), now),
                }
                answer.spent = spent;
                answer.waited = waited;
                answer.successor = successor;
                Ok((answer, route))
            }
            Err(error) => {
                let error = match error {
                    GatewayError::Upstream { provider, source } => {
                        GatewayError::Upstream { provider, source: patience.judge(source, false) }
                    }
                    error => error,
                };
                // A provider that says what is wrong doesn't bill it, or says so.
                let is_refused = matches!(error, GatewayError::Provider(_));
                let is_sent = !is_refused && asked.meter.is_some_and(Meter::is_sent);
                let failure = failure::of(&error);
                let error = lifecycle::with_hint(error, failure.kind, &route);
                let took = now.saturating_duration_since(flight.began);
                if let Some(spent) = &spent {
                    flight.used(spent);
                }
                // Somebody else's hurry says nothing about the deployment: the flight ends without a word.
                let consequence = match failure::is_others_hurry(&error) {
                    true => Consequence::Exempt,
                    false => flight.fail(failure, now),
                };
                Err(Box::new(Failed { error, failure, consequence, route, reason, took, spent, is_sent, waited }))
            }
        }
    }

    async fn ask_deployment(
        &self,
        Asked { request, body, meter, .. }: Asked<'_>,
        route: &Route,
        patience: Patience,
        (spent, waits): (&mut Option<Usage>, &Waits),
    ) -> Result<Answer, GatewayError> {
        let deployment = &route.target.deployment;
        if let Some(text) = &deployment.mock_response {
            return mock::answer(text, request, spent);
        }
        let (binding, support) = self.serving(&route.target, request.operation, &request.model)?;
        let call = Call {
            operation: request.operation,
            body,
            route,
            binding,
            plugin: &binding.plugin,
            requested_model: &request.model,
            id: &request.id,
            streaming: request.streaming,
            include_usage: request.include_usage,
            terms: request.terms,
            patience,
            meter,
            waits,
            trace: request.trace.as_ref(),
        };
        match support.native_path(&route.model) {
            Some(_) => self.native(&call, spent).await,
            None => self.exchange(&call, spent).await,
        }
    }

    /// Whether a deployment can be asked for `operation` at all.
    pub(super) fn usable(&self, target: &Target, operation: Operation) -> Result<(), Misfit> {
        if target.deployment.mock_response.is_some() {
            return Ok(());
        }
        match self.bindings.get(target.position) {
            Some(Ok(binding)) if binding.plugin.manifest.support(operation).is_some() => Ok(()),
            _ => Err(Misfit::Unusable),
        }
    }

    /// What serves a deployment's calls, and how, if it can be served at all.
    fn serving(
        &self,
        target: &Target,
        operation: Operation,
        requested_model: &str,
    ) -> Result<(&Binding, &Support), GatewayError> {
        let binding = match self.bindings.get(target.position) {
            Some(Ok(binding)) => binding,
            Some(Err(unbound)) => return Err(unbound.error(requested_model)),
            // Both are made of one config, so this is a mistake of ours.
            None => return Err(Unbound::Unusable("it is unknown".to_owned()).error(requested_model)),
        };
        let support = binding.plugin.manifest.support(operation);
        let provider = &target.deployment.provider;
        let unsupported = || GatewayError::UnsupportedOperation { provider: provider.clone(), operation };
        Ok((binding, support.ok_or_else(unsupported)?))
    }

    /// Why none of a group's deployments can be asked, in the words of the first.
    pub(super) fn why_unusable(&self, target: &Target, request: &Request) -> GatewayError {
        let unusable = || GatewayError::Unusable {
            model: request.model.clone(),
            reason: "none of its deployments can serve this request".to_owned(),
        };
        self.serving(target, request.operation, &request.model).err().unwrap_or_else(unusable)
    }
}
