//! HTTP in and out: which path is what, and how answers and errors look.

mod account_metrics;
mod admit;
mod attribution;
mod body;
mod cors;
mod drain;
mod error;
mod health;
mod home;
mod inference;
mod limits;
mod load_metrics;
mod manage;
mod metrics;
mod models;
mod patience;
mod plugin_metrics;
mod plugins;
mod reader;
mod redis_metrics;
mod reload;
mod respond;
mod route;
mod router_html;
mod router_metrics;
mod router_page;
pub mod server;
mod spend;
mod stalled;
mod upload;
mod wishes;

use std::sync::Arc;

use http::{HeaderValue, Request, Response, StatusCode, header};

pub use body::Body;
use route::{Endpoint, Found};
use upload::{Linger, Upload};

use crate::admission::Shed;
use crate::auth::Principal;
use crate::health::Health;
use crate::pipeline::GatewayError;
use crate::reload::{Live, State};
use crate::usage::{CallEntry, Entry};

/// Whether there is something at a path: what `bench/stages` measures of the table, which is nobody else's business.
#[doc(hidden)]
pub fn has_path(method: &http::Method, path: &str) -> bool {
    matches!(route::find(method, path), Found::Endpoint(_))
}

/// Marks requests on a connection that is one too many: probes are answered, all else is refused.
#[derive(Clone, Copy, Debug)]
struct Surplus;

/// The gateway, as its HTTP side sees it.
#[derive(Debug)]
pub struct Gateway {
    /// What requests are served with, each from its beginning to its end.
    pub live: Arc<Live>,
    /// How it does, and how its deployments do.
    pub health: Arc<Health>,
}

impl Gateway {
    /// Answers one request that comes over no connection of [`server`]: what `bench/stages` counts.
    #[doc(hidden)]
    pub async fn answer_one(self: Arc<Self>, request: Request<hyper::body::Incoming>) -> Response<Body> {
        self.handle(Upload::of(request, Arc::default())).await
    }

    /// Answers one request. Never fails: whatever goes wrong becomes an answer.
    async fn handle(self: Arc<Self>, request: Request<Upload>) -> Response<Body> {
        let is_held_back = request.body().is_held_back();
        let origin = request.headers().get(header::ORIGIN).cloned();
        let call_id = uuid::Uuid::new_v4().to_string();
        let mut entry = Entry::new(call_id, request.method().as_str(), &route::without_keys(request.uri().path()));
        let state = self.live.state();
        let mut response = match self.answer(&state, request, &mut entry).await {
            Ok(response) => response,
            Err(error) => {
                let mut response = error::respond(&error, &mut entry);
                if is_held_back {
                    // Nobody can tell whether what follows is its body or the next request.
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        };
        respond::common_headers(&mut response, &entry);
        if let Some(origin) = origin {
            cors::allow(response.headers_mut(), &origin);
        }
        entry.status = response.status().as_u16();
        if response.status() == StatusCode::UNAUTHORIZED && entry.call.is_none() {
            self.live.accounts.metrics.refused();
        }
        if response.body().is_stream() {
            // The entry goes with the stream and is written when that ends.
            response.body_mut().attach(entry);
        } else {
            if entry.error.is_none() {
                entry.complete();
            }
            entry.mark_first_byte();
        }
        response
    }

    async fn answer(
        &self,
        state: &Arc<State>,
        request: Request<Upload>,
        entry: &mut Entry,
    ) -> Result<Response<Body>, GatewayError> {
        let pipeline = &state.pipeline;
        let root = &pipeline.config.root_path;
        if !root.as_str().is_empty() && request.uri().path() == root.as_str() {
            return Ok(respond::redirect(StatusCode::TEMPORARY_REDIRECT, &format!("{}/", root.as_str())));
        }
        if request.method() == http::Method::OPTIONS {
            return Ok(cors::preflight(request.headers()));
        }
        let (endpoint, principal) = match self.pass(state, &request).await {
            Ok(passed) => passed,
            Err(error) => {
                request.into_body().linger(Linger::SHORT);
                return Err(error);
            }
        };
        match endpoint {
            Endpoint::Home => Ok(home::page()),
            Endpoint::Alive => Ok(health::alive()),
            Endpoint::Ready => Ok(health::ready(&self.health, &self.live.accounts, state)),
            Endpoint::Drain => {
                drain::drain(&self.health, &self.live.admission, request.headers(), request.uri().query()).await
            }
            Endpoint::Health => health::check(&self.health, state, request.headers(), request.uri().query()).await,
            Endpoint::Router => Ok(router_page::show(&self.health, state, request.headers())),
            Endpoint::Models => Ok(models::list(pipeline, &principal)),
            Endpoint::Model(id) => models::one(pipeline, &principal, &id),
            Endpoint::ModelInfo => Ok(models::info(pipeline, &principal)),
            Endpoint::Plugins => Ok(plugins::list(state)),
            Endpoint::ReloadConfig => reload::config(&self.live).await,
            Endpoint::Metrics => Ok(metrics::text(&self.live, state)),
            Endpoint::Manage(route) => manage::answer(self, state, &principal, route, request).await,
            Endpoint::Spend(route) => spend::answer(self, state, &principal, route, request).await,
            Endpoint::Call { operation, model } => {
                let caller = state.authenticator.tenant(&principal);
                let entering = admit::Entering { admission: &self.live.admission, caller };
                let mut call = CallEntry::new(operation, principal.caller(), self.live.accounts.clone());
                let peer = request.body().peer();
                attribution::read(&mut call, request.headers(), peer, &pipeline.config.attribution);
                entry.call = Some(call);
                inference::call(pipeline, entering, operation, model, request, entry).await
            }
        }
    }

    /// What a request asks for and who asks, if there is such a thing and they may have it.
    async fn pass(&self, state: &State, request: &Request<Upload>) -> Result<(Endpoint, Principal), GatewayError> {
        let config = &state.pipeline.config;
        let path = config.root_path.strip(request.uri().path());
        let endpoint = match route::find(request.method(), path) {
            Found::Endpoint(endpoint) => endpoint,
            Found::WrongMethod { allowed } => return Err(GatewayError::WrongMethod { allowed }),
            Found::Nothing => {
                return Err(GatewayError::UnknownPath(route::without_keys(path).chars().take(200).collect()));
            }
        };
        let is_probe = matches!(endpoint, Endpoint::Alive | Endpoint::Ready);
        if !is_probe && request.extensions().get::<Surplus>().is_some() {
            self.live.admission.refused(Shed::Connections);
            return Err(GatewayError::Overloaded(Shed::Connections));
        }
        let is_public = match endpoint {
            Endpoint::Metrics => !config.general.metrics_need_key,
            _ => endpoint.is_public(),
        };
        let principal = match is_public {
            true => Principal::Anyone,
            false => state.authenticator.authenticate(request.headers(), &self.live.accounts.directory).await?,
        };
        if !is_public {
            let is_read = matches!(*request.method(), http::Method::GET | http::Method::HEAD) && endpoint.only_tells();
            let told = route::without_keys(path);
            // A model may be called as if there were a key in its name.
            let names_model = matches!(endpoint, Endpoint::Call { .. } | Endpoint::Model(_));
            let allowed = principal.may_use(if names_model { path } else { &told }, endpoint.kind(), is_read);
            allowed.map_err(|denied| denied.told_at(&told))?;
        }
        Ok((endpoint, principal))
    }
}
