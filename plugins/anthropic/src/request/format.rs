//! The form that the answer must have.

use ai_api_plugin_sdk::Failure;
use ai_api_plugin_sdk::canonical::ResponseFormat;
use ai_api_plugin_sdk::json::{Json, Object, Text};
use ai_api_plugin_sdk::{failure, object};

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
pub(super) fn translate<'a>(
    format: Option<ResponseFormat<'a>>,
    tools: &mut Tools<'a>,
    output_config: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    thinking: &mut Thinking<'a>,
    cx: &mut Context,
) -> Result<Option<String>, Failure> {
    match format {
        None | Some(ResponseFormat::Text) => Ok(None),
        Some(ResponseFormat::JsonObject) => {
            cx.warnings.approximated("response_format");
            // Last, so that a cached prompt before it stays cached.
            conversation.system.push(object! {"type": "text", "text": JSON_ONLY});
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
            let schema = tool_schema(format.schema)?;
            tools.answer_in(schema, format.description, thinking, conversation.has_tool_blocks, cx).map(Some)
        }
    }
}

/// `output_config.format`. With it, Anthropic's grammar holds the model to the schema.
fn write_native<'a>(
    restricted: Restricted<'a>,
    description: Option<Text<'a>>,
    output_config: &mut Object<'a>,
    cx: &mut Context,
) {
    let Restricted { mut schema, lossy } = restricted;
    if lossy {
        cx.warnings.approximated(SCHEMA);
    }
    if let (Json::Object(fields), Some(description)) = (&mut schema, description) {
        fields.insert_default("description", description);
    }
    output_config.insert("format", object! {"type": "json_schema", "schema": schema});
}

/// The schema as a tool's input, which must be an object.
fn tool_schema(mut schema: Json<'_>) -> Result<Json<'_>, Failure> {
    if let Json::Object(fields) = &mut schema {
        match fields.get("type") {
            None => fields.insert_first("type", "object"),
            Some(kind) if *kind == "object" => {}
            Some(_) => return Err(failure::invalid(SCHEMA, format!("Invalid '{SCHEMA}': its type must be 'object'."))),
        }
    }
    Ok(schema)
}
