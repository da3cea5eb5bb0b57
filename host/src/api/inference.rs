//! The endpoints that ask a model.

use http::{HeaderName, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::{Body, body, respond, wishes};
use crate::pipeline::{AnswerBody, GatewayError, Incoming as Call, Pipeline};
use crate::plugin::Operation;
use crate::usage::Entry;

const WARNINGS: HeaderName = HeaderName::from_static("x-ai-api-translation-warnings");

/// Answers one call.
pub(super) async fn call(
    pipeline: &Pipeline,
    operation: Operation,
    model: Option<String>,
    request: Request<Incoming>,
    entry: &mut Entry,
) -> Result<Response<Body>, GatewayError> {
    let (parts, incoming) = request.into_parts();
    let wishes = wishes::read(&parts.headers)?;
    let body = body::read(&parts.headers, incoming, pipeline.config.general.max_request_bytes).await?;
    if pipeline.config.logging.log_raw_request_response {
        tracing::info!(call_id = entry.call_id, body = %String::from_utf8_lossy(&body), "raw request");
    }
    let answer = pipeline.call(Call { operation, model, body, wishes }, entry).await?;
    let mut response = match answer.body {
        AnswerBody::Whole(body) => {
            if pipeline.config.logging.log_raw_request_response {
                tracing::info!(call_id = entry.call_id, body = %String::from_utf8_lossy(&body), "raw response");
            }
            respond::json_bytes(StatusCode::OK, body)
        }
        AnswerBody::Stream(reply) => respond::events(Body::stream(reply)),
    };
    response.headers_mut().extend(answer.rate_limits);
    if let Some(warnings) = answer.warnings {
        response.headers_mut().insert(WARNINGS, warnings);
    }
    Ok(response)
}
