//! `POST /utils/token_counter`: how many tokens a prompt has.

use http::{Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::super::models::resolved;
use super::super::reader::Reader;
use super::super::upload::Upload;
use super::super::{Body, respond};
use crate::auth::Principal;
use crate::canonical::RequestBody;
use crate::pipeline::GatewayError;
use crate::precall::{self, Uncountable};
use crate::reload::State;

/// One prompt is counted at a time: it is work for a whole core, and those are for calls.
static COUNTING: Semaphore = Semaphore::const_new(1);

/// Answers with LiteLLM's fields.
pub(super) async fn answer(
    state: &State,
    who: &Principal,
    request: Request<Upload>,
) -> Result<Response<Body>, GatewayError> {
    let pipeline = &state.pipeline;
    let config = &pipeline.config;
    let (parts, upload) = request.into_parts();
    let reader = Reader::new(&parts.headers, upload, config.general.max_request_bytes, &config.load.client, None)?;
    let body = RequestBody::parse(reader.whole().await?)?;
    let model_used = match body.string("model")? {
        Some(model) => model_used(state, who, &model)?,
        None => return Err(invalid("model", "Missing required parameter: 'model'.".to_owned())),
    };
    // The semaphore is never closed.
    let _turn = COUNTING.acquire().await;
    let counted = tokio::task::spawn_blocking(move || precall::count(&body, &model_used)).await;
    let count = counted.map_err(|_| GatewayError::BodyBroken("it can't be counted".to_owned()))?.map_err(refused)?;
    let value = serde_json::to_value(&count).unwrap_or_default();
    Ok(respond::json(StatusCode::OK, &value))
}

/// The provider's name of what a client calls `model`. One that we don't have is counted all the same, as LiteLLM does it.
fn model_used(state: &State, who: &Principal, model: &str) -> Result<String, GatewayError> {
    let caller = who.caller();
    let name = match &caller {
        Some(caller) => caller.model(model, &state.pipeline.config)?,
        None => model.into(),
    };
    Ok(match resolved(&state.pipeline, &name) {
        Ok(resolved) => resolved.model(&resolved.group.first).to_string(),
        Err(_) => name.into_owned(),
    })
}

fn refused(error: Uncountable) -> GatewayError {
    match error {
        Uncountable::Type(error) => error.into(),
        Uncountable::NoPrompt => invalid("prompt", error.to_string()),
        Uncountable::Unreadable => invalid("messages", error.to_string()),
    }
}

fn invalid(param: &str, message: String) -> GatewayError {
    GatewayError::Invalid { param: param.to_owned(), message }
}
