//! Keys, users and teams: `/key/*`, `/user/*`, `/team/*`, as LiteLLM has them.

use http::{Request, Response};

use super::upload::Upload;
use super::{Body, Gateway};
use crate::auth::Principal;
use crate::keys::RouteKind;
use crate::pipeline::GatewayError;
use crate::reload::State;

/// One of these routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route;

impl Route {
    pub(super) fn kind(&self) -> RouteKind {
        RouteKind::Management
    }
}

/// The route at `path`, and the methods that it takes.
pub(super) fn find(_path: &str) -> Option<(Route, &'static str)> {
    None
}

/// Answers such a request.
pub(super) async fn answer(
    _gateway: &Gateway,
    _state: &State,
    _who: &Principal,
    _route: Route,
    request: Request<Upload>,
) -> Result<Response<Body>, GatewayError> {
    Err(GatewayError::UnknownPath(request.uri().path().to_owned()))
}
