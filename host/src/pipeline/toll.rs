//! What a call has to pass before a deployment is asked: its caller's rights, for the model that it names and for every
//! fallback, and its caller's limits, once.

use super::request::Request;
use super::{GatewayError, Pipeline};
use crate::limits::{Ask, Estimate};
use crate::router::Resolved;
use crate::usage::{CallEntry, Entry};

impl Pipeline {
    /// The deployments that a model's name stands for, to this caller.
    ///
    /// # Errors
    /// It may not have that model, or there is none.
    pub(super) fn resolve_for(&self, model: &str, entry: &Entry) -> Result<Resolved, GatewayError> {
        let caller = entry.call.as_ref().and_then(|call| call.caller.as_ref());
        match caller {
            Some(caller) => self.resolve(&caller.model(model, &self.config)?),
            None => self.resolve(model),
        }
    }

    /// Reserves what the call may come to. Where only a limit of that model stands against it, and the model has fallbacks,
    /// those may serve the call: then that limit's refusal is returned as what became of the model.
    ///
    /// # Errors
    /// A limit stands against it.
    pub(super) async fn reserve(
        &self,
        request: &Request,
        group: &Resolved,
        entry: &mut Entry,
    ) -> Result<Option<GatewayError>, GatewayError> {
        let Some(CallEntry { accounts, caller, hold, started, .. }) = &mut entry.call else { return Ok(None) };
        let (model, budgets) = (group.group.name.as_str(), &self.config.budgets);
        let limiter = &accounts.limiter;
        if caller.is_none() && !budgets.are_any() {
            return Ok(None);
        }
        let names = group.names(&request.model);
        let binds = limiter.binds(caller.as_ref(), &names, budgets);
        let estimate = if binds { self.estimate(request, group) } else { Estimate::default() };
        let ask = Ask { caller: caller.as_ref(), model, names: &names, at: *started, estimate };
        match limiter.admit(&ask, budgets).await {
            Ok(admitted) => *hold = Some(admitted),
            Err(refused) if refused.is_of_model() && self.may_fall_back(request, group) => {
                *hold = Some(limiter.admit_without_model(&ask, budgets).await?);
                return Ok(Some(refused.into()));
            }
            Err(refused) => return Err(refused.into()),
        }
        Ok(None)
    }

    fn may_fall_back(&self, request: &Request, group: &Resolved) -> bool {
        self.config.budgets.fallbacks_on_model_limits && self.has_fallback(request, group)
    }

    /// Reserves what the limits of a fallback's own model bind.
    ///
    /// # Errors
    /// One of them stands against it.
    pub(super) async fn reserve_fallback(
        &self,
        request: &Request,
        (group, asked): (&Resolved, &str),
        entry: &mut Entry,
    ) -> Result<(), GatewayError> {
        let Some(CallEntry { caller, hold: Some(hold), started, .. }) = &mut entry.call else { return Ok(()) };
        let model = group.group.name.as_str();
        let names = group.names(asked);
        if !hold.binds_fallback(&names) {
            return Ok(());
        }
        let estimate = self.estimate(request, group);
        let ask = Ask { caller: caller.as_ref(), model, names: &names, at: *started, estimate };
        Ok(hold.fall_back(&ask).await?)
    }
}
