//! From model group to model group: what serves a call that its own group can't.

use super::answer::Answer;
use super::journey::Journey;
use super::request::{Incoming, Request};
use super::{GatewayError, Pipeline};
use crate::router::Resolved;
use crate::usage::Entry;

impl Pipeline {
    /// Answers one call.
    ///
    /// # Errors
    /// Nothing was sent to the client yet; it gets this error instead. Where fallbacks failed too it is that of the
    /// model that the client named.
    pub async fn call(&self, incoming: Incoming, entry: &mut Entry) -> Result<Answer, GatewayError> {
        let request = Request::read(incoming, &entry.call_id, &self.config)?;
        entry.model = Some(request.model.clone());
        entry.streaming = request.streaming;
        let group = self.resolve(&request.model)?;
        let mut journey = Journey::new(entry, &request.model);
        let answer = self.serve(&request, &request.body, &group, true, &mut journey).await?;
        journey.entry.usage = answer.spent;
        Ok(answer)
    }

    /// The deployments that a model's name stands for.
    fn resolve(&self, model: &str) -> Result<Resolved, GatewayError> {
        self.router
            .resolve(model)
            .map_err(|unknown| GatewayError::UnknownModel { model: model.to_owned(), suggestion: unknown.suggestion })
    }
}
