//! A call as the client made it, read once for all attempts.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::patience::Limits;
use super::trace::TraceHeaders;
use super::{GatewayError, prepare};
use crate::canonical::{Edits, RequestBody};
use crate::config::Config;
use crate::config::routing::Fallback;
use crate::plugin::Operation;
use crate::precall::tags::RequestTags;
use crate::router::FailureKind;
use crate::usage::Terms;

/// No model's name is longer; it goes into logs and messages.
const MAX_MODEL_BYTES: usize = 256;
/// No client names more fallbacks.
const MAX_FALLBACKS: usize = 20;

/// A call as it came in.
#[derive(Debug)]
pub struct Incoming {
    /// The endpoint.
    pub operation: Operation,
    /// The model, where the path names it.
    pub model: Option<String>,
    /// The body's bytes.
    pub body: Bytes,
    /// What the headers ask for.
    pub wishes: Wishes,
}

/// What a client's headers ask of the routing; they win over the body's fields of the same names.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// `x-litellm-timeout`: how long the client wants to wait at most.
    pub timeout: Option<Duration>,
    /// `x-litellm-stream-timeout`: how long for the first piece of a stream.
    pub stream_timeout: Option<Duration>,
    /// `x-litellm-num-retries`.
    pub num_retries: Option<u32>,
    /// `x-litellm-tags`, a comma between two.
    pub tags: Option<String>,
}

/// A call, read.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) body: RequestBody,
    /// The name that the client used.
    pub(super) model: String,
    /// Identifies the call everywhere.
    pub(super) id: String,
    pub(super) streaming: bool,
    /// The client wants to see the usage of a stream.
    pub(super) include_usage: bool,
    pub(super) limits: Limits,
    pub(super) num_retries: Option<u32>,
    /// What its price depends on.
    pub(super) terms: Terms,
    /// Read with `enable_tag_filtering` only.
    pub(super) tags: RequestTags,
    pub(super) fallbacks: ClientFallbacks,
    /// What providers are told of the trace that it belongs to.
    pub(super) trace: Option<TraceHeaders>,
}

/// What the client says about fallbacks.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientFallbacks {
    /// `disable_fallbacks`.
    pub(super) disabled: bool,
    /// `fallbacks`: before those of the config.
    pub(super) general: Vec<Fallback>,
    /// `context_window_fallbacks`.
    pub(super) context_window: Vec<Fallback>,
    /// `content_policy_fallbacks`.
    pub(super) content_policy: Vec<Fallback>,
    /// `mock_testing_fallbacks` and its kin: the first model group fails in this way without being called.
    pub(super) mocked_failure: Option<FailureKind>,
}

impl Request {
    /// Reads a call.
    ///
    /// # Errors
    /// It is none, or lacks what every provider needs.
    pub(super) fn read(incoming: Incoming, id: &str, config: &Config) -> Result<Self, GatewayError> {
        let Incoming { operation, model, body, wishes } = incoming;
        let body = RequestBody::parse(body)?;
        let model = match (model, body.string("model")?) {
            (Some(model), _) => model,
            (None, Some(model)) if !model.is_empty() => model.into_owned(),
            (None, _) => return Err(GatewayError::missing("model")),
        };
        if model.len() > MAX_MODEL_BYTES {
            return Err(GatewayError::invalid("model", format!("'model' is longer than {MAX_MODEL_BYTES} bytes.")));
        }
        prepare::refuse_banned(&body)?;
        prepare::require(operation, &body)?;
        // Embeddings don't stream, whatever a client says.
        let streaming = operation != Operation::Embeddings && body.boolean("stream")?.unwrap_or(false);
        Ok(Self {
            operation,
            model,
            id: id.to_owned(),
            streaming,
            include_usage: config.general.always_include_stream_usage || prepare::asks_for_usage(&body)?,
            limits: Limits {
                total: wishes.timeout.or(seconds(&body, "timeout")?),
                first: wishes.stream_timeout.or(seconds(&body, "stream_timeout")?),
            },
            num_retries: wishes.num_retries.or(num_retries(&body)?),
            tags: match config.routing.checks.tags {
                Some(_) => RequestTags::read(&body, wishes.tags.as_deref().into_iter()),
                None => RequestTags::default(),
            },
            fallbacks: ClientFallbacks::read(&body)?,
            terms: Terms::read(operation, &body),
            trace: None,
            body,
        })
    }

    /// The same call for a fallback that wants some parameters otherwise.
    ///
    /// # Errors
    /// What it wants makes no request.
    pub(super) fn with_overrides(&self, overrides: &Map<String, Value>) -> Result<RequestBody, GatewayError> {
        let mut edits = Edits::default();
        for (key, value) in overrides {
            edits.set(key, value.to_string());
        }
        Ok(RequestBody::parse(edits.apply(&self.body))?)
    }
}

impl ClientFallbacks {
    /// The client's list for such a failure, if it has one.
    pub(super) fn own(&self, kind: FailureKind) -> Option<&[Fallback]> {
        let special = match kind {
            FailureKind::ContextWindow => &self.context_window,
            FailureKind::ContentPolicy => &self.content_policy,
            _ => &self.general,
        };
        [special, &self.general].into_iter().find(|list| !list.is_empty()).map(Vec::as_slice)
    }

    fn read(body: &RequestBody) -> Result<Self, GatewayError> {
        let mocked = [
            ("mock_testing_fallbacks", FailureKind::Server),
            ("mock_testing_context_fallbacks", FailureKind::ContextWindow),
            ("mock_testing_content_policy_fallbacks", FailureKind::ContentPolicy),
        ];
        let mut mocked_failure = None;
        for (key, kind) in mocked {
            if body.boolean(key)? == Some(true) {
                mocked_failure = Some(kind);
            }
        }
        Ok(Self {
            disabled: body.boolean("disable_fallbacks")?.unwrap_or(false),
            general: fallbacks(body, "fallbacks")?,
            context_window: fallbacks(body, "context_window_fallbacks")?,
            content_policy: fallbacks(body, "content_policy_fallbacks")?,
            mocked_failure,
        })
    }
}

/// Names, or `{"model": …}` with parameters of its own, or LiteLLM's `{"the model": ["its fallbacks"]}`.
fn fallbacks(body: &RequestBody, key: &'static str) -> Result<Vec<Fallback>, GatewayError> {
    let list: Vec<Value> = body.typed(key, "an array of models")?.unwrap_or_default();
    let wrong = || GatewayError::invalid(key, format!("Invalid type for '{key}': expected an array of models."));
    let mut found = Vec::new();
    for item in list {
        match item {
            Value::String(model) => found.push(Fallback { model, overrides: Map::new() }),
            Value::Object(mut overrides) => match overrides.shift_remove("model") {
                Some(Value::String(model)) => {
                    if let Some(banned) = prepare::BANNED.iter().find(|banned| overrides.contains_key(**banned)) {
                        let message = format!("'{banned}' can't be set by a client of this gateway.");
                        return Err(GatewayError::invalid(*banned, message));
                    }
                    // What the answer looks like was settled by the request itself.
                    overrides.retain(|key, _| !matches!(key.as_str(), "stream" | "stream_options"));
                    found.push(Fallback { model, overrides });
                }
                Some(_) => return Err(wrong()),
                None => {
                    let model = body.string("model")?.unwrap_or_default();
                    let Some(Value::Array(names)) = overrides.shift_remove(model.as_ref()) else { continue };
                    for name in names {
                        let Value::String(model) = name else { return Err(wrong()) };
                        found.push(Fallback { model, overrides: Map::new() });
                    }
                }
            },
            _ => return Err(wrong()),
        }
    }
    if found.len() > MAX_FALLBACKS {
        return Err(GatewayError::invalid(key, format!("'{key}' names more than {MAX_FALLBACKS} models.")));
    }
    if found.iter().any(|fallback| fallback.model.len() > MAX_MODEL_BYTES) {
        let message = format!("'{key}' names a model with more than {MAX_MODEL_BYTES} bytes.");
        return Err(GatewayError::invalid(key, message));
    }
    Ok(found)
}

fn num_retries(body: &RequestBody) -> Result<Option<u32>, GatewayError> {
    let Some(number) = body.number("num_retries")? else { return Ok(None) };
    if number.fract() != 0.0 || !(0.0..=MAX_RETRIES).contains(&number) {
        let message = format!("'num_retries' must be a whole number from 0 to {MAX_RETRIES}.");
        return Err(GatewayError::invalid("num_retries", message));
    }
    Ok(Some(number as u32))
}

/// Nobody may ask for more retries.
pub const MAX_RETRIES: f64 = 100.0;

/// A client's number of seconds, above 0. Nobody waits for years, and a clock that far ahead has no name.
pub fn waiting_time(seconds: f64) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())?;
    Some(duration.min(LONGEST))
}

fn seconds(body: &RequestBody, key: &'static str) -> Result<Option<Duration>, GatewayError> {
    let Some(seconds) = body.number(key)? else { return Ok(None) };
    let duration = waiting_time(seconds);
    let wrong = || GatewayError::invalid(key, format!("'{key}' must be a number of seconds above 0."));
    duration.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ClientFallbacks, GatewayError> {
        ClientFallbacks::read(&RequestBody::parse(Bytes::copy_from_slice(json.as_bytes()))?)
    }

    #[test]
    fn a_client_names_fallbacks_in_any_of_litellms_ways() {
        let read = read(
            r#"{"model":"a","fallbacks":["b",{"model":"c","max_tokens":5,"stream":true},{"a":["d"]},{"x":["y"]}],"disable_fallbacks":false}"#,
        )
        .unwrap();
        let names: Vec<&str> = read.general.iter().map(|fallback| fallback.model.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"]);
        assert_eq!(serde_json::to_string(&read.general[1].overrides).unwrap(), r#"{"max_tokens":5}"#);
        assert!(!read.disabled && read.mocked_failure.is_none());
    }

    #[test]
    fn what_is_no_list_of_models_is_refused() {
        for fallbacks in ["7", "[7]", r#"[{"model":7}]"#, r#"[{"a":[7]}]"#, r#"[{"model":"b","api_key":"sk"}]"#] {
            let error = read(&format!(r#"{{"model":"a","fallbacks":{fallbacks}}}"#)).unwrap_err().to_string();
            assert!(error.contains("fallbacks") || error.contains("api_key"), "{fallbacks}: {error}");
        }
    }

    #[test]
    fn a_wait_is_above_nothing_and_below_forever() {
        for (seconds, expected) in [(0.5, Some(0.5)), (0.0, None), (-1.0, None), (f64::NAN, None), (1e300, None)] {
            assert_eq!(waiting_time(seconds).map(|wait| wait.as_secs_f64()), expected, "{seconds}");
        }
        let longest = waiting_time(1e18).unwrap();
        assert!(tokio::time::Instant::now().checked_add(longest).is_some());
    }

    #[test]
    fn retries_are_a_small_whole_number() {
        for (number, expected) in [
            ("3", Some(Some(3))),
            ("0", Some(Some(0))),
            ("null", Some(None)),
            ("-1", None),
            ("1.5", None),
            ("1e9", None),
        ] {
            let body = RequestBody::parse(Bytes::from(format!(r#"{{"num_retries":{number}}}"#))).unwrap();
            assert_eq!(num_retries(&body).ok(), expected, "{number}");
        }
    }
}
