//! The request path: the only place that knows all steps. Read this first.
//!
//! ```text
//! client -> api -> auth -> pipeline: read -> serve (one model group, then its fallbacks)
//!                                             attempt (one deployment): prepare -> plugin (begin) -> upstream
//! client <- api <--------- pipeline: frame <- plugin (events) <- stream <-------------------------- upstream
//! ```
//!
//! `failover` decides between attempts at one group, `fallbacks` between groups, and `failure` says what an error
//! means for both.
//!
//! Where the provider speaks the canonical wire itself the plugin is left out, on the way there and back.

mod answer;
mod attempt;
mod attribution;
mod backoff;
mod bill;
mod binding;
mod continuation;
mod error;
mod estimate;
mod exchange;
mod failover;
mod failure;
mod fallbacks;
mod fit;
pub mod framing;
mod journey;
mod lifecycle;
mod mock;
mod native;
pub mod outbound;
mod patience;
mod prepare;
mod probe;
mod relay;
mod request;
mod revision;
mod toll;
mod trace;
mod translated;
mod waits;
mod warnings;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::canonical::RequestBody;
use crate::config::Config;
use crate::plugin::{Operation, Plugin, Registry};
use crate::precall::Abilities;
use crate::router::{Route, Router, Target};
use crate::upstream::Upstream;
use crate::usage::{Meter, Terms};

use binding::{Binding, Unbound, bind_all};

pub use answer::{Answer, AnswerBody, StreamReply};
pub use error::{GatewayError, no_deployment};
use patience::Patience;
pub use probe::Probed;
pub use request::{Incoming, MAX_RETRIES, Wishes, waiting_time};
pub use revision::Revision;
use trace::TraceHeaders;
use waits::Waits;

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
    /// Which deployments are still what they were, in the same order.
    revisions: Vec<Revision>,
    /// What the model of each deployment can; empty where nobody asks.
    abilities: Vec<Abilities>,
}

/// A call on its way to one deployment.
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
    terms: Terms,
    patience: Patience,
    meter: Option<&'a Meter>,
    waits: &'a Waits,
    trace: Option<&'a TraceHeaders>,
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
        let upstream = self.upstream.with_connect_timeout(config.routing.connect_timeout);
        Self::assemble(router, Arc::new(config), self.plugins.clone(), upstream)
    }

    fn assemble(router: Arc<Router>, config: Arc<Config>, plugins: Registry, upstream: Upstream) -> Self {
        let bindings = bind_all(&config, &plugins, &upstream);
        let of_all = config.deployments.iter().zip(&bindings);
        let revisions = of_all.map(|(deployment, binding)| Revision::new(deployment, binding, &config)).collect();
        let abilities = fit::abilities(&config);
        Self { config, router, plugins, upstream, bindings, revisions, abilities }
    }

    /// Whether one of its deployments is still what it was: then it has the revision that it had.
    pub fn revision(&self, target: &Target) -> Revision {
        self.revisions.get(target.position).copied().unwrap_or_default()
    }
}

/// `created` of an answer.
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
