//! The settings that are not about one model: `general_settings`, and what of `litellm_settings` and the
//! environment steers the server itself.

use http::HeaderName;
use tracing::Level;

use super::at::At;
use super::environment::Environment;
use super::report::{Report, Severity};
use super::secret::Secret;

const MEBIBYTE: usize = 1024 * 1024;

/// `general_settings`.
#[derive(Clone, Debug)]
pub struct General {
    /// The key that opens everything: `master_key`, else `LITELLM_MASTER_KEY`.
    pub master_key: Option<Secret>,
    /// The variable that `master_key` names and that is not set.
    pub(super) master_key_variable: Option<String>,
    /// `dangerously_permit_weak_or_unset_master_key`, also as a variable with `LITELLM_` in front.
    pub permit_weak_master_key: bool,
    /// A header to read the caller's key from, besides the usual ones: `litellm_key_header_name`.
    pub key_header: Option<HeaderName>,
    /// The largest request body: `max_request_size_mb`, 64 MiB by default.
    pub max_request_bytes: usize,
    /// The largest answer that is held in memory: `max_response_size_mb`, 256 MiB by default.
    pub max_response_bytes: usize,
    /// Every stream ends with a chunk about its usage, whether the caller asked for one or not.
    pub always_include_stream_usage: bool,
    /// Keys that can't be looked up because the database is down are let in, without limits.
    pub allow_requests_on_db_unavailable: bool,
    /// Whether `GET /metrics` asks for a key: `litellm_settings.require_auth_for_metrics_endpoint`, true by default.
    pub metrics_need_key: bool,
}

/// How the server logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logging {
    /// One JSON object for each line: `litellm_settings.json_logs`, or `JSON_LOGS`.
    pub json: bool,
    /// Whether bodies may be logged: `litellm_settings.log_raw_request_response`.
    pub log_raw_request_response: bool,
    /// `LITELLM_LOG`; else `DEBUG` with `litellm_settings.set_verbose`, else `INFO`.
    pub level: Level,
}

// === impl General ===

impl General {
    pub(super) fn read(root: &At<'_>, environment: &Environment, report: &mut Report) -> Self {
        let section = root.map("general_settings", report);
        let get = |key: &str| section.as_ref().and_then(|section| section.get(key));
        let mut flag = |key: &str| get(key).and_then(|at| at.flag(report)).unwrap_or(false);
        let permit_weak_master_key = flag("dangerously_permit_weak_or_unset_master_key")
            || environment.flag("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY");
        let always_include_stream_usage = flag("always_include_stream_usage");
        let allow_requests_on_db_unavailable = flag("allow_requests_on_db_unavailable");
        let mut size = |key: &str, default: usize| get(key).and_then(|at| at.mebibytes(report)).unwrap_or(default);
        let max_request_bytes = size("max_request_size_mb", 64 * MEBIBYTE);
        let max_response_bytes = size("max_response_size_mb", 256 * MEBIBYTE);
        let litellm = root.get("litellm_settings");
        let metrics_need_key = litellm.and_then(|at| at.get("require_auth_for_metrics_endpoint")?.flag(report));
        let (master_key, master_key_variable) = master_key(section.as_ref(), environment, report);
        let key_header = get("litellm_key_header_name").and_then(|at| {
            let name = at.text(report)?;
            HeaderName::try_from(name.trim()).ok().or_else(|| at.expected("the name of a header", report))
        });
        Self {
            master_key,
            master_key_variable,
            permit_weak_master_key,
            key_header,
            max_request_bytes,
            max_response_bytes,
            always_include_stream_usage,
            allow_requests_on_db_unavailable,
            metrics_need_key: metrics_need_key.unwrap_or(true),
        }
    }

    /// What is wrong with the master key, in one line that says how to put it right. LiteLLM refuses to
    /// start in the same cases (`proxy/auth/master_key_boot_check.py`).
    pub fn master_key_problem(&self) -> Option<String> {
        const GENERATE: &str = "`echo sk-$(openssl rand -hex 24)` makes a good one";
        const PERMIT: &str =
            "or, for tests on your own machine, set general_settings.dangerously_permit_weak_or_unset_master_key: true";
        if self.permit_weak_master_key {
            return None;
        }
        let problem = match (&self.master_key, &self.master_key_variable) {
            (Some(key), _) if key.expose() == "sk-1234" => {
                "general_settings.master_key is sk-1234, which everybody knows: replace it".to_owned()
            }
            (Some(_), _) => return None,
            (None, Some(variable)) => {
                format!("general_settings.master_key is taken from {variable}, which is not set: set it")
            }
            (None, None) => "there is no master key: set general_settings.master_key, or LITELLM_MASTER_KEY".to_owned(),
        };
        Some(format!("{problem} ({GENERATE}), {PERMIT}"))
    }
}

/// The key, or the variable that should have held it.
fn master_key(
    section: Option<&At<'_>>,
    environment: &Environment,
    report: &mut Report,
) -> (Option<Secret>, Option<String>) {
    if let Some(at) = section.and_then(|section| section.raw("master_key")) {
        if let Some(variable) = at.node.unset_variable() {
            at.warn(format!("the environment variable {variable} is not set, so there is no master key"), report);
            return (None, Some(variable.to_owned()));
        }
        if !at.node.is_none() {
            let key = at.text(report).filter(|key| !key.trim().is_empty());
            return (key.map(|key| Secret::new(key.trim())), None);
        }
    }
    (environment.get("LITELLM_MASTER_KEY").map(|key| Secret::new(key.trim())), None)
}

// === impl Logging ===

impl Logging {
    pub(super) fn read(root: &At<'_>, environment: &Environment, report: &mut Report) -> Self {
        let section = root.map("litellm_settings", report);
        let mut flag = |key: &str| {
            section.as_ref().and_then(|section| section.get(key)).and_then(|at| at.flag(report)).unwrap_or(false)
        };
        let verbose = flag("set_verbose");
        let log_raw_request_response = flag("log_raw_request_response");
        let json = flag("json_logs") || environment.flag("JSON_LOGS");
        let level = match environment.get("LITELLM_LOG").map(|level| level.trim().to_ascii_uppercase()).as_deref() {
            None if verbose => Level::DEBUG,
            None | Some("INFO") => Level::INFO,
            Some("TRACE") => Level::TRACE,
            Some("DEBUG") => Level::DEBUG,
            Some("WARN" | "WARNING") => Level::WARN,
            Some("ERROR" | "CRITICAL") => Level::ERROR,
            Some(_) => {
                report.add(
                    Severity::Warning,
                    &super::environment_place(),
                    "LITELLM_LOG",
                    "expected DEBUG, INFO, WARNING or ERROR; INFO is used",
                );
                Level::INFO
            }
        };
        Self { json, log_raw_request_response, level }
    }
}
