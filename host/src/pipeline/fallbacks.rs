//! From model group to model group: what serves a call that its own group can't.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::json;

use super::answer::{Answer, AnswerBody};
use super::continuation::Continuation;
use super::failover::Serving;
use super::journey::Journey;
use super::request::{Incoming, Request};
use super::trace::TraceHeaders;
use super::{GatewayError, Pipeline, attribution, failure};
use crate::canonical::{ProviderError, RequestBody};
use crate::config::routing::Fallback;
use crate::router::{FailureKind, FallbackPlan, Resolved, Route};
use crate::usage::Entry;

impl Pipeline {
    /// Answers one call.
    ///
    /// # Errors
    /// Nothing was sent to the client yet; it gets this error instead. Where fallbacks failed too it is that of the
    /// model that the client named.
    pub async fn call(self: &Arc<Self>, incoming: Incoming, entry: &mut Entry) -> Result<Answer, GatewayError> {
        let mut request = Request::read(incoming, &entry.call_id, &self.config)?;
        entry.model = Some(request.model.clone());
        entry.streaming = request.streaming;
        if let Some(call) = &mut entry.call {
            call.terms = request.terms;
            attribution::read(call, &request.body);
            request.trace = TraceHeaders::of(call, &request.id);
        }
        let group = self.resolve_for(&request.model, entry)?;
        if let Some(call) = &mut entry.call {
            call.model_group = Some(group.group.name.clone());
        }
        let refused = self.reserve(&request, &group, entry).await?;
        let mut journey = Journey::new(entry, &request);
        let first = match (request.fallbacks.mocked_failure, refused) {
            (_, Some(refused)) => Err(refused),
            (Some(kind), None) => Err(mocked(kind)),
            (None, None) => Serving::new(self, &request, &request.body, &group, true).run(&mut journey).await,
        };
        let (mut answer, route) = self.or_fall_back(first, &request, &group, &mut journey).await?;
        journey.entry.usage = answer.spent;
        match &mut answer.body {
            AnswerBody::Stream(reply) => reply.continuation = Continuation::of(self, &request, &route),
            AnswerBody::Whole(body) => {
                attribution::answered(journey.entry.call.as_mut(), body);
                journey.entry.settle_whole(body.len());
            }
        }
        Ok(answer)
    }

    /// Answers a request by anybody but the deployment at `position`, which has failed it.
    pub(super) async fn go_on(
        &self,
        request: &Request,
        position: usize,
        journey: &mut Journey<'_>,
    ) -> Result<(Answer, Route), GatewayError> {
        let group = self.resolve_for(&request.model, journey.entry)?;
        let first = Serving::new(self, request, &request.body, &group, false).without(position).run(journey).await;
        self.or_fall_back(first, request, &group, journey).await
    }

    /// What the call's own group came to, or its fallbacks, should it have failed.
    async fn or_fall_back(
        &self,
        first: Result<(Answer, Route), GatewayError>,
        request: &Request,
        group: &Resolved,
        journey: &mut Journey<'_>,
    ) -> Result<(Answer, Route), GatewayError> {
        match first {
            Err(error) if !request.fallbacks.disabled => self.fall_back(request, group, error, journey).await,
            first => first,
        }
    }

    /// Asks one fallback after another.
    async fn fall_back(
        &self,
        request: &Request,
        group: &Resolved,
        error: GatewayError,
        journey: &mut Journey<'_>,
    ) -> Result<(Answer, Route), GatewayError> {
        let mut kind = failure::of(&error).kind;
        let config = &self.config.routing.fallbacks;
        if kind == FailureKind::Unsupported && !config.on_unsupported_params {
            return Err(error);
        }
        let mut plan = FallbackPlan::new(config, request.fallbacks.own(kind));
        let (mut name, mut alias) = (request.model.clone(), group.group.name.clone());
        while !journey.is_late()
            && let Some(fallback) = plan.after(&name, &[&alias], kind)
        {
            // The rights of the caller and its budget belong to a model, so each is looked at like the first.
            let failed = match self.try_fallback(request, fallback, journey).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            kind = failure::of(&failed).kind;
            name.clone_from(&fallback.model);
            alias =
                self.resolve_for(&name, journey.entry).map_or_else(|_| name.clone(), |group| group.group.name.clone());
        }
        Err(error)
    }

    async fn try_fallback(
        &self,
        request: &Request,
        fallback: &Fallback,
        journey: &mut Journey<'_>,
    ) -> Result<(Answer, Route), GatewayError> {
        journey.fall_back(&fallback.model);
        let group = match self.resolve_for(&fallback.model, journey.entry) {
            Ok(group) => group,
            // That it is another's is no news.
            Err(error @ GatewayError::Denied(_)) => return Err(error),
            Err(error) => {
                journey.log_missing();
                return Err(error);
            }
        };
        self.reserve_fallback(request, (&group, &fallback.model), journey.entry).await?;
        let body: Cow<'_, RequestBody> = match fallback.overrides.is_empty() {
            true => Cow::Borrowed(&request.body),
            false => Cow::Owned(request.with_overrides(&fallback.overrides)?),
        };
        Serving::new(self, request, &body, &group, false).run(journey).await
    }

    /// Whether another group could serve a call that its own can't serve at the moment.
    pub(super) fn has_fallback(&self, request: &Request, group: &Resolved) -> bool {
        let config = &self.config.routing.fallbacks;
        let own = request.fallbacks.own(FailureKind::Overloaded);
        if request.fallbacks.disabled || (own.is_none() && config.is_empty()) {
            return false;
        }
        FallbackPlan::new(config, own)
            .after(&request.model, &[&group.group.name], FailureKind::Overloaded)
            .is_some_and(|fallback| self.resolve(&fallback.model).is_ok_and(|to| to.group.name != group.group.name))
    }

    /// The deployments that a model's name stands for.
    pub(super) fn resolve(&self, model: &str) -> Result<Resolved, GatewayError> {
        self.router
            .resolve(model)
            .map_err(|unknown| GatewayError::UnknownModel { model: model.to_owned(), suggestion: unknown.suggestion })
    }
}

/// What `mock_testing_fallbacks` and its kin ask for: a failure that a client tests its fallbacks with.
fn mocked(kind: FailureKind) -> GatewayError {
    let (status, code) = match kind {
        FailureKind::ContextWindow => (400, "context_length_exceeded"),
        FailureKind::ContentPolicy => (400, "content_policy_violation"),
        _ => (500, "mocked_failure"),
    };
    let message = "The request asked for this failure, to test its fallbacks.";
    let body = json!({"error": {"message": message, "code": code}}).to_string();
    GatewayError::Provider(Box::new(ProviderError::new("mock", status, &HeaderMap::new(), body.as_bytes())))
}
