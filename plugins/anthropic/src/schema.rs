//! JSON schemas in the subset that Anthropic compiles to a grammar.
//!
//! Objects must be closed, numbers and lengths can't be bounded:
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>. What can't
//! be said goes into the description, where the model still reads it, as Anthropic's own SDKs do.

use serde_json::{Map, Value, json};

/// Strings of these formats are understood.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// What stays as it is.
const KEPT: [&str; 12] = [
    "type",
    "title",
    "description",
    "enum",
    "const",
    "default",
    "required",
    "$ref",
    "$schema",
    "$id",
    "$comment",
    "examples",
];

/// Rewrites `schema`. True if a constraint became a mere description.
pub(crate) fn restrict(schema: &mut Value) -> bool {
    let Value::Object(map) = schema else { return false };
    let mut told = Map::new();
    let mut lost = false;
    let fields = std::mem::take(map);
    let has_any_of = fields.contains_key("anyOf");
    for (key, mut value) in fields {
        match key.as_str() {
            "oneOf" if has_any_of => {
                told.insert(key, value);
            }
            "properties" | "$defs" | "definitions" => {
                if let Value::Object(schemas) = &mut value {
                    lost |= restrict_all(schemas.values_mut());
                }
                map.insert(key, value);
            }
            "anyOf" | "allOf" | "oneOf" => {
                if let Value::Array(schemas) = &mut value {
                    lost |= restrict_all(schemas.iter_mut());
                }
                // One of them or any of them: a grammar can't tell.
                let key = if key == "oneOf" { "anyOf".to_owned() } else { key };
                map.insert(key, value);
            }
            "items" if value.is_object() => {
                lost |= restrict(&mut value);
                map.insert(key, value);
            }
            // Set below.
            "additionalProperties" => {
                if value.is_object() || value == Value::Bool(true) {
                    lost = true;
                }
            }
            "format" if value.as_str().is_some_and(|format| FORMATS.contains(&format)) => {
                map.insert(key, value);
            }
            "minItems" if value.as_u64().is_some_and(|count| count <= 1) => {
                map.insert(key, value);
            }
            "pattern" if value.as_str().is_some_and(is_simple_pattern) => {
                map.insert(key, value);
            }
            word if KEPT.contains(&word) => {
                map.insert(key, value);
            }
            _ => {
                told.insert(key, value);
            }
        }
    }
    if is_object_schema(map) {
        map.insert("additionalProperties".to_owned(), json!(false));
    }
    if !told.is_empty() {
        let told = Value::Object(told).to_string();
        let description = match map.get("description").and_then(Value::as_str) {
            Some(text) => format!("{text}\n\n{told}"),
            None => told,
        };
        map.insert("description".to_owned(), Value::String(description));
        lost = true;
    }
    lost
}

/// Whether some object in `schema` takes names that the schema doesn't list, and lists none: closed, it could
/// only be empty.
pub(crate) fn has_open_map(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let open =
                map.get("additionalProperties").is_some_and(|more| more.is_object() || *more == Value::Bool(true));
            let unlisted = map.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty);
            let bare =
                map.get("type").is_some_and(|kind| kind == "object") && !map.contains_key("additionalProperties");
            (unlisted && (open || bare)) || map.values().any(has_open_map)
        }
        Value::Array(values) => values.iter().any(has_open_map),
        _ => false,
    }
}

fn restrict_all<'a>(schemas: impl Iterator<Item = &'a mut Value>) -> bool {
    // All of them, not only up to the first.
    schemas.map(restrict).filter(|lost| *lost).count() > 0
}

fn is_object_schema(map: &Map<String, Value>) -> bool {
    match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => map.contains_key("properties"),
    }
}

/// Look-around, word boundaries and back references have no grammar.
fn is_simple_pattern(pattern: &str) -> bool {
    let backslashed = |c: char| c == 'b' || c == 'B' || c.is_ascii_digit();
    !pattern.contains("(?")
        && !pattern.as_bytes().windows(2).any(|pair| matches!(pair, [b'\\', c] if backslashed(char::from(*c))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_closed_all_the_way_down() {
        let mut schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {
            "type": "object", "properties": {"b": {"type": "string"}}}}}, "$defs": {"c": {"type": "object"}}});
        assert!(!restrict(&mut schema));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["a"]["items"]["additionalProperties"], false);
        assert_eq!(schema["$defs"]["c"]["additionalProperties"], false);
    }

    #[test]
    fn a_constraint_that_no_grammar_knows_is_told_in_the_description() {
        for (given, expected) in [
            (
                json!({"type": "integer", "minimum": 1, "description": "age"}),
                json!({"type": "integer", "description": "age\n\n{\"minimum\":1}"}),
            ),
            (
                json!({"type": "string", "format": "iban"}),
                json!({"type": "string", "description": "{\"format\":\"iban\"}"}),
            ),
            (
                json!({"type": "string", "pattern": "^(?=x)"}),
                json!({"type": "string", "description": "{\"pattern\":\"^(?=x)\"}"}),
            ),
        ] {
            let mut schema = given.clone();
            assert!(restrict(&mut schema), "{given}");
            assert_eq!(schema, expected);
        }
    }

    #[test]
    fn what_a_grammar_knows_stays() {
        for schema in [
            json!({"type": "string", "format": "uuid", "enum": ["a"]}),
            json!({"type": "string", "pattern": "^[a-z]+$"}),
            json!({"type": "array", "minItems": 1, "items": {"type": ["string", "null"]}}),
            json!({"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}),
        ] {
            let mut restricted = schema.clone();
            assert!(!restrict(&mut restricted), "{schema}");
            assert_eq!(restricted, schema);
        }
    }

    #[test]
    fn a_map_of_any_names_is_found_wherever_it_is() {
        for (schema, open) in [
            (json!({"type": "object", "properties": {"a": {"type": "string"}}}), false),
            (
                json!({"type": "object", "properties": {"m": {"type": "object",
                "additionalProperties": {"type": "string"}}}}),
                true,
            ),
            (json!({"type": "object"}), true),
            (json!({"type": "object", "properties": {}, "additionalProperties": false}), false),
        ] {
            assert_eq!(has_open_map(&schema), open, "{schema}");
        }
    }
}
