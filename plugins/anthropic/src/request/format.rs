//! The form that the answer must have.

use ai_api_plugin_sdk::Failure;
use ai_api_plugin_sdk::canonical::{JsonSchema, ResponseFormat};
use ai_api_plugin_sdk::failure;
use serde_json::{Map, Value, json};

use super::messages::Conversation;
use super::thinking::Thinking;
use super::tools::Tools;
use super::{Context, JsonTool};
use crate::schema;

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
    thinking: &Thinking,
    cx: &mut Context,
) -> Result<Option<JsonTool>, Failure> {
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
            let native = cx.model.structured() && !schema::has_open_map(&format.schema);
            if native {
                write_native(format, output_config, cx);
                return Ok(None);
            }
            tools.answer_in(tool_schema(&format)?, format.description, thinking, cx).map(Some)
        }
    }
}

/// `output_config.format`. With it, Anthropic's grammar holds the model to the schema.
fn write_native(format: JsonSchema, output_config: &mut Map<String, Value>, cx: &mut Context) {
    let mut schema = format.schema;
    if schema::restrict(&mut schema) {
        cx.warnings.approximated(SCHEMA);
    }
    if let (Value::Object(fields), Some(description)) = (&mut schema, format.description) {
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
