//! What calls have cost, and what they would: `/spend/*`, `/global/*` and `/utils/token_counter`, as LiteLLM has them.
//!
//! A route is a line of [`ROUTES`], an arm of [`answer`] and a file of its own.

mod count;

use http::{Request, Response};

use super::upload::Upload;
use super::{Body, Gateway};
use crate::auth::Principal;
use crate::pipeline::GatewayError;
use crate::reload::State;

/// One of these routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// How many tokens a prompt has.
    TokenCounter,
}

/// What is where, and the methods that it takes.
const ROUTES: [(&str, &str, Route); 1] = [("/utils/token_counter", "POST", Route::TokenCounter)];

/// The route at `path`, and the methods that it takes.
pub(super) fn find(path: &str) -> Option<(Route, &'static str)> {
    ROUTES.iter().find(|(known, ..)| *known == path).map(|(_, methods, route)| (*route, *methods))
}

impl Route {
    /// Whether it is for everybody who may call a model.
    pub(super) fn is_for_models(self) -> bool {
        matches!(self, Self::TokenCounter)
    }
}

/// Answers such a request.
pub(super) async fn answer(
    _gateway: &Gateway,
    state: &State,
    who: &Principal,
    route: Route,
    request: Request<Upload>,
) -> Result<Response<Body>, GatewayError> {
    match route {
        Route::TokenCounter => count::answer(state, who, request).await,
    }
}
