//! Nothing that a client or Google may write makes a translation panic: every fixture, with each value in it replaced.

use serde_json::{Value, json};

use crate::golden::{call, fixtures};
use crate::{run, sse, upstream};

#[test]
fn values_of_any_type_anywhere_are_answered_not_panicked_at() {
    let mut tried = 0;
    for folder in ["request", "response", "stream"] {
        for fixture in fixtures(folder) {
            let mut places = Vec::new();
            collect(&fixture, String::new(), &mut places);
            for place in places {
                for value in [
                    Value::Null,
                    json!(-1),
                    json!(1e300),
                    json!(u64::MAX),
                    json!("é:,/"),
                    json!([]),
                    json!([3]),
                    json!({}),
                ] {
                    let mut changed = fixture.clone();
                    *changed.pointer_mut(&place).unwrap() = value;
                    replay(&changed);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 10_000, "{tried}");
}

#[test]
fn bytes_cut_anywhere_are_answered_not_panicked_at() {
    let fixture = json!({"events": []});
    for bytes in
        [r#"[{"error":{"code":503,"message":"é"}}]"#, r#"{"candidates":[{"content":{"parts":[{"text":"é"}]}}]}"#]
    {
        for end in 0..=bytes.len() {
            let cut = &bytes.as_bytes()[..end];
            for status in [200, 302, 400, 503] {
                run(call(&json!({})), &upstream(status, "application/json", cut), 1);
            }
            let stream = [b"data: ".as_slice(), cut, b"\n\n"].concat();
            run(call(&fixture), &upstream(200, "text/event-stream", stream), 1);
        }
    }
}

/// The places of all values in the parts of a fixture that are not ours.
fn collect(value: &Value, place: String, places: &mut Vec<String>) {
    let foreign = ["/body/", "/upstream", "/events/"].iter().any(|part| place.starts_with(part));
    if foreign && place != "/body/stream" {
        places.push(place.clone());
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                collect(value, format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                collect(value, format!("{place}/{index}"), places);
            }
        }
        _ => {}
    }
}

fn replay(fixture: &Value) {
    let answered = match (fixture.get("events").and_then(Value::as_array), fixture.get("upstream")) {
        (Some(events), _) => upstream(200, "text/event-stream", sse(events)),
        (None, Some(answer)) => {
            upstream(fixture["status"].as_u64().unwrap_or(200) as u16, "application/json", answer.to_string())
        }
        (None, None) => upstream(200, "application/json", "{}"),
    };
    run(call(fixture), &answered, 1);
}
