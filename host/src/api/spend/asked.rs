//! Who asks for a report, for what, and how it is to be written.

use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;

use super::super::{Body, respond};
use super::params::{Format, Params};
use super::table::{Table, warn};
use crate::accounts::Accounts;
use crate::auth::Principal;
use crate::keys::Denied;
use crate::pipeline::GatewayError;
use crate::reload::State;
use crate::store::reports::{ReportError, Reports};

const NOT_KEPT: &str =
    "general_settings.disable_spend_logs is set: no rows are kept for calls; /global/spend and the sums of days are";

/// A report that is asked for.
pub(super) struct Asked<'a> {
    pub(super) accounts: &'a Accounts,
    pub(super) state: &'a State,
    pub(super) params: Params,
    pub(super) format: Format,
    who: &'a Principal,
    path: String,
}

impl<'a> Asked<'a> {
    /// # Errors
    /// A parameter makes no sense.
    pub(super) fn new<B>(
        accounts: &'a Accounts,
        state: &'a State,
        who: &'a Principal,
        request: &Request<B>,
    ) -> Result<Self, GatewayError> {
        let params = Params::read(request.uri().query())?;
        let format = params.format(headers(request))?;
        Ok(Self { accounts, state, params, format, who, path: request.uri().path().to_owned() })
    }

    /// The database.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn reports(&self) -> Result<&'a Reports, GatewayError> {
        let database = self.accounts.database.as_ref();
        database.map(|database| database.reports()).ok_or_else(|| ReportError::NoDatabase.into())
    }

    /// Whose spend the caller may see; `None`: everybody's.
    ///
    /// # Errors
    /// Nobody's.
    pub(super) fn sight(&self) -> Result<Option<String>, GatewayError> {
        match self.who {
            who if who.sees_all() => Ok(None),
            Principal::Key(caller) => match &caller.key.user_id {
                Some(user) => Ok(Some(user.clone())),
                None => Err(self.denied()),
            },
            Principal::Admin | Principal::Anyone => Ok(None),
        }
    }

    /// The user that is asked for: the caller, where that is all that it may see.
    ///
    /// # Errors
    /// It may see nobody.
    pub(super) fn user(&self) -> Result<Option<String>, GatewayError> {
        Ok(self.sight()?.or_else(|| self.params.text("user_id")))
    }

    /// The caller may not see this.
    pub(super) fn denied(&self) -> GatewayError {
        let role = self.who.caller().and_then(|caller| caller.role().map(str::to_owned));
        Denied::AdminOnly { route: self.path.clone(), role: role.unwrap_or_else(|| "unknown".to_owned()) }.into()
    }

    /// Says so where no rows are kept.
    pub(super) fn warned_of_rows(&self, mut response: Response<Body>) -> Response<Body> {
        if !self.state.pipeline.config.store.rows {
            warn(&mut response, NOT_KEPT);
        }
        response
    }

    /// One thing as JSON, or as the table that it is without its nesting.
    pub(super) fn answer(&self, json: impl FnOnce() -> Value, table: impl FnOnce() -> Table) -> Response<Body> {
        match self.format {
            Format::Json => respond::json(StatusCode::OK, &json()),
            Format::Csv => table().csv(),
        }
    }
}

fn headers<B>(request: &Request<B>) -> &HeaderMap {
    request.headers()
}
