//! Which of a group's deployments a call may go to at all, whatever their state.

use std::sync::Arc;
use std::time::SystemTime;

use super::Pipeline;
use super::request::Request;
use crate::canonical::RequestBody;
use crate::limits::Limiter;
use crate::plugin::Operation;
use crate::precall::tags::Rule;
use crate::precall::{Abilities, Needs};
use crate::router::{Misfit, NoDeployment, Pick, Query, Resolved, Target};
use crate::usage::Entry;

use tokio::time::Instant;

/// What a call asks of a deployment of one group.
pub(super) struct Fit<'a> {
    pipeline: &'a Pipeline,
    group: &'a Resolved,
    operation: Operation,
    streaming: bool,
    /// Tokens that the call is thought to take of a limit of tokens.
    tokens: u64,
    /// With `enable_pre_call_checks`.
    needs: Option<Needs<'a>>,
    /// With `enable_tag_filtering`.
    rule: Option<Rule<'a>>,
    /// Who knows what deployments have cost, where they have budgets.
    funds: Option<Arc<Limiter>>,
}

impl<'a> Fit<'a> {
    pub(super) fn new(
        pipeline: &'a Pipeline,
        request: &'a Request,
        body: &'a RequestBody,
        group: &'a Resolved,
    ) -> Self {
        let routing = &pipeline.config.routing;
        let checks = &routing.checks;
        let rule = checks.tags.map(|matching| {
            let open = group.group.targets.iter().filter(|target| !target.deployment.routing.blocked);
            request.tags.rule(open.map(|target| target.deployment.routing.tags.as_slice()), matching)
        });
        // Read once, and only if somebody asks.
        let needs = Needs::read(body, request.operation);
        let counts_tokens =
            routing.limits_bind() && group.group.targets.iter().any(|target| target.deployment.routing.tpm.is_some());
        Self {
            pipeline,
            group,
            operation: request.operation,
            streaming: request.streaming,
            tokens: if counts_tokens { needs.estimate() } else { 0 },
            needs: checks.before_calls.then_some(needs),
            rule,
            funds: None,
        }
    }

    /// Leaves deployments out whose money is spent.
    pub(super) fn heed_budgets(&mut self, entry: &Entry) {
        if self.pipeline.config.budgets.are_of_deployments() {
            self.funds = entry.call.as_ref().map(|call| call.accounts.limiter.clone());
        }
    }

    /// A deployment for the next attempt.
    pub(super) fn choose(&self, tried: &[usize], again: bool, now: Instant) -> Result<Pick, NoDeployment> {
        let fits = |target: &Target, model: &str| self.fits(target, model);
        let query = Query { streaming: self.streaming, tried, again, fits: &fits, tokens: self.tokens };
        self.pipeline.router.choose(self.group, &query, now)
    }

    fn fits(&self, target: &Target, model: &str) -> Result<(), Misfit> {
        self.pipeline.usable(target, self.operation)?;
        if self.rule.is_some_and(|rule| !rule.permits(&target.deployment.routing.tags)) {
            return Err(Misfit::Tags);
        }
        if let Some(limiter) = &self.funds {
            let deployment = &target.deployment;
            let (id, provider, budgets) = (&deployment.id, &deployment.provider, &self.pipeline.config.budgets);
            if let Some(back_in) = limiter.is_spent(budgets, id, provider, SystemTime::now()) {
                return Err(Misfit::Spent { back_in });
            }
        }
        let Some(needs) = &self.needs else { return Ok(()) };
        match self.pipeline.abilities.get(target.position) {
            // What serves many models has no abilities of its own.
            Some(abilities) if !target.deployment.is_wildcard() => needs.suits(abilities),
            _ => needs.fits(&target.deployment, model, self.pipeline.config.models()),
        }
    }
}

/// What the model of each deployment can, where it is looked at.
pub(super) fn abilities(config: &crate::config::Config) -> Vec<Abilities> {
    if !config.routing.checks.before_calls {
        return Vec::new();
    }
    // Its vocabulary is read while nobody waits for it.
    std::thread::spawn(crate::precall::warm_up);
    let table = config.models();
    config.deployments.iter().map(|deployment| Abilities::of(deployment, &deployment.model, table)).collect()
}
