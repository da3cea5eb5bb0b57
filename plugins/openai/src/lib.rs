//! OpenAI and everything that speaks its API.
//!
//! Canonical JSON is OpenAI's own, so the gateway forwards it without asking this plugin. What is left are the
//! reasoning models, which refuse parameters that every other model takes: <https://platform.openai.com/docs/guides/reasoning>.

use ai_api_plugin_sdk::json::Warnings;
use ai_api_plugin_sdk::serde_json::{self, Map, Value};
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, Header, HttpRequest, HttpResponse,
    Manifest, Operation, Provider, Reading, Support, export_provider, failure,
};

/// Models that refuse what others take, by prefix.
const REASONING: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];

/// The answer is canonical; nothing has to be remembered.
#[derive(Debug)]
pub struct OpenAi;

impl Provider for OpenAi {
    fn manifest() -> Manifest {
        Manifest {
            name: "openai".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: "https://api.openai.com/v1".to_owned(),
            credential: Credential::Bearer,
            operations: vec![
                Support { translated: REASONING.map(str::to_owned).to_vec(), ..native(Operation::ChatCompletions) },
                native(Operation::Completions),
                native(Operation::Embeddings),
                native(Operation::ImagesGenerations),
            ],
            parameters: Vec::new(),
            reusable: false,
        }
    }

    fn begin(call: Call) -> Result<Begin<Self>, Failure> {
        let mut warnings = Warnings::default();
        let body = if call.operation == Operation::ChatCompletions && is_reasoning(&call.model) {
            for_reasoning(&call, &mut warnings)?
        } else {
            call.body
        };
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: path(call.operation).to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body,
        };
        Ok(Begin { exchange: Self, begun: Begun::Send(request), warnings: warnings.into_vec() })
    }

    fn head(&mut self, _status: u16, _headers: &[Header]) -> Result<Reading, Failure> {
        Ok(Reading::Verbatim)
    }

    fn streaming(&self) -> bool {
        false
    }

    fn whole(&mut self, _response: HttpResponse) -> Result<Completion, Failure> {
        Err(failure::malformed("the answer is canonical already"))
    }

    fn events(&mut self, _events: Vec<Event>) -> Result<Batch, Failure> {
        Err(failure::malformed("the answer is canonical already"))
    }

    fn end(&mut self, _ending: Ending) -> Result<Batch, Failure> {
        Err(failure::malformed("the answer is canonical already"))
    }
}

fn native(operation: Operation) -> Support {
    Support { operation, native: Some(path(operation).to_owned()), translated: Vec::new() }
}

fn path(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions => "chat/completions",
        Operation::Completions => "completions",
        Operation::Embeddings => "embeddings",
        Operation::ImagesGenerations => "images/generations",
    }
}

fn is_reasoning(model: &str) -> bool {
    REASONING.iter().any(|prefix| model.starts_with(prefix))
}

/// Whether a model takes no other temperature than 1. `gpt-5-chat` doesn't reason, and from gpt-5.1 on it depends on
/// the effort, which is the provider's to judge.
fn has_fixed_temperature(model: &str) -> bool {
    is_reasoning(model) && !model.starts_with("gpt-5-chat") && !model.starts_with("gpt-5.")
}

/// `max_tokens` gets the name that these models know it by; a temperature that they refuse is told.
fn for_reasoning(call: &Call, warnings: &mut Warnings) -> Result<Vec<u8>, Failure> {
    let mut body: Map<String, Value> = serde_json::from_slice(&call.body)
        .map_err(|error| failure::invalid("", format!("The request body is not valid JSON: {error}")))?;
    if let Some(limit) = body.shift_remove("max_tokens").filter(|limit| !limit.is_null()) {
        body.entry("max_completion_tokens").or_insert(limit);
    }
    let temperature = body.get("temperature").and_then(Value::as_f64);
    if has_fixed_temperature(&call.model) && temperature.is_some_and(|temperature| temperature != 1.0) {
        body.shift_remove("temperature");
        warnings.unsupported("temperature");
    }
    serde_json::to_vec(&body).map_err(|error| failure::malformed(error.to_string()))
}

export_provider!(OpenAi);

#[cfg(test)]
mod tests {
    use ai_api_plugin_sdk::testing::{call, request};
    use serde_json::json;

    use super::*;

    fn chat(model: &str, body: Value) -> (Value, Vec<String>) {
        let (request, warnings) = request::<OpenAi>(call(Operation::ChatCompletions, model, &body)).unwrap();
        assert_eq!(request.path, "chat/completions");
        (serde_json::from_slice(&request.body).unwrap(), warnings.into_iter().map(|warning| warning.path).collect())
    }

    #[test]
    fn reasoning_models_get_max_completion_tokens() {
        for (model, body, expected) in [
            ("o3-mini", json!({"max_tokens": 5, "a": 1}), json!({"a": 1, "max_completion_tokens": 5})),
            ("gpt-5-mini", json!({"max_tokens": 5, "max_completion_tokens": 6}), json!({"max_completion_tokens": 6})),
            ("gpt-4o", json!({"max_tokens": 5}), json!({"max_tokens": 5})),
        ] {
            assert_eq!(chat(model, body).0, expected, "{model}");
        }
    }

    #[test]
    fn a_temperature_that_a_reasoning_model_refuses_is_told() {
        for (model, temperature, told) in [
            ("o1", 0.2, true),
            ("gpt-5", 0.0, true),
            ("gpt-5", 1.0, false),
            ("gpt-5.1", 0.2, false),
            ("gpt-5-chat", 0.2, false),
        ] {
            let (body, warnings) = chat(model, json!({"temperature": temperature}));
            assert_eq!(warnings == ["temperature"], told, "{model} {temperature}");
            assert_eq!(body.get("temperature").is_none(), told, "{model} {temperature}");
        }
    }
}
