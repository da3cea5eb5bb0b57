//! The form that the answer must have.

use ai_api_plugin_sdk::canonical::ResponseFormat;
use ai_api_plugin_sdk::json::{Json, Object, Warnings};
use ai_api_plugin_sdk::names::Names;
use ai_api_plugin_sdk::{Failure, failure, object};

use super::tools::Offer;
use crate::model::Model;

const SCHEMA: &str = "response_format.json_schema.schema";

/// Writes the form into `config`. Models before Gemini 3 refuse JSON beside tools ("Function calling with a response
/// mime type: 'application/json' is unsupported"): where the client offers functions, the answer becomes the arguments
/// of one more, whose name on the wire is returned.
///
/// # Errors
/// The model can't give such an answer to such a request.
pub(super) fn translate<'a>(
    format: Option<ResponseFormat<'a>>,
    offer: &mut Offer<'a>,
    names: &mut Names,
    config: &mut Object<'a>,
    model: &Model,
    warnings: &mut Warnings,
) -> Result<Option<String>, Failure> {
    let (schema, description) = match format {
        None | Some(ResponseFormat::Text) => return Ok(None),
        Some(ResponseFormat::Other(_)) => {
            warnings.unsupported("response_format");
            return Ok(None);
        }
        Some(ResponseFormat::JsonObject) => (None, None),
        Some(ResponseFormat::JsonSchema(format)) => (Some(format.schema), format.description),
    };
    if offer.has_googles() && model.is_before_3() {
        let message = "Gemini models before 3 can't answer in JSON while they use Google's own tools: leave out \
                       'response_format' or those tools, or ask Gemini 3.";
        return Err(failure::unsupported("response_format", message));
    }
    if offer.has_functions() && !model.is_3_or_newer() {
        // A call that the client forces is the answer: no text follows that could have a form.
        if offer.forces_a_call() {
            return Ok(None);
        }
        warnings.approximated("response_format");
        let parameters = match schema {
            Some(schema) => parameters(schema)?,
            None => object! {"type": "object", "additionalProperties": true}.into(),
        };
        return Ok(Some(offer.answer_in(parameters, description, names)));
    }
    config.insert("responseMimeType", "application/json");
    if let Some(schema) = schema {
        // The schema as it is: Google takes JSON schema here, `$ref` and all. Its name is a mere label, and Google
        // always obeys it, strict or not.
        config.insert("responseJsonSchema", schema);
    }
    if description.is_some() {
        warnings.dropped("response_format.json_schema.description");
    }
    Ok(None)
}

/// The schema as a function's parameters, which must be an object.
fn parameters(mut schema: Json<'_>) -> Result<Json<'_>, Failure> {
    let Json::Object(fields) = &mut schema else { return Ok(schema) };
    match fields.get("type") {
        Some(kind) if *kind == "object" => {}
        // Nothing but `$defs` may stand beside a reference.
        None if fields.contains_key("$ref") => {}
        None => fields.insert_first("type", "object"),
        Some(_) => {
            let message =
                format!("Beside tools, Gemini models before 3 answer in objects only: see the type in '{SCHEMA}'.");
            return Err(failure::unsupported(SCHEMA, message));
        }
    }
    Ok(schema)
}
