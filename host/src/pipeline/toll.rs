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

    /// Reserves what the call may come to.
    ///
    /// # Errors
    /// A limit stands against it.
    pub(super) async fn reserve(
        &self,
        request: &Request,
        group: &Resolved,
        entry: &mut Entry,
    ) -> Result<(), GatewayError> {
        let Some(CallEntry { accounts, caller, hold, started, .. }) = &mut entry.call else { return Ok(()) };
        let (model, asked, budgets) = (group.group.name.as_str(), request.model.as_str(), &self.config.budgets);
        let binds = accounts.limiter.binds(caller.as_ref(), (model, asked), budgets);
        let estimate = if binds { self.estimate(request, group) } else { Estimate::default() };
        let ask = Ask { caller: caller.as_ref(), model, asked, at: *started, estimate };
        *hold = Some(accounts.limiter.admit(ask, budgets).await?);
        Ok(())
    }

    /// What a call may come to.
    fn estimate(&self, _request: &Request, _group: &Resolved) -> Estimate {
        Estimate::default()
    }
}
