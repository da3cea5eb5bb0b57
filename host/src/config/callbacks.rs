//! Who is told of calls: LiteLLM's `callbacks`, and OpenTelemetry's environment variables.
//!
//! ```yaml
//! litellm_settings:
//!   callbacks: [otel, langfuse, audit]    # success_callback and failure_callback: of those calls only
//!   turn_off_message_logging: true
//! callback_settings:
//!   otel: {message_logging: false}
//!   audit: {callback_type: generic_api, endpoint: "https://…", headers: {…}, event_types: [llm_api_failure]}
//! ```

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use url::Url;

use super::at::At;
use super::endpoint::Endpoint;
use super::environment::Environment;
use super::known::Support;
use super::otlp::{self, Otlp};
use super::report::Report;

/// Who is told of calls, and what.
#[derive(Clone, Debug, Default)]
pub struct Callbacks {
    /// One after the other.
    pub all: Vec<Callback>,
    /// `litellm_settings.redact_user_api_key_info`: nobody is told whose key it was.
    pub hide_callers: bool,
    /// `litellm_settings.global_disable_no_log_param`: clients can't keep a call from them.
    pub ignore_no_log: bool,
    /// `general_settings.store_prompts_in_spend_logs`.
    pub store_messages: bool,
    /// `ai_api_settings.max_metric_series`.
    pub max_series: Option<usize>,
    /// `litellm_settings.enable_end_user_cost_tracking_prometheus_only`.
    pub metrics_by_end_user: bool,
}

/// One who is told.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Its name in the configuration.
    pub name: String,
    /// Of which calls.
    pub events: Events,
    /// What was asked and answered is told too.
    pub messages: bool,
    /// How.
    pub to: Destination,
}

/// Of which calls somebody is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Those that were answered.
    pub success: bool,
    /// Those that failed.
    pub failure: bool,
}

/// How somebody is told.
#[derive(Clone, Debug)]
pub enum Destination {
    /// By OTLP.
    Otlp(Box<Otlp>),
    /// By a POST of JSON.
    Webhook(Box<Webhook>),
}

/// A POST of JSON: LiteLLM's `generic_api`.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where to.
    pub endpoint: Endpoint,
    /// `log_format`.
    pub format: Format,
    /// `max_retries`.
    pub max_retries: u32,
    /// `retry_delay`; doubled from one retry to the next.
    pub retry_delay: Duration,
}

/// What a body of several calls looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON array.
    JsonArray,
    /// A JSON object a line.
    Ndjson,
    /// A request for each.
    Single,
}

const MAX_RETRIES: u32 = 5;
const RETRY_DELAY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Names of LiteLLM's that are on without being asked, or are no callbacks here.
const BUILT_IN: &[&str] = &["prometheus", "dynamic_rate_limiter_v3", "dynamic_rate_limiter"];

// === impl Callbacks ===

impl Callbacks {
    pub(super) fn read(root: &At<'_>, environment: &Environment, report: &mut Report) -> Self {
        let litellm = root.map("litellm_settings", report);
        let general = root.map("general_settings", report);
        let own = root.map("ai_api_settings", report);
        let settings = root.map("callback_settings", report);
        let mut flag = |section: &Option<At<'_>>, key: &str| {
            section.as_ref().and_then(|section| section.get(key)?.flag(report)).unwrap_or(false)
        };
        let silent = flag(&litellm, "turn_off_message_logging");
        let mut callbacks = Self {
            all: Vec::new(),
            hide_callers: flag(&litellm, "redact_user_api_key_info"),
            ignore_no_log: flag(&litellm, "global_disable_no_log_param"),
            store_messages: flag(&general, "store_prompts_in_spend_logs"),
            max_series: None,
            metrics_by_end_user: flag(&litellm, "enable_end_user_cost_tracking_prometheus_only"),
        };
        let max = own.and_then(|own| own.get("max_metric_series")?.count_above_zero(report));
        callbacks.max_series = max.map(|max| max as usize);
        let mut context = Context { settings, silent, environment, report };
        if let Some(litellm) = litellm {
            let both = Events { success: true, failure: true };
            let success = Events { success: true, failure: false };
            let failure = Events { success: false, failure: true };
            for (key, events) in [("callbacks", both), ("success_callback", success), ("failure_callback", failure)] {
                if let Some(at) = litellm.get(key) {
                    callbacks.add_all(&at, events, &mut context);
                }
            }
        }
        // OpenTelemetry's own variables turn it on, as they do everywhere.
        let is_there = callbacks.all.iter().any(|callback| callback.name == "otel");
        if !is_there && otlp::is_asked_for(environment) {
            let events = Events { success: true, failure: true };
            callbacks.add("otel", events, None, &mut context);
        }
        callbacks
    }

    fn add_all(&mut self, at: &At<'_>, events: Events, context: &mut Context<'_>) {
        for (index, name) in at.texts(context.report).unwrap_or_default().into_iter().enumerate() {
            let item = at.items().nth(index).unwrap_or_else(|| at.clone());
            match self.all.iter_mut().find(|known| known.name == canonical(&name)) {
                Some(known) => {
                    known.events.success |= events.success;
                    known.events.failure |= events.failure;
                }
                None => self.add(&name, events, Some(&item), context),
            }
        }
    }

    fn add(&mut self, name: &str, events: Events, at: Option<&At<'_>>, context: &mut Context<'_>) {
        let name = canonical(name);
        let section = context.settings.as_ref().and_then(|settings| settings.map(name, context.report));
        let kind = section.as_ref().and_then(|section| section.get("callback_type")?.text(context.report));
        let to = match kind.as_deref().unwrap_or(name) {
            "otel" => otlp::generic(context.environment, context.report).map(Box::new).map(Destination::Otlp),
            "langfuse" => otlp::langfuse(context.environment, at, context.report).map(Box::new).map(Destination::Otlp),
            "generic_api" => webhook(section.as_ref(), at, context).map(Box::new).map(Destination::Webhook),
            name if BUILT_IN.contains(&name) => None,
            name => {
                if let Some(at) = at {
                    unsupported(name).report(at, context.report);
                }
                None
            }
        };
        let Some(to) = to else { return };
        let told = section.as_ref().and_then(|section| section.get("message_logging")?.flag(context.report));
        let off = section.as_ref().and_then(|section| section.get("turn_off_message_logging")?.flag(context.report));
        let messages = !context.silent && told.unwrap_or(true) && !off.unwrap_or(false);
        let types = section.as_ref().and_then(|section| section.get("event_types")?.texts(context.report));
        let events = types.map_or(events, |types| Events {
            success: events.success && types.iter().any(|one| one == "llm_api_success"),
            failure: events.failure && types.iter().any(|one| one == "llm_api_failure"),
        });
        self.all.push(Callback { name: name.to_owned(), events, messages, to });
    }
}

/// What callbacks are read with.
struct Context<'a> {
    settings: Option<At<'a>>,
    silent: bool,
    environment: &'a Environment,
    report: &'a mut Report,
}

/// The one of several names for the same.
fn canonical(name: &str) -> &str {
    match name {
        "opentelemetry" => "otel",
        "langfuse_otel" => "langfuse",
        "webhook" => "generic_api",
        name => name,
    }
}

fn unsupported(name: &str) -> Support {
    match name.contains('.') {
        true => Support::Python,
        false => Support::NotYet(
            "there is no such callback; there are otel, langfuse, prometheus and generic_api, also under a name of \
             your own with callback_settings.NAME.callback_type: generic_api",
        ),
    }
}

fn webhook(section: Option<&At<'_>>, at: Option<&At<'_>>, context: &mut Context<'_>) -> Option<Webhook> {
    let Context { environment, report, .. } = context;
    let url = match section.and_then(|section| section.get("endpoint")) {
        Some(at) => {
            let url = at.text(report).and_then(|text| http_url(&text));
            Some(url.or_else(|| at.expected("an address that begins with http:// or https://", report))?)
        }
        None => environment.get("GENERIC_LOGGER_ENDPOINT").map(|text| http_url(text.trim())).unwrap_or_default(),
    };
    let Some(url) = url else {
        if let Some(at) = at {
            at.error("it has no address: set GENERIC_LOGGER_ENDPOINT, or callback_settings with its endpoint", report);
        }
        return None;
    };
    let mut endpoint = Endpoint::new(url, TIMEOUT);
    endpoint.add_headers(environment.get("GENERIC_LOGGER_HEADERS").unwrap_or_default(), false);
    for (name, value) in section.and_then(|section| section.map("headers", report)).iter().flat_map(At::entries) {
        let text = value.text(report).unwrap_or_default();
        match (HeaderName::try_from(name), HeaderValue::try_from(text)) {
            (Ok(name), Ok(text)) => endpoint.set(name, text),
            _ => value.error("this is no header", report),
        }
    }
    let get = |key: &str| section.and_then(|section| section.get(key));
    let format = match get("log_format").and_then(|at| Some((at.text(report)?, at))) {
        None => Format::JsonArray,
        Some((text, at)) => match text.as_str() {
            "json_array" => Format::JsonArray,
            "ndjson" => Format::Ndjson,
            "single" => Format::Single,
            _ => return at.expected("json_array, ndjson or single", report),
        },
    };
    if let Some(timeout) = get("timeout").and_then(|at| at.seconds(report)) {
        endpoint.timeout = timeout;
    }
    let max_retries = get("max_retries").and_then(|at| at.count(report)).unwrap_or(MAX_RETRIES).min(100);
    let retry_delay = get("retry_delay").and_then(|at| at.seconds_or_none(report)).unwrap_or(RETRY_DELAY);
    Some(Webhook { endpoint, format, max_retries, retry_delay })
}

pub(super) fn http_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
