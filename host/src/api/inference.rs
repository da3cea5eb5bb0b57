//! The endpoints that ask a model.

use std::sync::Arc;

use http::{HeaderName, Request, Response, StatusCode};

use super::reader::Reader;
use super::upload::{Linger, Upload};
use super::{Body, admit, limits, respond, wishes};
use crate::pipeline::{AnswerBody, GatewayError, Incoming, Pipeline};
use crate::plugin::Operation;
use crate::usage::Entry;

/// What the gateway itself added before the first byte of the answer.
const OVERHEAD: HeaderName = HeaderName::from_static("x-litellm-overhead-duration-ms");
const WARNINGS: HeaderName = HeaderName::from_static("x-ai-api-translation-warnings");

/// Answers one call, once it is taken on. It counts as under way until the answer is out.
pub(super) async fn call(
    pipeline: &Arc<Pipeline>,
    entering: admit::Entering<'_>,
    operation: Operation,
    model: Option<String>,
    request: Request<Upload>,
    entry: &mut Entry,
) -> Result<Response<Body>, GatewayError> {
    let (parts, upload) = request.into_parts();
    let mut wishes = match wishes::read(&parts.headers) {
        Ok(wishes) => wishes,
        Err(error) => {
            upload.linger(Linger::SHORT);
            return Err(error);
        }
    };
    let config = &pipeline.config;
    let most = config.general.max_request_bytes;
    let mut reader = Reader::new(&parts.headers, upload, most, &config.load.client, wishes.timeout)?;
    let slot = match admit::enter(entering, &mut reader, &mut wishes.timeout).await {
        Ok(slot) => slot,
        Err(error) => {
            reader.linger();
            return Err(error);
        }
    };
    let body = reader.whole().await?;
    entry.mark_received();
    if pipeline.config.logging.log_raw_request_response {
        tracing::info!(call_id = entry.call_id, body = %String::from_utf8_lossy(&body), "raw request");
    }
    let answer = pipeline.call(Incoming { operation, model, body, wishes }, entry).await?;
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
    if let (false, Some(by), Some(call)) = (answer.rate_limits.is_empty(), &entry.served_by, &entry.call) {
        let group = entry.group.as_deref().or(call.model_group.as_deref()).unwrap_or_default();
        call.accounts.metrics.remaining().told(by, group, &answer.rate_limits);
    }
    response.headers_mut().extend(answer.rate_limits);
    if let Some(overhead) = entry.mark_answered() {
        response.headers_mut().extend(respond::milliseconds(overhead).map(|overhead| (OVERHEAD, overhead)));
    }
    limits::tell(response.headers_mut(), entry);
    if let Some(warnings) = answer.warnings {
        response.headers_mut().insert(WARNINGS, warnings);
    }
    Ok(response)
}
