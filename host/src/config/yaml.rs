//! YAML text to [`Node`]s.
//!
//! Two parsers read the text: `serde_yaml` says what the values are, `saphyr` on which lines they
//! stand. Both keep the order of a map, so the two trees are walked side by side.

use std::sync::Arc;

use saphyr::{LoadableYamlNode, MarkedYaml, ScanError, YamlData};
use saphyr_parser::Event;
use serde_json::Number;
use serde_yaml::Value as Yaml;

use super::node::{Entries, Node, Place, Value};

/// How deep lists and maps may stand in each other: what serde_yaml takes.
const MAX_DEPTH: usize = 128;
const TOO_DEEP: &str = "lists and maps are nested more than 128 deep";

/// Why a text is not YAML, and on which line (0 when unknown).
#[derive(Debug)]
pub(super) struct NotYaml {
    pub line: u64,
    pub message: String,
}

/// Parses one document. Anchors and merge keys (`<<: *defaults`) are resolved.
pub(super) fn parse(text: &str, file: &Arc<str>) -> Result<Node, NotYaml> {
    // Some editors put a byte order mark there; neither parser takes it for one.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_depth(text)?;
    let lines = MarkedYaml::load_from_str(text);
    let yaml = serde_yaml::from_str::<Yaml>(text).map_err(|error| explain(&error, lines.as_ref().err()))?;
    // A text that only serde_yaml can read is served all the same; it has no line numbers then.
    let lines = lines.unwrap_or_default();
    Ok(combine(yaml, lines.first(), &Place { file: file.clone(), line: 0 }))
}

/// Lists and maps are built by functions that call themselves for each level, and the stack ends somewhere.
fn check_depth(text: &str) -> Result<(), NotYaml> {
    let mut depth = 0_usize;
    for event in saphyr_parser::Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            // Of brackets it has a limit of its own, where serde_yaml would take the square of the time.
            Err(error) if error.info().contains("recursion limit") => {
                return Err(NotYaml { line: line(error.marker().line()), message: TOO_DEEP.to_owned() });
            }
            // What else is wrong is told by those that read the values.
            Err(_) => return Ok(()),
        };
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(NotYaml { line: line(span.start.line()), message: TOO_DEEP.to_owned() });
        }
    }
    Ok(())
}

/// Of the two parsers' errors, a duplicate key is told better by saphyr: it has the key's own line.
fn explain(error: &serde_yaml::Error, scan: Option<&ScanError>) -> NotYaml {
    if let Some(scan) = scan.filter(|scan| scan.info().contains("duplicated key")) {
        let text = error.to_string();
        let key = text.split("with key ").nth(1).and_then(|rest| rest.split('"').nth(1));
        let message = match key {
            Some(key) => format!("the key `{key}` is there twice in the same map"),
            None => "a key is there twice in the same map".to_owned(),
        };
        return NotYaml { line: line(scan.marker().line()), message };
    }
    let at = error.location();
    let text = error.to_string();
    let message = at
        .as_ref()
        .map_or(text.as_str(), |_| text.rsplit_once(" at line ").map_or(text.as_str(), |(before, _)| before));
    let message = match message {
        "recursion limit exceeded" => TOO_DEEP.to_owned(),
        message => format!("this is not YAML: {message}"),
    };
    NotYaml { line: at.map_or(0, |at| line(at.line())), message }
}

fn line(line: usize) -> u64 {
    u64::try_from(line).unwrap_or(0)
}

fn combine(yaml: Yaml, marked: Option<&MarkedYaml<'_>>, parent: &Place) -> Node {
    let place = marked.map_or_else(|| parent.clone(), |marked| at(parent, marked));
    let value = match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => scalar_number(&number),
        Yaml::String(text) => Value::Text(text),
        Yaml::Tagged(tagged) => return combine(tagged.value, marked.map(untagged), parent),
        Yaml::Sequence(items) => {
            let marks = marked.and_then(|marked| marked.data.as_sequence());
            let mark = |index| marks.and_then(|marks| marks.get(index));
            Value::List(items.into_iter().enumerate().map(|(index, item)| combine(item, mark(index), &place)).collect())
        }
        Yaml::Mapping(entries) => {
            let mut marks = marked.and_then(|marked| marked.data.as_mapping()).map(|marks| marks.iter());
            let mut map = Entries::new();
            for (key, value) in entries {
                let mark = marks.as_mut().and_then(Iterator::next);
                let key_place = mark.map_or_else(|| place.clone(), |(key, _)| at(&place, key));
                let mut node = combine(value, mark.map(|(_, value)| value), &key_place);
                node.place = key_place;
                map.push((key_text(&key), node));
            }
            Value::Map(merge(map))
        }
    };
    Node { value, place, variable: None }
}

fn at(parent: &Place, marked: &MarkedYaml<'_>) -> Place {
    Place { file: parent.file.clone(), line: line(marked.span.start.line()) }
}

fn untagged<'a, 'input>(marked: &'a MarkedYaml<'input>) -> &'a MarkedYaml<'input> {
    match &marked.data {
        YamlData::Tagged(_, inner) => inner,
        _ => marked,
    }
}

/// JSON has no `.inf` and no `.nan`: those stay text, and whoever wants a number there refuses them.
fn scalar_number(number: &serde_yaml::Number) -> Value {
    let json = number.as_i64().map(Number::from).or_else(|| number.as_u64().map(Number::from));
    match json.or_else(|| number.as_f64().and_then(Number::from_f64)) {
        Some(number) => Value::Number(number),
        None => Value::Text(number.to_string()),
    }
}

/// Keys that YAML takes for something else (`1:`, `true:`, `null:`) are texts here, as they are in JSON.
fn key_text(key: &Yaml) -> String {
    match key {
        Yaml::String(text) => text.clone(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(number) => number.to_string(),
        Yaml::Null => "null".to_owned(),
        Yaml::Tagged(tagged) => key_text(&tagged.value),
        Yaml::Sequence(_) | Yaml::Mapping(_) => "?".to_owned(),
    }
}

/// `<<:` takes over the keys of one map, or of a list of maps, that are not there themselves. It is
/// YAML 1.1, which LiteLLM's parser speaks.
fn merge(map: Entries) -> Entries {
    let (merged, mut own): (Entries, Entries) = map.into_iter().partition(|(key, _)| key == "<<");
    for (_, node) in merged {
        let sources = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        for (key, value) in sources.iter().flat_map(Node::entries) {
            if !own.iter().any(|(name, _)| name == key) {
                own.push((key.clone(), value.clone()));
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Node {
        parse(text, &"config.yml".into()).expect("the text is YAML")
    }

    #[test]
    fn every_value_knows_the_line_of_its_key() {
        let root = parsed("# comment\na: 1\nb:\n  - c: x\n    d:\n      long text\n  - e: [1,\n        2]\n");
        let b = root.get("b").expect("b is there");

        assert_eq!(root.get("a").map(|a| a.place.line), Some(2));
        assert_eq!(b.place.line, 3);
        assert_eq!(b.items()[0].place.line, 4);
        assert_eq!(b.items()[0].get("d").map(|d| d.place.line), Some(5));
        assert_eq!(b.items()[1].get("e").map(|e| e.items()[1].place.line), Some(8));
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
        for text in ["a: 1\r\nb:\r\n  c: 2\r\n", "\u{feff}a: 1\nb:\n  c: 2\n"] {
            let root = parsed(text);
            let c = root.get("b").and_then(|b| b.get("c")).expect(text);

            assert_eq!((root.get("a").map(Node::to_json), c.place.line), (Some(serde_json::json!(1)), 3), "{text:?}");
        }
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let root = parsed("base: &base {timeout: 5, api_key: k}\none:\n  <<: *base\n  timeout: 7\ntwo: *base\n");

        assert_eq!(root.get("one").map(Node::to_json), Some(serde_json::json!({"timeout": 7, "api_key": "k"})));
        assert_eq!(root.get("two").map(Node::to_json), Some(serde_json::json!({"timeout": 5, "api_key": "k"})));
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_line() {
        for (text, line, message) in [
            ("a: 1\nb: [1, 2\nc: 3\n", 3, "this is not YAML"),
            ("a: 1\n\tb: 2\n", 2, "this is not YAML"),
            ("a:\n  x: 1\n  y: 2\n  x: 3\n", 4, "the key `x` is there twice in the same map"),
            ("a: *nowhere\n", 1, "unknown anchor"),
            ("a: 1\n---\nb: 2\n", 0, "more than one document"),
        ] {
            let error = parse(text, &"config.yml".into()).err().expect(text);
            assert!(error.message.contains(message), "{text:?}: {}", error.message);
            assert_eq!(error.line, line, "{text:?}: {}", error.message);
        }
    }

    #[test]
    fn a_text_of_nothing_but_brackets_is_refused() {
        for text in [format!("a: 1\nb: {}", "[".repeat(200_000)), format!("a: 1\nb:\n  {}", "- ".repeat(200_000))] {
            let error = parse(&text, &"config.yml".into()).err().expect("it is too deep");
            assert!(error.message.contains("nested more than 128 deep"), "{}", error.message);
        }
        let deep = format!("a: {}{}", "[".repeat(90), "]".repeat(90));
        assert!(parse(&deep, &"config.yml".into()).is_ok());
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let previous = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![previous; 10].join(", ")));
        }

        assert!(parse(&text, &"config.yml".into()).is_err());
    }
}
