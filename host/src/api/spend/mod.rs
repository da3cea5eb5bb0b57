//! What calls have cost, and what they would: `/spend/*`, `/global/*` and `/utils/token_counter`, as LiteLLM has them.
//!
//! A route is a line of [`ROUTES`], an arm of [`answer`] and a file of its own. What a report says is worked out from
//! sums of the days' aggregates (`store/reports`), and written as JSON or CSV by `table`.

mod activity;
mod asked;
mod calculate;
mod count;
mod global;
mod logs;
mod names;
mod owners;
mod params;
mod providers;
mod report;
mod reset;
mod row;
mod summary;
mod table;

use http::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::upload::Upload;
use super::{Body, Gateway, respond};
use crate::auth::Principal;
use crate::keys::RouteKind;
use crate::pipeline::GatewayError;
use crate::prices::PriceTable;
use crate::reload::State;
use asked::Asked;

/// One of these routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// How many tokens a prompt has.
    TokenCounter,
    /// What a call would cost, or has.
    Calculate,
    /// Reads the table of prices again.
    ReloadPrices,
    /// Rows of calls, or sums of days.
    Logs,
    /// Rows of calls, page by page.
    LogPages,
    /// The same for LiteLLM's own page, which may name a call without saying when it was.
    LogPagesUi,
    /// The rows of a session.
    LogSession,
    /// What was asked and answered in a call.
    LogBodies(String),
    /// Keys and what they spent.
    Keys,
    /// Users and what they spent.
    Users,
    /// Tags and what was spent for them.
    Tags,
    /// A user's days.
    UserActivity,
    /// One of everybody's reports.
    Global(Global),
    /// What is left for providers.
    ProviderBudgets,
    /// What keys and teams have spent is nothing again.
    Reset,
}

/// What everybody spent, by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    Total,
    Days,
    Keys,
    Models,
    Teams,
    Providers,
    Tags,
    TagNames,
    Report,
    Activity,
    ModelActivity,
}

/// What is where, and the methods that it takes.
const ROUTES: &[(&str, &str, Route)] = &[
    ("/utils/token_counter", "POST", Route::TokenCounter),
    ("/spend/calculate", "POST", Route::Calculate),
    ("/reload/model_cost_map", "POST", Route::ReloadPrices),
    ("/spend/logs", "GET", Route::Logs),
    ("/spend/logs/v2", "GET", Route::LogPages),
    ("/spend/logs/ui", "GET", Route::LogPagesUi),
    ("/spend/logs/session/ui", "GET", Route::LogSession),
    ("/spend/keys", "GET", Route::Keys),
    ("/spend/users", "GET", Route::Users),
    ("/spend/tags", "GET", Route::Tags),
    ("/user/daily/activity", "GET", Route::UserActivity),
    ("/global/spend", "GET", Route::Global(Global::Total)),
    ("/global/spend/logs", "GET", Route::Global(Global::Days)),
    ("/global/spend/keys", "GET", Route::Global(Global::Keys)),
    ("/global/spend/models", "GET", Route::Global(Global::Models)),
    ("/global/spend/teams", "GET", Route::Global(Global::Teams)),
    ("/global/spend/provider", "GET", Route::Global(Global::Providers)),
    ("/global/spend/tags", "GET", Route::Global(Global::Tags)),
    ("/global/spend/all_tag_names", "GET", Route::Global(Global::TagNames)),
    ("/global/spend/report", "GET", Route::Global(Global::Report)),
    ("/global/activity", "GET", Route::Global(Global::Activity)),
    ("/global/activity/model", "GET", Route::Global(Global::ModelActivity)),
    ("/global/spend/reset", "POST", Route::Reset),
    ("/provider/budgets", "GET", Route::ProviderBudgets),
];

/// The route at `path`, and the methods that it takes.
pub(super) fn find(path: &str) -> Option<(Route, &'static str)> {
    if let Some((_, methods, route)) = ROUTES.iter().find(|(known, ..)| *known == path) {
        return Some((route.clone(), methods));
    }
    let id = path.strip_prefix("/spend/logs/ui/").filter(|id| !id.is_empty())?;
    let id = percent_decode_str(id).decode_utf8().ok().filter(|id| !id.contains('\0'))?;
    Some((Route::LogBodies(id.into_owned()), "GET"))
}

impl Route {
    /// What kind of route it is, as far as keys are for some and not for others.
    pub(super) fn kind(&self) -> RouteKind {
        match self {
            Self::TokenCounter | Self::Calculate => RouteKind::Models,
            Self::ReloadPrices => RouteKind::Gateway,
            // Whoever has a user sees that one's.
            Self::Logs | Self::LogPages | Self::LogPagesUi | Self::LogSession | Self::LogBodies(_) => RouteKind::Info,
            Self::Keys | Self::Users | Self::UserActivity => RouteKind::Info,
            Self::Tags | Self::Global(_) | Self::ProviderBudgets | Self::Reset => RouteKind::Spend,
        }
    }
}

/// Answers such a request.
pub(super) async fn answer(
    gateway: &Gateway,
    state: &State,
    who: &Principal,
    route: Route,
    request: Request<Upload>,
) -> Result<Response<Body>, GatewayError> {
    let asked = || Asked::new(&gateway.live.accounts, state, who, &request);
    match route {
        // These three need no database.
        Route::TokenCounter => count::answer(state, who, request).await,
        Route::Calculate => calculate::answer(state, who, request).await,
        Route::ReloadPrices => reload_prices(gateway).await,
        Route::Logs => logs::list(&asked()?).await,
        Route::LogPages => logs::pages(&asked()?, true).await,
        Route::LogPagesUi => logs::pages(&asked()?, false).await,
        Route::LogSession => logs::session(&asked()?).await,
        Route::LogBodies(id) => logs::bodies(&asked()?, id).await,
        Route::Keys => owners::keys(&asked()?),
        Route::Users => owners::users(&asked()?),
        Route::ProviderBudgets => Ok(providers::budgets(&asked()?)),
        Route::Reset => reset::answer(&asked()?).await,
        Route::Tags => global::tag_list(&asked()?).await,
        Route::UserActivity => activity::of_user(&asked()?).await,
        Route::Global(Global::Total) => global::total(&asked()?).await,
        Route::Global(Global::Days) => global::days_of(&asked()?).await,
        Route::Global(Global::Keys) => global::keys(&asked()?).await,
        Route::Global(Global::Models) => global::models(&asked()?).await,
        Route::Global(Global::Teams) => global::teams(&asked()?).await,
        Route::Global(Global::Providers) => global::providers(&asked()?).await,
        Route::Global(Global::Tags) => global::tags(&asked()?).await,
        Route::Global(Global::TagNames) => global::tag_names(&asked()?).await,
        Route::Global(Global::Report) => report::answer(&asked()?).await,
        Route::Global(Global::Activity) => activity::all(&asked()?).await,
        Route::Global(Global::ModelActivity) => activity::models(&asked()?).await,
    }
}

/// The table of prices is part of the configuration: all of it is read again, or nothing changes and the answer says why.
async fn reload_prices(gateway: &Gateway) -> Result<Response<Body>, GatewayError> {
    gateway.live.reload_config().await.map_err(GatewayError::ConfigRefused)?;
    let state = gateway.live.state();
    let own = state.pipeline.config.prices.newer_rows();
    let models = own.unwrap_or_else(|| PriceTable::embedded().len());
    let source = if own.is_some() { "file" } else { "built-in" };
    let message = format!("Price data reloaded successfully! {models} models updated.");
    let answer = json!({"status": "success", "message": message, "models_count": models, "source": source});
    Ok(respond::json(StatusCode::OK, &answer))
}
