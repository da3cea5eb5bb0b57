//! Changes to a request's top level. Values that aren't named go through byte for byte.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::request::RequestBody;

/// What to change in a request.
#[derive(Debug, Default)]
pub struct Edits<'a> {
    /// New values, as JSON text; added where the key is absent.
    set: Vec<(&'a str, Cow<'a, str>)>,
    /// Values for keys that the client left out.
    default: Vec<(&'a str, Cow<'a, str>)>,
    /// Keys to leave out.
    remove: Vec<&'a str>,
    /// Keys that get another name.
    rename: Vec<(&'a str, &'a str)>,
}

impl<'a> Edits<'a> {
    /// Sets `key` to a JSON text.
    pub fn set(&mut self, key: &'a str, json: impl Into<Cow<'a, str>>) {
        self.set.retain(|(set, _)| *set != key);
        self.set.push((key, json.into()));
    }

    /// Sets `key` to a JSON text unless the client has set it.
    pub fn set_default(&mut self, key: &'a str, json: impl Into<Cow<'a, str>>) {
        self.default.retain(|(default, _)| *default != key);
        self.default.push((key, json.into()));
    }

    /// Leaves `key` out.
    pub fn remove(&mut self, key: &'a str) {
        self.remove.push(key);
    }

    /// Gives `key` another name, unless the client has set that one too.
    pub fn rename(&mut self, key: &'a str, name: &'a str) {
        self.rename.push((key, name));
    }

    /// Leaves out what stands at `path`: a key, or `tools[*].input_examples`, `messages[0].name`.
    pub fn remove_path(&mut self, body: &'a RequestBody, path: &'a str) {
        let (key, rest) = match path.find(['.', '[']) {
            None => return self.remove(path),
            Some(at) => path.split_at(at),
        };
        let current = self.set.iter().find(|(set, _)| *set == key).map(|(_, json)| json.to_string());
        let Some(text) = current.or_else(|| body.raw(key).map(str::to_owned)) else { return };
        let Ok(mut value) = serde_json::from_str::<Value>(&text) else { return };
        remove_nested(&mut value, rest);
        self.set(key, value.to_string());
    }

    /// The changed body; the very same bytes where nothing changes.
    pub fn apply(&self, body: &RequestBody) -> Bytes {
        if !self.changes(body) {
            return body.bytes().clone();
        }
        let mut out = Vec::with_capacity(body.bytes().len() + 256);
        out.push(b'{');
        for (key, value) in body.fields() {
            if self.remove.contains(&key) {
                continue;
            }
            let name = self.rename.iter().find(|(from, to)| *from == key && !has(body, to)).map_or(key, |(_, to)| to);
            let own = self.set.iter().find(|(set, _)| *set == key);
            let value = own.map_or(value, |(_, json)| json);
            let absent = own.is_none() && value == "null" && self.default.iter().any(|(default, _)| *default == key);
            if !absent {
                push(&mut out, name, value);
            }
        }
        let added = self.set.iter().filter(|(key, _)| !has(body, key) && !self.remove.contains(key));
        let defaults = self.default.iter().filter(|(key, _)| {
            body.raw(key).is_none() && !self.remove.contains(key) && self.set.iter().all(|(set, _)| set != key)
        });
        for (key, json) in added.chain(defaults) {
            push(&mut out, key, json);
        }
        out.push(b'}');
        out.into()
    }

    fn changes(&self, body: &RequestBody) -> bool {
        self.set.iter().any(|(key, json)| body.raw(key) != Some(json))
            || self.default.iter().any(|(key, _)| body.raw(key).is_none())
            || self.remove.iter().any(|key| has(body, key))
            || self.rename.iter().any(|(key, name)| has(body, key) && !has(body, name))
    }
}

fn has(body: &RequestBody, key: &str) -> bool {
    body.fields().any(|(known, _)| known == key)
}

fn push(out: &mut Vec<u8>, key: &str, json: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    serde_json::to_writer(&mut *out, key).expect("a string always has JSON, and a Vec takes all bytes");
    out.push(b':');
    out.extend_from_slice(json.as_bytes());
}

/// Removes what `path` (`.name`, `[2].name`, `[*].a.b`) names inside `value`.
fn remove_nested(value: &mut Value, path: &str) {
    if let Some(rest) = path.strip_prefix('[') {
        let Some((index, rest)) = rest.split_once(']') else { return };
        let Value::Array(items) = value else { return };
        match index.parse::<usize>() {
            Ok(index) if rest.is_empty() && index < items.len() => drop(items.remove(index)),
            Ok(index) => items.get_mut(index).into_iter().for_each(|item| remove_nested(item, rest)),
            Err(_) if rest.is_empty() => items.clear(),
            Err(_) => items.iter_mut().for_each(|item| remove_nested(item, rest)),
        }
    } else if let (Some(rest), Value::Object(map)) = (path.strip_prefix('.'), value) {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, rest) = rest.split_at(end);
        if rest.is_empty() {
            map.shift_remove(key);
        } else if let Some(inner) = map.get_mut(key) {
            remove_nested(inner, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(text: &str) -> RequestBody {
        RequestBody::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn apply(text: &str, edit: impl FnOnce(&mut Edits<'static>)) -> String {
        let mut edits = Edits::default();
        edit(&mut edits);
        String::from_utf8(edits.apply(&body(text)).to_vec()).unwrap()
    }

    #[test]
    fn what_is_not_named_goes_through_byte_for_byte() {
        let text = r#"{ "model": "a", "messages" : [ 1.0, "\u00e9" ] }"#;
        assert_eq!(apply(text, |e| e.set("model", "\"a\"")), text);
        assert_eq!(apply(text, |e| e.set("model", "\"b\"")), r#"{"model":"b","messages":[ 1.0, "\u00e9" ]}"#);
    }

    #[test]
    fn a_default_gives_way_to_the_client() {
        let add = |text: &str| apply(text, |e| e.set_default("temperature", "0.5"));
        assert_eq!(add(r#"{"a":1}"#), r#"{"a":1,"temperature":0.5}"#);
        assert_eq!(add(r#"{"temperature":1}"#), r#"{"temperature":1}"#);
        assert_eq!(add(r#"{"temperature":null}"#), r#"{"temperature":0.5}"#);
        assert_eq!(add("{}"), r#"{"temperature":0.5}"#);
    }

    #[test]
    fn no_key_ever_stands_there_twice() {
        let edit = |e: &mut Edits<'static>| {
            e.set_default("t", "1");
            e.set_default("t", "2");
            e.set("t", "3");
            e.set("t", "4");
        };
        for text in ["{}", r#"{"t":0}"#, r#"{"t":null}"#] {
            assert_eq!(apply(text, edit), r#"{"t":4}"#, "{text}");
        }
    }

    #[test]
    fn keys_are_left_out_and_renamed() {
        assert_eq!(apply(r#"{"a":1,"b":2}"#, |e| e.remove("a")), r#"{"b":2}"#);
        assert_eq!(apply(r#"{"a":1,"b":2}"#, |e| e.rename("a", "c")), r#"{"c":1,"b":2}"#);
        assert_eq!(apply(r#"{"a":1,"c":2}"#, |e| e.rename("a", "c")), r#"{"a":1,"c":2}"#);
    }

    #[test]
    fn a_nested_path_is_left_out() {
        let text = r#"{"tools":[{"a":{"b":1,"c":2}},{"a":{"b":3}}],"x":1}"#;
        for (path, expected) in [
            ("tools[*].a.b", r#"{"tools":[{"a":{"c":2}},{"a":{}}],"x":1}"#),
            ("tools[1].a", r#"{"tools":[{"a":{"b":1,"c":2}},{}],"x":1}"#),
            ("tools[0]", r#"{"tools":[{"a":{"b":3}}],"x":1}"#),
            ("tools[7].a", text),
            ("x", r#"{"tools":[{"a":{"b":1,"c":2}},{"a":{"b":3}}]}"#),
            ("y.z", text),
        ] {
            let body = body(text);
            let mut edits = Edits::default();
            edits.remove_path(&body, path);
            assert_eq!(edits.apply(&body), expected, "{path}");
        }
    }

    /// JSON objects as clients may write them.
    fn object() -> impl Strategy<Value = serde_json::Map<String, Value>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        });
        proptest::collection::btree_map("(model|stream|tools|.{0,6})", value, 0..6)
            .prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), path in "[a-z\\[\\]*.0-9]{0,12}") {
            if let Ok(body) = RequestBody::parse(bytes.into()) {
                let mut edits = Edits::default();
                edits.set("model", "1");
                edits.remove_path(&body, &path);
                let _ = edits.apply(&body);
            }
        }

        #[test]
        fn an_edit_does_what_it_would_do_to_the_parsed_object(map in object(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&map) } else { serde_json::to_string(&map) }.unwrap();
            let body = body(&text);
            prop_assert_eq!(Edits::default().apply(&body), text.as_bytes());

            let mut edits = Edits::default();
            edits.set("model", "\"new\"");
            edits.remove("tools");
            edits.set_default("stream", "true");
            let mut expected = map;
            expected.insert("model".to_owned(), Value::from("new"));
            expected.shift_remove("tools");
            if expected.get("stream").is_none_or(Value::is_null) {
                expected.insert("stream".to_owned(), Value::from(true));
            }
            let edited: Value = serde_json::from_slice(&edits.apply(&body)).unwrap();
            prop_assert_eq!(edited, Value::Object(expected));
        }
    }
}
