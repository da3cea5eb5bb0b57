//! The one table from what went wrong to a status and an OpenAI error object.
//!
//! Two texts come out of it: a public one for the caller, and one for the log. Keys, prompts and provider bodies are in
//! neither.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{Body, limits, respond};
use crate::admission::Shed;
use crate::auth::AuthError;
use crate::canonical::{BadBody, error_type};
use crate::keys::{AccountError, Barred, Denied};
use crate::pipeline::{GatewayError, no_deployment};
use crate::plugin::{CallError, Failure, FailureKind};
use crate::router::{Misfit, NoDeployment};
use crate::store::StoreError;
use crate::store::reports::ReportError;
use crate::stream::data_frame;
use crate::upstream::UpstreamError;
use crate::usage::Entry;

/// What a client is told.
struct Public {
    status: u16,
    error: Map<String, Value>,
    retry_after: Option<String>,
    allow: Option<&'static str>,
    /// What else.
    headers: HeaderMap,
}

/// The answer to a request that failed.
pub(super) fn respond(error: &GatewayError, entry: &mut Entry) -> Response<Body> {
    entry.fail(error);
    let public = public(error);
    let status = StatusCode::from_u16(public.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond::json(status, &json!({"error": public.error}));
    let headers = response.headers_mut();
    headers.extend(public.headers);
    if let Some(value) = public.retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::RETRY_AFTER, value);
    }
    if let Some(allow) = public.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if status == StatusCode::UNAUTHORIZED && matches!(error, GatewayError::Auth(_)) {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The error as an event, for a stream that has begun.
pub(super) fn event(error: &GatewayError) -> Bytes {
    data_frame(json!({"error": public(error).error}).to_string().as_bytes())
}

/// What a client is told, in words.
pub(super) fn message(error: &GatewayError) -> String {
    let message = public(error).error.get("message").and_then(Value::as_str).map(str::to_owned);
    message.unwrap_or_default()
}

fn public(error: &GatewayError) -> Public {
    let plain = |status: u16, code: Option<&str>, message: String| new(status, code, None, message);
    let at = |status: u16, code: Option<&str>, param: &str, message: String| new(status, code, Some(param), message);
    match error {
        GatewayError::Auth(AuthError::WrongKey) => plain(401, Some("invalid_api_key"), error.to_string()),
        GatewayError::Auth(AuthError::Barred(Barred::Expired(..))) => {
            typed("expired_key", plain(401, Some("expired_key"), error.to_string()))
        }
        GatewayError::Auth(AuthError::Barred(_)) => {
            typed("auth_error", plain(401, Some("key_blocked"), error.to_string()))
        }
        GatewayError::Auth(AuthError::Unknown(_)) => plain(503, Some("database_unavailable"), error.to_string()),
        GatewayError::Auth(_) => plain(401, None, error.to_string()),
        GatewayError::Denied(Denied::Route { .. }) => plain(403, Some("route_not_allowed"), error.to_string()),
        GatewayError::Denied(Denied::AdminOnly { .. }) => {
            typed("auth_error", plain(401, Some("admin_only"), error.to_string()))
        }
        GatewayError::Account(error) => of_account(error),
        GatewayError::Denied(Denied::Model { whose, .. }) => {
            at(403, Some(&format!("{whose}_model_access_denied")), "model", error.to_string())
        }
        GatewayError::Refused(refused) => of_refused(limits::Told::of(refused, SystemTime::now())),
        GatewayError::UnknownPath(path) => plain(
            404,
            Some("unknown_url"),
            format!(
                "There is nothing at {path}. Served are /v1/chat/completions, /v1/completions, /v1/embeddings, \
                 /v1/images/generations, /v1/models, /v1/model/info, /key/…, /user/…, /team/…, /spend/…, /global/…, \
                 /plugins, /router, /config/reload, /metrics, /health, /health/liveliness, /health/readiness and /health/drain."
            ),
        ),
        GatewayError::WrongMethod { allowed } => {
            let message = format!("This path takes {allowed} only.");
            Public { allow: Some(allowed), ..plain(405, Some("method_not_supported"), message) }
        }
        GatewayError::AskedByPage => {
            plain(403, Some("asked_by_page"), "A page in a browser can't ask for this: use another client.".to_owned())
        }
        GatewayError::BodyTooLarge { limit } => plain(
            413,
            Some("request_too_large"),
            format!("The request body is larger than {} MB, this gateway's limit.", limit >> 20),
        ),
        GatewayError::BodySlow => plain(408, None, "The request body stopped coming, or came too slowly.".to_owned()),
        GatewayError::Overloaded(Shed::CallerLimit { limit }) => {
            let message =
                format!("This key has {limit} calls under way, as many as it may. Try again when one has ended.");
            soon(plain(429, Some("rate_limit_exceeded"), message))
        }
        GatewayError::Overloaded(Shed::Connections) => {
            soon(plain(503, Some("overloaded"), "The gateway has too many connections open. Try again.".to_owned()))
        }
        GatewayError::Overloaded(Shed::QueueFull | Shed::QueueTimeout | Shed::Displaced) => {
            soon(plain(503, Some("overloaded"), "The gateway has too many calls under way. Try again.".to_owned()))
        }
        GatewayError::BodyBroken(_) => plain(400, None, "The request body did not come whole.".to_owned()),
        GatewayError::Body(BadBody::Type { param, .. }) => at(400, Some("invalid_type"), param, error.to_string()),
        GatewayError::Body(BadBody::Json(_)) => plain(400, None, error.to_string()),
        GatewayError::Invalid { param, message } => at(400, None, param, message.clone()),
        GatewayError::UnknownModel { model, suggestion } => {
            let hint = suggestion.as_ref().map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default();
            let message = format!("The model `{model}` does not exist or you do not have access to it.{hint}");
            at(404, Some("model_not_found"), "model", message)
        }
        GatewayError::UnsupportedOperation { provider, operation } => {
            let message = format!("The provider {provider} does not serve {}.", operation.path());
            at(400, Some("unsupported_operation"), "model", message)
        }
        GatewayError::UnsupportedParams { provider, model, params } => {
            let names = params.iter().map(|param| format!("'{param}'")).collect::<Vec<_>>().join(", ");
            let message = format!(
                "{provider} does not support parameters: [{names}], for model={model}. To drop them, the operator can set \
                 `drop_params: true` in litellm_settings or for the model, or the request can say \"drop_params\": true."
            );
            at(400, Some("unsupported_parameter"), params.first().map_or("", String::as_str), message)
        }
        GatewayError::Strict { losses } => {
            let message =
                format!("This model is strict, and these would not arrive as they are: {}.", losses.join(", "));
            plain(400, Some("translation_loss"), message)
        }
        GatewayError::NoDeployment { model, why } => of_no_deployment(model, why),
        GatewayError::Unusable { model, reason } => {
            plain(503, Some("model_unavailable"), format!("The model `{model}` can't be served: {reason}."))
        }
        GatewayError::NoCredential { model, variable } => {
            let message = format!("The gateway has no key for the model `{model}`: its environment lacks {variable}.");
            plain(503, Some("missing_credential"), message)
        }
        // Why is the operator's business, and in the log.
        GatewayError::Credential { provider, .. } => {
            let message = format!("The gateway can't authenticate itself to the provider {provider} at the moment.");
            plain(503, Some("credential_unavailable"), message)
        }
        GatewayError::Provider(provider) => Public {
            status: provider.status,
            error: provider.error.clone(),
            retry_after: provider.retry_after.clone(),
            allow: None,
            headers: HeaderMap::new(),
        },
        GatewayError::Upstream { provider, source } => match source {
            UpstreamError::Timeout { .. } | UpstreamError::OutOfTime { .. } => {
                plain(504, Some("upstream_timeout"), format!("The provider {provider} took too long: {source}."))
            }
            UpstreamError::Connect(_) => {
                plain(502, Some("upstream_unreachable"), format!("The provider {provider} can't be reached."))
            }
            UpstreamError::Broken(_) | UpstreamError::TooLarge { .. } => plain(
                502,
                Some("upstream_broken"),
                format!("The provider {provider} did not answer in full: {source}."),
            ),
        },
        GatewayError::BadAnswer { provider, what } => {
            plain(502, Some("upstream_malformed"), format!("The provider {provider} {what}."))
        }
        GatewayError::ConfigRefused(errors) => {
            let message = format!("The configuration was not reloaded, the one in use stays: {errors}");
            plain(400, Some("invalid_configuration"), message)
        }
        GatewayError::Report(ReportError::NoDatabase) => plain(500, Some("no_db_connection"), error.to_string()),
        GatewayError::Report(ReportError::TooLong) => plain(400, Some("report_too_long"), error.to_string()),
        GatewayError::Report(ReportError::TooSlow(_)) => plain(504, Some("report_timeout"), error.to_string()),
        // How the database failed is the operator's business, and in the log.
        GatewayError::Report(ReportError::Store(_)) => {
            plain(503, Some("database_unavailable"), "The database can't be asked at the moment.".to_owned())
        }
        GatewayError::Plugin { source: CallError::Failed(failure), .. } => of_failure(failure),
        GatewayError::Plugin { plugin, source: error @ CallError::Busy(_) } => {
            let message = format!("All instances of the plugin {plugin} are busy.");
            let retry_after = error.retry_after_seconds().map(|seconds| seconds.to_string());
            Public { retry_after, ..plain(503, Some("overloaded"), message) }
        }
        GatewayError::Plugin { plugin, source: error @ CallError::Quarantined { .. } } => {
            let message = format!("The plugin {plugin} kept failing and is out of service for a moment.");
            let retry_after = error.retry_after_seconds().map(|seconds| seconds.to_string());
            Public { retry_after, ..plain(503, Some("plugin_quarantined"), message) }
        }
        GatewayError::Plugin { plugin, source } => {
            plain(502, Some("plugin_failed"), format!("The plugin {plugin} failed this call: {}.", kind_of(source)))
        }
    }
}

/// What keys, users and teams can't be managed for.
fn of_account(error: &AccountError) -> Public {
    let said = |status: u16, code: &str, param: Option<&str>| new(status, Some(code), param, error.to_string());
    match error {
        AccountError::NoDatabase => typed("no_db_connection", said(500, "no_db_connection", None)),
        AccountError::Store(StoreError::Conflict(_)) => said(400, "already_exists", None),
        AccountError::Store(StoreError::Unavailable(_)) => {
            soon(typed("no_db_connection", said(503, "database_unavailable", None)))
        }
        AccountError::Store(StoreError::Refused(_)) => said(500, "database_refused", None),
        AccountError::Store(StoreError::Unreadable(_)) => said(500, "database_unreadable", None),
        AccountError::NotFound { param, .. } => typed("not_found_error", said(404, "not_found", Some(param))),
        AccountError::Exists { param, .. } => typed("bad_request_error", said(400, "already_exists", Some(param))),
        AccountError::Forbidden(_) => said(403, "not_allowed", None),
    }
}

/// With another type than that of its status.
fn typed(kind: &str, mut public: Public) -> Public {
    public.error.insert("type".to_owned(), Value::from(kind));
    public
}

/// How a plugin broke, without its words: those go to the log.
fn kind_of(error: &CallError) -> &'static str {
    match error {
        CallError::Failed(_) => "it said so",
        CallError::Trapped(_) => "it trapped",
        CallError::OutOfTime(_) => "it ran out of time",
        CallError::OutOfMemory(_) => "it ran out of memory",
        CallError::Refused(_) => "it did what no plugin may do",
        CallError::Busy(_) => "no instance is free",
        CallError::Quarantined { .. } => "it is out of service",
    }
}

/// LiteLLM's statuses and codes, but for deployments that failed otherwise than by a rate limit: 429 would be a lie.
fn of_no_deployment(model: &str, why: &NoDeployment) -> Public {
    let message = format!("The model `{model}` can't be served now: {}.", no_deployment(why));
    let (status, code, wait) = match why {
        NoDeployment::Cooling { back_in, rate_limited: true } => (429, "all_deployments_in_cooldown", Some(*back_in)),
        NoDeployment::Cooling { back_in, rate_limited: false } => (503, "all_deployments_in_cooldown", Some(*back_in)),
        NoDeployment::RateLimited { back_in } => (429, "rate_limit_exceeded", Some(*back_in)),
        NoDeployment::Full => (429, "rate_limit_exceeded", Some(Duration::from_secs(1))),
        NoDeployment::NoneFits(Misfit::ContextWindow { .. }) => (400, "context_length_exceeded", None),
        NoDeployment::NoneFits(Misfit::Lacks(_)) => (400, "unsupported_by_model", None),
        NoDeployment::NoneFits(Misfit::Spent { back_in }) => (429, "deployment_budget_exceeded", *back_in),
        NoDeployment::NoneFits(Misfit::Tags) => (401, "tags_not_allowed", None),
        NoDeployment::NoneFits(Misfit::Unusable) | NoDeployment::Exhausted | NoDeployment::Blocked => {
            (503, "model_unavailable", None)
        }
    };
    // Whole seconds, rounded up: coming back too early is refused again.
    let retry_after = wait.map(|wait| wait.as_millis().div_ceil(1000).max(1).to_string());
    Public { retry_after, ..new(status, Some(code), None, message) }
}

fn of_failure(failure: &Failure) -> Public {
    let (default, code) = match failure.kind {
        FailureKind::InvalidRequest => (400, None),
        FailureKind::Authentication => (401, Some("invalid_api_key")),
        FailureKind::Permission => (403, None),
        FailureKind::NotFound => (404, None),
        FailureKind::TooLarge => (413, Some("request_too_large")),
        FailureKind::RateLimited => (429, Some("rate_limit_exceeded")),
        FailureKind::QuotaExceeded => (429, Some("insufficient_quota")),
        FailureKind::ContextWindowExceeded => (400, Some("context_length_exceeded")),
        FailureKind::ContentPolicy => (400, Some("content_policy_violation")),
        FailureKind::Unsupported => (400, Some("unsupported_parameter")),
        FailureKind::Timeout => (504, Some("upstream_timeout")),
        FailureKind::Overloaded => (503, Some("overloaded")),
        FailureKind::Upstream => (502, None),
    };
    let status = if (400..600).contains(&failure.status) { failure.status } else { default };
    let param = failure.param.as_deref().filter(|param| !param.is_empty());
    let mut public = new(status, failure.code.as_deref().or(code), param, failure.message.clone());
    // Whole seconds, rounded up: coming back too early is refused again.
    public.retry_after = failure.retry_after_ms.map(|ms| ms.div_ceil(1000).to_string());
    public
}

fn of_refused(told: limits::Told) -> Public {
    let limits::Told { status, kind, code, message, headers } = told;
    let mut public = new(status, Some(code), None, message);
    if let Some(kind) = kind {
        public.error.insert("type".to_owned(), Value::from(kind));
    }
    Public { headers, ..public }
}

/// Worth another attempt after a second: places become free all the time.
fn soon(public: Public) -> Public {
    Public { retry_after: Some("1".to_owned()), ..public }
}

fn new(status: u16, code: Option<&str>, param: Option<&str>, message: String) -> Public {
    let error = Map::from_iter([
        ("message".to_owned(), Value::String(message)),
        ("type".to_owned(), Value::String(error_type(status).to_owned())),
        ("param".to_owned(), param.map_or(Value::Null, Value::from)),
        ("code".to_owned(), code.map_or(Value::Null, Value::from)),
    ]);
    Public { status, error, retry_after: None, allow: None, headers: HeaderMap::new() }
}
