//! Our fixtures, one behaviour each.

use ai_api_plugin_gemini::Gemini;
use ai_api_plugin_sdk::testing::{self, Outcome};
use ai_api_plugin_sdk::{Call, Operation, Warning};
use serde_json::{Value, json};

use crate::{failure_json, read_json, run, sse, upstream};

#[test]
fn requests_become_what_gemini_takes() {
    each("request", |fixture| match testing::request::<Gemini>(call(fixture)) {
        Ok((request, warnings)) => json!({
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": request.headers.iter().map(|h| format!("{}: {}", h.name, h.value)).collect::<Vec<_>>(),
            "body": serde_json::from_slice::<Value>(&request.body).unwrap(),
            "warnings": warnings_json(&warnings),
        }),
        Err(failure) => failure_json(&failure),
    });
}

#[test]
fn answers_become_what_openai_says() {
    each("response", |fixture| {
        let status = fixture["status"].as_u64().unwrap_or(200) as u16;
        let answered = upstream(status, "application/json; charset=UTF-8", fixture["upstream"].to_string());
        outcome_json(&run(call(fixture), &answered, 1))
    });
}

#[test]
fn streams_become_chunks_however_the_network_cuts_them() {
    each("stream", |fixture| {
        let events = fixture["events"].as_array().unwrap();
        let answered = upstream(200, "text/event-stream", sse(events));
        let one_by_one = outcome_json(&run(call(fixture), &answered, 1));
        for events_per_read in [2, 3, 1000] {
            assert_eq!(outcome_json(&run(call(fixture), &answered, events_per_read)), one_by_one);
        }
        one_by_one
    });
}

fn each(folder: &str, translate: impl Fn(&Value) -> Value) {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("{golden}/{folder}/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::glob!(golden, &format!("{folder}/*.json"), |path| {
            insta::assert_json_snapshot!(folder, translate(&read_json(path)));
        });
    });
}

/// All fixtures of a folder.
pub(crate) fn fixtures(folder: &str) -> Vec<Value> {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "json")).map(|path| read_json(&path)).collect()
}

/// The call that a fixture makes.
pub(crate) fn call(fixture: &Value) -> Call {
    let mut body =
        fixture.get("body").cloned().unwrap_or_else(|| json!({"messages": [{"role": "user", "content": "hi"}]}));
    if fixture.get("events").is_some() {
        body["stream"] = json!(true);
    }
    let operation = if body.get("input").is_some() { Operation::Embeddings } else { Operation::ChatCompletions };
    testing::call(operation, fixture["model"].as_str().unwrap_or("gemini-2.5-flash"), &body)
}

fn outcome_json(outcome: &Outcome) -> Value {
    let mut shown = serde_json::Map::new();
    if let Some(answer) = &outcome.answer {
        shown.insert("answer".to_owned(), answer.clone());
    }
    if !outcome.chunks.is_empty() {
        shown.insert("chunks".to_owned(), outcome.chunks.iter().map(short).collect());
    }
    if let Some(usage) = &outcome.usage {
        shown.insert("usage".to_owned(), json!(format!("{usage:?}")));
    }
    if let Some(failure) = &outcome.failure {
        shown.insert("failure".to_owned(), failure_json(failure));
    }
    Value::Object(shown)
}

/// A chunk without what is the same in all of them.
fn short(chunk: &Value) -> Value {
    let mut chunk = chunk.clone();
    let fields = chunk.as_object_mut().unwrap();
    for key in ["id", "object", "created", "model"] {
        assert!(fields.shift_remove(key).is_some(), "{key}");
    }
    chunk
}

fn warnings_json(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(|warning| format!("{:?}: {}", warning.loss, warning.path)).collect()
}
