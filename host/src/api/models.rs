//! Which models there are.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Body, respond};
use crate::auth::Principal;
use crate::pipeline::{GatewayError, Pipeline};
use crate::router::{Resolved, Target};

/// LiteLLM's constant; nobody knows when a model was made.
const CREATED: u64 = 1_677_610_602;

/// `GET /v1/models`: what the caller may call.
pub(super) fn list(pipeline: &Pipeline, who: &Principal) -> Response<Body> {
    let mut data = Vec::new();
    for (name, target) in pipeline.router.names() {
        if !name.contains('*') {
            data.push(model(pipeline, name, target, &target.deployment.model, "openai"));
            continue;
        }
        // `openai/*` stands for every model of the provider that is known.
        let known = pipeline.config.models().models_of(&target.deployment.provider);
        let provider = &target.deployment.provider;
        data.extend(known.iter().filter_map(|known| {
            let known = known.strip_prefix(&format!("{provider}/")).unwrap_or(known);
            let full = [name.replacen('*', known, 1), format!("{provider}/{known}")];
            let name = full.iter().find(|full| pipeline.router.resolve(full).is_ok())?;
            Some(model(pipeline, name, target, known, "openai"))
        }));
    }
    let mut seen = std::collections::HashSet::new();
    data.retain(|model| {
        let id = model.get("id").and_then(Value::as_str).unwrap_or_default();
        may_call(pipeline, who, id) && seen.insert(id.to_owned())
    });
    respond::json(StatusCode::OK, &json!({"data": data, "object": "list"}))
}

/// Whether the caller may call a model by this name.
fn may_call(pipeline: &Pipeline, who: &Principal, name: &str) -> bool {
    match who {
        Principal::Key(caller) => caller.model(name, &pipeline.config).is_ok(),
        Principal::Admin | Principal::Anyone => true,
    }
}

/// `GET /v1/models/{id}`
pub(super) fn one(pipeline: &Pipeline, who: &Principal, id: &str) -> Result<Response<Body>, GatewayError> {
    let unknown = || GatewayError::UnknownModel { model: id.chars().take(200).collect(), suggestion: None };
    let resolved = match who {
        // Whether there is a model that it may not call is not its business.
        Principal::Key(caller) => {
            resolved(pipeline, &caller.model(id, &pipeline.config).map_err(|_| unknown())?).map_err(|_| unknown())?
        }
        Principal::Admin | Principal::Anyone => resolved(pipeline, id)?,
    };
    let target = &resolved.group.first;
    let provider = &target.deployment.provider;
    Ok(respond::json(StatusCode::OK, &model(pipeline, id, target, &resolved.model(target), provider)))
}

/// The deployments that a client's name for a model stands for.
pub(super) fn resolved(pipeline: &Pipeline, name: &str) -> Result<Resolved, GatewayError> {
    pipeline.router.resolve(name).map_err(|unknown| GatewayError::UnknownModel {
        model: name.chars().take(200).collect(),
        suggestion: unknown.suggestion,
    })
}

/// `GET /model/info`: of what the caller may call. Where a model is served is for administrators to know.
pub(super) fn info(pipeline: &Pipeline, who: &Principal) -> Response<Body> {
    let table = pipeline.config.models();
    let data: Vec<Value> = pipeline
        .router
        .targets()
        .iter()
        .filter(|target| may_call(pipeline, who, &target.deployment.model_name))
        .map(|target| {
            let deployment = &target.deployment;
            let mut info = deployment.model_info.clone();
            info.insert("id".to_owned(), json!(deployment.id));
            info.insert("db_model".to_owned(), json!(false));
            let mut add = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    info.entry(key).or_insert(value);
                }
            };
            add("mode", deployment.mode(table, &deployment.model).map(Value::from));
            add("max_input_tokens", deployment.max_input_tokens(table, &deployment.model).map(Value::from));
            add("max_output_tokens", deployment.max_output_tokens(table, &deployment.model).map(Value::from));
            add("litellm_provider", Some(json!(deployment.provider)));
            let price = deployment.pricing.of(&deployment.model);
            for (key, usd) in price.iter().flat_map(|price| price.shown()) {
                add(key, Some(json!(usd)));
            }
            // Names only: parameters may hold keys.
            let params = json!({
                "model": format!("{}/{}", deployment.provider, deployment.model),
                "api_base": deployment.api_base.as_ref().filter(|_| who.sees_all()).map(url::Url::as_str),
            });
            json!({"model_name": deployment.model_name, "litellm_params": params, "model_info": info})
        })
        .collect();
    respond::json(StatusCode::OK, &json!({"data": data}))
}

/// `asked`: the provider's own name of the model.
fn model(pipeline: &Pipeline, name: &str, target: &Target, asked: &str, owner: &str) -> Value {
    let table = pipeline.config.models();
    let deployment = &target.deployment;
    let mut model = Map::from_iter([
        ("id".to_owned(), json!(name)),
        ("object".to_owned(), json!("model")),
        ("created".to_owned(), json!(CREATED)),
        ("owned_by".to_owned(), json!(owner)),
    ]);
    let known = [
        ("mode", deployment.mode(table, asked).map(Value::from)),
        ("max_input_tokens", deployment.max_input_tokens(table, asked).map(Value::from)),
        ("max_output_tokens", deployment.max_output_tokens(table, asked).map(Value::from)),
    ];
    model.extend(known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(model)
}
