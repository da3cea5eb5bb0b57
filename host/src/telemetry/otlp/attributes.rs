//! The words that OpenTelemetry has for calls of models: the GenAI semantic conventions.

use opentelemetry::KeyValue;

use crate::plugin::Operation;
use crate::telemetry::metrics::class;
use crate::usage::{CallRecord, Outcome};

/// `gen_ai.operation.name`.
pub(super) fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions => "chat",
        Operation::Completions => "text_completion",
        Operation::Embeddings => "embeddings",
        Operation::ImagesGenerations => "generate_content",
    }
}

/// `gen_ai.provider.name`, where OpenTelemetry's name of a provider isn't LiteLLM's.
pub(super) fn provider(name: &str) -> &str {
    match name {
        "azure" => "azure.ai.openai",
        "azure_ai" => "azure.ai.inference",
        "bedrock" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "vertex_ai" => "gcp.vertex_ai",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        name => name,
    }
}

/// What tells the calls apart that are measured: few values each.
pub(super) fn of_measurement(call: &CallRecord) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new("gen_ai.operation.name", operation(call.operation))];
    if let Some(by) = &call.served_by {
        attributes.push(KeyValue::new("gen_ai.provider.name", provider(&by.provider).to_owned()));
        attributes.push(KeyValue::new("gen_ai.request.model", by.model.clone()));
    }
    attributes.extend(error_type(call).map(|error| KeyValue::new("error.type", error)));
    attributes
}

/// How a call failed, if it did.
pub(super) fn error_type(call: &CallRecord) -> Option<&'static str> {
    match call.outcome {
        Outcome::Complete if call.status < 400 => None,
        Outcome::Open => Some(class(499)),
        _ => Some(call.kind.unwrap_or_else(|| class(call.status))),
    }
}
