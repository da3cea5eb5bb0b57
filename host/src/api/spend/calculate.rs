//! `POST /spend/calculate`: what a call would cost, or has.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;

use super::super::models::resolved;
use super::super::reader::Reader;
use super::super::upload::Upload;
use super::super::{Body, respond};
use crate::auth::Principal;
use crate::canonical::{AnswerView, RequestBody};
use crate::pipeline::GatewayError;
use crate::plugin::Operation;
use crate::precall;
use crate::prices::ModelPrice;
use crate::reload::State;
use crate::usage::{Terms, Usage};

/// Answers `{"cost": …}`, as LiteLLM does. The body has a `completion_response`, or a `model` and `messages`, of which the
/// prompt alone is counted, for nobody knows an answer that isn't there yet.
///
/// # Errors
/// Neither is there, or nobody knows the price: LiteLLM says 0 then.
pub(in super::super) async fn answer(
    state: &State,
    who: &Principal,
    request: Request<Upload>,
) -> Result<Response<Body>, GatewayError> {
    let config = &state.pipeline.config;
    let (parts, upload) = request.into_parts();
    let reader = Reader::new(&parts.headers, upload, config.general.max_request_bytes, &config.load.client, None)?;
    let body = RequestBody::parse(reader.whole().await?)?;
    let model = body.string("model")?;
    let (name, usage) = match body.raw("completion_response") {
        Some(text) => {
            let answer = RequestBody::parse(Bytes::copy_from_slice(text.as_bytes()))?;
            let usage = AnswerView::parse(text.as_bytes()).and_then(|view| view.usage());
            let usage = usage.ok_or_else(|| invalid("completion_response", "it has no 'usage'."))?;
            let name = match model {
                Some(model) => model.into_owned(),
                None => match answer.string("model")? {
                    Some(model) => model.into_owned(),
                    None => return Err(invalid("completion_response", "it has no 'model', and the body has none.")),
                },
            };
            (name, usage)
        }
        None => {
            let name =
                model.ok_or_else(|| invalid("model", "it is missing, as is 'completion_response'."))?.into_owned();
            if body.raw("messages").is_none() {
                return Err(invalid("messages", "they are missing, as is 'completion_response'."));
            }
            let counted = body.clone();
            // Counting is work for a thread that may block.
            let counted = tokio::task::spawn_blocking(move || precall::count(&counted, "")).await;
            let counted = counted.map_err(|_| GatewayError::BodyBroken("it can't be counted".to_owned()))?;
            let counted = counted.map_err(|error| invalid("messages", &error.to_string()))?;
            let terms = Terms::read(Operation::ChatCompletions, &body);
            (name, terms.of(Usage { prompt_tokens: counted.total_tokens, ..Usage::default() }))
        }
    };
    let shown: String = name.chars().take(200).collect();
    let cost = price(state, who, &name)?.and_then(|price| price.cost(&usage));
    let unknown = || invalid("model", &format!("nobody knows what '{shown}' costs: its price is unknown, not 0."));
    let cost = cost.ok_or_else(unknown)?;
    Ok(respond::json(StatusCode::OK, &json!({"cost": cost.total})))
}

/// The price of what a client calls `model`; of one that the gateway doesn't have, the table's.
fn price(state: &State, who: &Principal, model: &str) -> Result<Option<ModelPrice>, GatewayError> {
    let config = &state.pipeline.config;
    let caller = who.caller();
    let name = match &caller {
        Some(caller) => caller.model(model, config)?,
        None => model.into(),
    };
    if let Ok(resolved) = resolved(&state.pipeline, &name) {
        let first = &resolved.group.first;
        return Ok(first.deployment.pricing.of(&resolved.model(first)).map(|price| ModelPrice::clone(&price)));
    }
    let (provider, own) = match name.split_once('/') {
        Some((provider, own)) => (provider, own),
        None => (crate::config::provider_of_bare_name(&name).unwrap_or_default(), &*name),
    };
    Ok(config.prices.of_base(provider, own))
}

fn invalid(param: &str, why: &str) -> GatewayError {
    GatewayError::Invalid { param: param.to_owned(), message: format!("'{param}': {why}") }
}
