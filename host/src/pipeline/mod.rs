//! The request path: the only place that knows all steps. Read this first.
//!
//! ```text
//! client -> api -> auth -> pipeline: read -> route -> prepare -> plugin (begin) -> upstream
//! client <- api <--------- pipeline: frame <- plugin (events) <- stream <- upstream
//! ```
//!
//! Where the provider speaks the canonical wire itself the plugin is left out, on the way there and back.

mod answer;
mod binding;
mod error;
mod exchange;
pub mod framing;
mod mock;
mod native;
pub mod outbound;
mod prepare;
mod probe;
mod relay;
mod translated;
mod warnings;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use tokio::time::Instant;

use crate::canonical::RequestBody;
use crate::config::Config;
use crate::plugin::{Operation, Plugin, Registry, Support};
use crate::router::{Query, Route, Router};
use crate::upstream::{Upstream, UpstreamError};
use crate::usage::{Entry, ServedBy};

use binding::{Binding, Unbound, bind_all};

pub use answer::{Answer, AnswerBody, StreamReply};
pub use error::GatewayError;
pub use probe::Probed;

/// No model's name is longer; it goes into logs and messages.
const MAX_MODEL_BYTES: usize = 256;

/// Everything that a call needs. Made from a config once; calls in flight keep the one that they began with.
#[derive(Debug)]
pub struct Pipeline {
    /// What the operator wrote.
    pub config: Arc<Config>,
    /// Model names to deployments.
    pub router: Arc<Router>,
    /// Translators.
    pub plugins: Registry,
    upstream: Upstream,
    /// What each deployment and its plugin come to, in the order of the deployments.
    bindings: Vec<Result<Binding, Unbound>>,
}

/// A call as the client made it.
#[derive(Debug)]
pub struct Incoming {
    /// The endpoint.
    pub operation: Operation,
    /// The model, where the path names it.
    pub model: Option<String>,
    /// The body's bytes.
    pub body: Bytes,
    /// `x-litellm-timeout`: how long the client wants to wait at most.
    pub timeout: Option<Duration>,
}

/// A call, read and routed.
struct Call<'a> {
    operation: Operation,
    body: &'a RequestBody,
    route: &'a Route,
    binding: &'a Binding,
    plugin: &'a Arc<Plugin>,
    /// The name that the client used.
    requested_model: &'a str,
    id: &'a str,
    streaming: bool,
    /// The client wants to see the usage of a stream.
    include_usage: bool,
    patience: Patience,
}

/// How long to wait for what. One clock runs from the call's beginning.
#[derive(Clone, Copy, Debug)]
struct Patience {
    began: Instant,
    /// For a whole answer, or between two pieces of a stream.
    total: Duration,
    /// For the first piece of a stream.
    first: Duration,
}

impl Patience {
    /// What is left of the time for a whole answer.
    fn for_all(&self) -> Duration {
        self.total.saturating_sub(self.began.elapsed())
    }

    /// Waits for `time`.
    ///
    /// # Errors
    /// There isn't that much time left.
    async fn sleep(&self, time: Duration) -> Result<(), UpstreamError> {
        if time >= self.for_all() {
            return Err(UpstreamError::Timeout { waiting_for: "answer", after: self.total });
        }
        tokio::time::sleep(time).await;
        Ok(())
    }

    /// What is left of the time for the first piece of a stream.
    fn for_first(&self) -> Duration {
        self.first.saturating_sub(self.began.elapsed())
    }
}

impl Pipeline {
    /// Puts the parts together.
    pub fn new(config: Config, plugins: Registry, upstream: Upstream) -> Self {
        Self::assemble(Arc::new(Router::new(&config, None)), Arc::new(config), plugins, upstream)
    }

    /// The same with other plugins. The router is shared, with whose turn it is.
    pub fn with_plugins(&self, plugins: Registry) -> Self {
        Self::assemble(self.router.clone(), self.config.clone(), plugins, self.upstream.clone())
    }

    /// The same with another configuration: connections to providers stay open. What is known of
    /// deployments that stay goes on.
    pub fn with_config(&self, config: Config) -> Self {
        let router = Arc::new(Router::new(&config, Some(&self.router)));
        Self::assemble(router, Arc::new(config), self.plugins.clone(), self.upstream.clone())
    }

    fn assemble(router: Arc<Router>, config: Arc<Config>, plugins: Registry, upstream: Upstream) -> Self {
        let bindings = bind_all(&config, &plugins, &upstream);
        Self { config, router, plugins, upstream, bindings }
    }

    /// Answers one call.
    ///
    /// # Errors
    /// Nothing was sent to the client yet; it gets this error instead.
    pub async fn call(&self, incoming: Incoming, entry: &mut Entry) -> Result<Answer, GatewayError> {
        let body = RequestBody::parse(incoming.body)?;
        let named = body.string("model")?;
        let requested_model = match (&incoming.model, &named) {
            (Some(model), _) => model.as_str(),
            (None, Some(model)) if !model.is_empty() => model,
            (None, _) => return Err(GatewayError::missing("model")),
        };
        if requested_model.len() > MAX_MODEL_BYTES {
            return Err(GatewayError::invalid("model", format!("'model' is longer than {MAX_MODEL_BYTES} bytes.")));
        }
        prepare::refuse_banned(&body)?;
        prepare::require(incoming.operation, &body)?;
        entry.model = Some(requested_model.to_owned());
        // Embeddings don't stream, whatever a client says.
        entry.streaming = incoming.operation != Operation::Embeddings && body.boolean("stream")?.unwrap_or(false);

        let resolved = self.router.resolve(requested_model).map_err(|unknown| GatewayError::UnknownModel {
            model: requested_model.to_owned(),
            suggestion: unknown.suggestion,
        })?;
        let query = Query { streaming: entry.streaming, tried: &[], again: false, fits: &|_, _| Ok(()), tokens: 0 };
        let pick = self.router.choose(&resolved, &query, Instant::now());
        let route = pick.map_err(|_| GatewayError::missing("model"))?.route;
        let deployment = &route.target.deployment;
        entry.served_by = Some(ServedBy {
            deployment: deployment.id.clone(),
            provider: deployment.provider.clone(),
            model: route.model.clone(),
        });
        if let Some(text) = &deployment.mock_response {
            return mock::answer(text, incoming.operation, requested_model, &body, entry);
        }
        let (binding, support) = self.serving(&route, incoming.operation, requested_model)?;
        let call = Call {
            operation: incoming.operation,
            body: &body,
            route: &route,
            binding,
            plugin: &binding.plugin,
            requested_model,
            id: &entry.call_id,
            streaming: entry.streaming,
            include_usage: self.config.general.always_include_stream_usage || prepare::asks_for_usage(&body)?,
            patience: patience(&route, &body, incoming.timeout)?,
        };
        let mut spent = None;
        let answer = match support.native_path(&route.model) {
            Some(_) => self.native(&call, &mut spent).await,
            None => self.exchange(&call, &mut spent).await,
        };
        entry.usage = spent;
        answer
    }

    /// What serves a route, and how, if the deployment can be served at all.
    fn serving(
        &self,
        route: &Route,
        operation: Operation,
        requested_model: &str,
    ) -> Result<(&Binding, &Support), GatewayError> {
        let target = &route.target;
        let binding = match self.bindings.get(target.position) {
            Some(Ok(binding)) => binding,
            Some(Err(unbound)) => return Err(unbound.error(requested_model)),
            // Both are made of one config, so this is a mistake of ours.
            None => return Err(Unbound::Unusable("it is unknown".to_owned()).error(requested_model)),
        };
        let provider = &target.deployment.provider;
        let support = binding.plugin.manifest.support(operation);
        let unsupported = || GatewayError::UnsupportedOperation { provider: provider.clone(), operation };
        Ok((binding, support.ok_or_else(unsupported)?))
    }
}

/// `created` of an answer.
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The client's own wish comes before the deployment's.
fn patience(route: &Route, body: &RequestBody, header: Option<Duration>) -> Result<Patience, GatewayError> {
    let seconds = |key| -> Result<Option<Duration>, GatewayError> {
        match body.number(key)? {
            None => Ok(None),
            Some(seconds) => Duration::try_from_secs_f64(seconds)
                .ok()
                .filter(|duration| !duration.is_zero())
                .map(Some)
                .ok_or_else(|| GatewayError::invalid(key, format!("'{key}' must be a number of seconds above 0."))),
        }
    };
    let deployment = &route.target.deployment;
    let total = header.or(seconds("timeout")?).unwrap_or(deployment.timeout);
    let first = seconds("stream_timeout")?.or(deployment.stream_timeout).unwrap_or(total);
    Ok(Patience { began: Instant::now(), total, first })
}
