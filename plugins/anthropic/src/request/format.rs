//! The form that the answer must have.

use ai_api_plugin_sdk::Failure;
use ai_api_plugin_sdk::legacy::canonical::{JsonSchema, ResponseFormat};
use ai_api_plugin_sdk::failure;
use serde_json::{Map, Value, json};

use super::Context;
use super::messages::Conversation;
use super::thinking::Thinking;
use super::tools::Tools;
use crate::schema::{self, Restricted};

const SCHEMA: &str = "response_format.json_schema.schema";

/// Anthropic has no such mode. The prompt says what the object holds, as OpenAI demands.
const JSON_ONLY: &str = "Answer with exactly one valid JSON object and nothing else: no prose before or after it, no \
                         code fence around it.";

/// Writes the form into `output_config`, or as a tool that the model must call, or into the system prompt.
pub(super) fn translate(
    format: Option<ResponseFormat>,
    tools: &mut Tools,
    output_config: &mut Map<String, Value>,
    conversation: &mut Conversation,
    thinking: &mut Thinking,
    cx: &mut Context,
) -> Result<Option<String>, Failure> {
    match format {
        None | Some(ResponseFormat::Text) => Ok(None),
        Some(ResponseFormat::JsonObject) => {
            cx.warnings.approximated("response_format");
            // Last, so that a cached prompt before it stays cached.
            conversation.system.push(json!({"type": "text", "text": JSON_ONLY}));
            Ok(None)
        }
        Some(ResponseFormat::Other(_)) => {
            cx.warnings.unsupported("response_format");
            Ok(None)
        }
        Some(ResponseFormat::JsonSchema(format)) => {
            if let Some(restricted) = schema::for_grammar(&format.schema).filter(|_| cx.model.structured()) {
                write_native(restricted, format.description, output_config, cx);
                return Ok(None);
            }
            let schema = tool_schema(&format)?;
            tools.answer_in(schema, format.description, thinking, conversation.has_tool_blocks, cx).map(Some)
        }
    }
}

/// `output_config.format`. With it, Anthropic's grammar holds the model to the schema.
fn write_native(
    restricted: Restricted,
    description: Option<String>,
    output_config: &mut Map<String, Value>,
    cx: &mut Context,
) {
    let Restricted { mut schema, lossy } = restricted;
    if lossy {
        cx.warnings.approximated(SCHEMA);
    }
    if let (Value::Object(fields), Some(description)) = (&mut schema, description) {
        fields.entry("description").or_insert(Value::String(description));
    }
    output_config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
}

/// The schema as a tool's input, which must be an object.
fn tool_schema(format: &JsonSchema) -> Result<Value, Failure> {
    let mut schema = format.schema.clone();
    if let Value::Object(fields) = &mut schema {
        match fields.get("type") {
            None => {
                fields.shift_insert(0, "type".to_owned(), json!("object"));
            }
            Some(kind) if kind == "object" => {}
            Some(_) => return Err(failure::invalid(SCHEMA, format!("Invalid '{SCHEMA}': its type must be 'object'."))),
        }
    }
    Ok(schema)
}
