//! JSON schemas in the subset that Anthropic compiles to a grammar.
//!
//! Objects must be closed, numbers and lengths can't be bounded:
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>. What can't
//! be said goes into the description, where the model still reads it, as Anthropic's own SDKs do.

use std::collections::BTreeSet;

use ai_api_plugin_sdk::json::{Json, Object, Text};

/// A schema that Anthropic compiles.
#[derive(Debug, PartialEq)]
pub(crate) struct Restricted<'a> {
    pub(crate) schema: Json<'a>,
    /// A constraint became a mere description.
    pub(crate) lossy: bool,
}

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

/// What can be said about a schema without saying other things about values.
const ANNOTATIONS: [&str; 5] = ["title", "description", "default", "examples", "$comment"];

/// How deep a schema may be with its references followed. JSON itself ends at 128.
const MAX_DEPTH: usize = 256;

/// `schema` in that subset; none if no grammar can say it: objects with names that it doesn't list, schemas that
/// contain themselves, references to elsewhere.
pub(crate) fn for_grammar<'a>(schema: &Json<'a>) -> Option<Restricted<'a>> {
    let mut schema = schema.clone();
    merge_single_all_of(&mut schema);
    if has_open_map(&schema) || combines_reference(&schema) || !References::of(&schema).are_good() {
        return None;
    }
    let lossy = restrict(&mut schema);
    Some(Restricted { schema, lossy })
}

/// References from a schema, followed.
struct References<'s, 'a> {
    root: &'s Json<'a>,
    /// Where the references point that are being followed.
    open: Vec<&'s str>,
    /// Where there is nothing left to follow.
    done: BTreeSet<&'s str>,
    depth: usize,
}

impl<'s, 'a> References<'s, 'a> {
    fn of(root: &'s Json<'a>) -> Self {
        Self { root, open: Vec::new(), done: BTreeSet::new(), depth: 0 }
    }

    /// Whether all of them stay inside the schema and none leads back to where it stands.
    fn are_good(mut self) -> bool {
        self.follow_in(self.root)
    }

    fn follow_in(&mut self, schema: &'s Json<'a>) -> bool {
        if self.depth >= MAX_DEPTH {
            return false;
        }
        self.depth += 1;
        let good = match schema {
            Json::Object(map) => {
                let own = map.get("$ref").and_then(Json::as_str).is_none_or(|reference| self.follow(reference));
                own && map.values().all(|value| self.follow_in(value))
            }
            Json::Array(values) => values.iter().all(|value| self.follow_in(value)),
            _ => true,
        };
        self.depth -= 1;
        good
    }

    fn follow(&mut self, reference: &'s str) -> bool {
        if self.done.contains(reference) {
            return true;
        }
        let Some(target) = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
            return false;
        };
        if self.open.contains(&reference) {
            return false;
        }
        self.open.push(reference);
        let good = self.follow_in(target);
        self.open.pop();
        self.done.insert(reference);
        good
    }
}

/// `allOf` of one schema says what the schema says, and is how pydantic wrote a reference with a description.
fn merge_single_all_of(schema: &mut Json<'_>) {
    match schema {
        Json::Object(map) => {
            while let Some(only) = single_all_of(map) {
                let _ = map.remove("allOf");
                for (key, value) in only {
                    map.insert_default(key, value);
                }
            }
            map.values_mut().for_each(merge_single_all_of);
        }
        Json::Array(values) => values.iter_mut().for_each(merge_single_all_of),
        _ => {}
    }
}

/// The one schema of `allOf`, unless it and its parent say different things with the same word.
fn single_all_of<'a>(map: &Object<'a>) -> Option<Object<'a>> {
    let [Json::Object(only)] = map.get("allOf")?.as_array()?.as_slice() else { return None };
    let agrees = |(key, value): (&Text<'_>, &Json<'_>)| {
        key == "allOf" || ANNOTATIONS.contains(&key.as_str()) || map.get(key).is_none_or(|other| other == value)
    };
    only.iter().all(agrees).then(|| only.clone())
}

/// Whether a reference stands in an `allOf`, where Anthropic takes none.
fn combines_reference(schema: &Json<'_>) -> bool {
    match schema {
        Json::Object(map) => {
            let parts = map.get("allOf").and_then(Json::as_array);
            parts.is_some_and(|parts| parts.iter().any(|part| part.get("$ref").is_some()))
                || map.values().any(combines_reference)
        }
        Json::Array(values) => values.iter().any(combines_reference),
        _ => false,
    }
}

/// Rewrites `schema`. True if a constraint became a mere description.
fn restrict(schema: &mut Json<'_>) -> bool {
    let Json::Object(map) = schema else { return false };
    let mut told = Object::new();
    let mut lost = false;
    let fields = std::mem::take(map);
    let has_any_of = fields.contains_key("anyOf");
    for (key, mut value) in fields {
        match key.as_str() {
            "oneOf" if has_any_of => {
                told.insert(key, value);
            }
            "properties" | "$defs" | "definitions" => {
                if let Json::Object(schemas) = &mut value {
                    lost |= restrict_all(schemas.values_mut());
                }
                map.insert(key, value);
            }
            "anyOf" | "allOf" | "oneOf" => {
                if let Json::Array(schemas) = &mut value {
                    lost |= restrict_all(schemas.iter_mut());
                }
                // One of them or any of them: a grammar can't tell.
                let key = if key == "oneOf" { "anyOf".into() } else { key };
                map.insert(key, value);
            }
            "items" if value.is_object() => {
                lost |= restrict(&mut value);
                map.insert(key, value);
            }
            // Set below.
            "additionalProperties" => {
                if value.is_object() || value.as_bool() == Some(true) {
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
        map.insert("additionalProperties", false);
    }
    if !told.is_empty() {
        let told = Json::Object(told).to_string();
        let description = match map.get("description").and_then(Json::as_str) {
            Some(text) => format!("{text}\n\n{told}"),
            None => told,
        };
        map.insert("description", description);
        lost = true;
    }
    lost
}

/// Whether some object in `schema` takes names that the schema doesn't list, and lists none: closed, it could
/// only be empty.
fn has_open_map(schema: &Json<'_>) -> bool {
    match schema {
        Json::Object(map) => {
            let open =
                map.get("additionalProperties").is_some_and(|more| more.is_object() || more.as_bool() == Some(true));
            let unlisted = map.get("properties").and_then(Json::as_object).is_none_or(Object::is_empty);
            let bare =
                map.get("type").is_some_and(|kind| *kind == "object") && !map.contains_key("additionalProperties");
            (unlisted && (open || bare)) || map.values().any(has_open_map)
        }
        Json::Array(values) => values.iter().any(has_open_map),
        _ => false,
    }
}

fn restrict_all<'a, 'j: 'a>(schemas: impl Iterator<Item = &'a mut Json<'j>>) -> bool {
    // All of them, not only up to the first.
    schemas.map(restrict).filter(|lost| *lost).count() > 0
}

fn is_object_schema(map: &Object<'_>) -> bool {
    match map.get("type") {
        Some(Json::String(kind)) => *kind == "object",
        Some(Json::Array(kinds)) => kinds.iter().any(|kind| *kind == "object"),
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
    use serde_json::{Map, Value, json};

    use super::*;

    fn grammar(schema: &Value) -> Option<Value> {
        for_grammar(&schema.clone().into()).map(|found| value(&found.schema))
    }

    fn restricted(schema: &Value) -> (Value, bool) {
        let mut schema = Json::from(schema.clone());
        let lost = restrict(&mut schema);
        (value(&schema), lost)
    }

    fn value(json: &Json<'_>) -> Value {
        serde_json::from_slice(&json.to_vec()).unwrap()
    }

    #[test]
    fn schemas_that_contain_themselves_or_point_elsewhere_have_no_grammar() {
        let node = |reference: &str| {
            json!({"type": "object", "additionalProperties": false, "properties": {"next": {"$ref": reference}},
                "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "string"}, "c": {"items": {"$ref": "#/$defs/d"}},
                    "d": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/e"}]}, "e": {"type": "array"}}})
        };
        let has_grammar = |schema: &Value| grammar(schema).is_some();
        for reference in ["#/$defs/a", "#/$defs/c"] {
            assert!(has_grammar(&node(reference)), "{reference}");
        }
        for reference in ["#", "#/properties/next", "#/$defs/z", "#anchor", "other.json", "https://x.test/y#/a"] {
            assert!(!has_grammar(&node(reference)), "{reference}");
        }
        let mut far_cycle = node("#/$defs/c");
        far_cycle["$defs"]["e"] = json!({"type": "array", "items": {"$ref": "#/$defs/c"}});
        assert!(!has_grammar(&far_cycle));
        // A property may be called so.
        assert!(has_grammar(&json!({"properties": {"$ref": {"type": "string"}}})));
    }

    #[test]
    fn a_long_chain_of_references_is_not_followed_to_its_end() {
        let last = json!({"type": "string"});
        let definition = |n: usize| (n.to_string(), json!({"$ref": format!("#/$defs/{}", n + 1)}));
        let mut definitions: Map<String, Value> = (0..5000).map(definition).collect();
        definitions.insert("5000".to_owned(), last);
        assert_eq!(grammar(&json!({"$ref": "#/$defs/0", "$defs": definitions})), None);
    }

    #[test]
    fn all_of_one_schema_is_that_schema() {
        let definitions = json!({"a": {"type": "string"}});
        let restricted = |schema: Value| {
            let mut schema = schema;
            schema["$defs"] = definitions.clone();
            grammar(&schema).map(|mut schema| {
                let _ = schema.as_object_mut().map(|map| map.remove("$defs"));
                schema
            })
        };
        let merged = json!({"description": "mine", "$ref": "#/$defs/a"});
        assert_eq!(restricted(json!({"description": "mine", "allOf": [{"$ref": "#/$defs/a"}]})), Some(merged.clone()));
        let inner = json!({"description": "its", "allOf": [{"$ref": "#/$defs/a"}]});
        assert_eq!(restricted(json!({"description": "mine", "allOf": [inner]})), Some(merged));
        let object = json!({"type": "object", "allOf": [{"properties": {"b": {"type": "string"}}}]});
        let closed = json!({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": false});
        assert_eq!(restricted(object), Some(closed));
        let both = json!({"type": "string", "allOf": [{"$ref": "#/$defs/a"}, {"enum": ["x"]}]});
        assert_eq!(restricted(both), None);
        let clash = json!({"type": "string", "allOf": [{"type": "integer"}]});
        assert_eq!(restricted(clash.clone()), Some(clash));
    }

    #[test]
    fn objects_are_closed_all_the_way_down() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {
            "type": "object", "properties": {"b": {"type": "string"}}}}}, "$defs": {"c": {"type": "object"}}});
        let (schema, lost) = restricted(&schema);
        assert!(!lost);
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
            assert_eq!(restricted(&given), (expected, true), "{given}");
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
            assert_eq!(restricted(&schema), (schema, false));
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
            assert_eq!(has_open_map(&schema.clone().into()), open, "{schema}");
        }
    }
}
