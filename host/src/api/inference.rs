//! The endpoints that ask a model.

use std::time::Duration;

use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::reader::Reader;
use super::{Body, admit, respond};
use crate::pipeline::{AnswerBody, GatewayError, Incoming as Call, Pipeline};
use crate::plugin::Operation;
use crate::usage::Entry;

const WARNINGS: HeaderName = HeaderName::from_static("x-ai-api-translation-warnings");

/// Answers one call, once it is taken on. It counts as under way until the answer is out.
pub(super) async fn call(
    pipeline: &Pipeline,
    entering: admit::Entering<'_>,
    operation: Operation,
    model: Option<String>,
    request: Request<Incoming>,
    entry: &mut Entry,
) -> Result<Response<Body>, GatewayError> {
    let (parts, incoming) = request.into_parts();
    let mut timeout = timeout(&parts.headers)?;
    let config = &pipeline.config;
    let mut reader = Reader::new(&parts.headers, incoming, config.general.max_request_bytes, &config.load.client)?;
    let slot = match admit::enter(entering, &mut reader, &mut timeout).await {
        Ok(slot) => slot,
        Err(error) => {
            reader.linger();
            return Err(error);
        }
    };
    let body = reader.whole().await?;
    if pipeline.config.logging.log_raw_request_response {
        tracing::info!(call_id = entry.call_id, body = %String::from_utf8_lossy(&body), "raw request");
    }
    let answer = pipeline.call(Call { operation, model, body, timeout }, entry).await?;
    let mut response = match answer.body {
        AnswerBody::Whole(body) => {
            if pipeline.config.logging.log_raw_request_response {
                tracing::info!(call_id = entry.call_id, body = %String::from_utf8_lossy(&body), "raw response");
            }
            respond::json_bytes(StatusCode::OK, body)
        }
        AnswerBody::Stream(reply) => respond::events(Body::stream(reply)),
    };
    response.body_mut().keep(slot);
    response.headers_mut().extend(answer.rate_limits);
    if let Some(warnings) = answer.warnings {
        response.headers_mut().insert(WARNINGS, warnings);
    }
    Ok(response)
}

/// `x-litellm-timeout`, in seconds.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, GatewayError> {
    let Some(value) = headers.get("x-litellm-timeout") else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|d| !d.is_zero());
    duration.map(Some).ok_or_else(|| {
        GatewayError::invalid(
            "x-litellm-timeout",
            "The header 'x-litellm-timeout' must be a number of seconds above 0.",
        )
    })
}
