//! The way there: canonical requests to the provider's.

use serde_json::{Value, json};

use super::samples::{self, with};
use super::{Subject, Verdict, canonical, never_asked};
use crate::plugin::{FailureKind, HttpRequest, Operation};
use crate::replay::{Cuts, End, Played, Scene, play, view};

/// How many calls a used instance has to answer as a new one would.
const REUSES: usize = 50;

/// Each is sent, answered or refused in order.
pub(super) async fn are_translated(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    let (mut translated, mut causes) = (0, Vec::new());
    for (operation, model) in subject.translated() {
        for (name, body) in samples::all(operation) {
            let scene = subject.scene(operation, &model, &body);
            let played = play(subject.plugin, &scene, Cuts::Every(1)).await;
            let minimal = matches!(name, "a minimal request" | "a streamed request");
            let faults = request_faults(&scene, &played, minimal);
            match &played.end {
                End::Broke(_) | End::Failed(_) => causes.extend(faults.iter().cloned()),
                _ => translated += 1,
            }
            found.extend(faults.into_iter().map(|fault| format!("{} with {name}: {fault}", operation.path())));
        }
    }
    if subject.translated().is_empty() {
        return never_asked();
    }
    let cause = causes.first().filter(|first| translated == 0 && causes.iter().all(|cause| cause == *first));
    match cause {
        // What is refused in order has no fault: it is nobody's word that the plugin works.
        Some(cause) => Verdict::Hopeless(vec![format!("no request is translated: {cause}")]),
        None => Verdict::of(found),
    }
}

fn request_faults(scene: &Scene, played: &Played, minimal: bool) -> Vec<String> {
    let mut found = canonical::faults(scene, played);
    if let End::Failed(failure) = &played.end {
        let clients_fault = matches!(
            failure.kind,
            FailureKind::InvalidRequest
                | FailureKind::Unsupported
                | FailureKind::TooLarge
                | FailureKind::NotFound
                | FailureKind::ContextWindowExceeded
                | FailureKind::ContentPolicy
        );
        if minimal {
            found.push(format!("it is refused: {}", failure.message));
        } else if !clients_fault {
            found.push(format!("the failure {} blames somebody else than the client", view::kind(failure)));
        }
        if failure.message.trim().is_empty() {
            found.push("the failure has no message".to_owned());
        }
    }
    for request in &played.requests {
        let says_json = media_type(request).is_none_or(|kind| kind.contains("json"));
        if says_json && !request.body.is_empty() && serde_json::from_slice::<Value>(&request.body).is_err() {
            found.push("the body for the provider is not JSON".to_owned());
        }
    }
    found
}

/// What the gateway takes a body for, where the plugin doesn't say, is JSON.
fn media_type(request: &HttpRequest) -> Option<&str> {
    let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"))?;
    Some(header.value.as_str())
}

/// Values that stand in no other place, each sent alone: each arrives, or its name is in a warning.
pub(super) async fn losses_are_told(subject: &Subject<'_>) -> Verdict {
    let Some((operation, model)) = subject.translated().into_iter().find(|(o, _)| *o == Operation::ChatCompletions)
    else {
        return Verdict::Skip("it translates no chats".to_owned());
    };
    let mut found = Vec::new();
    for (name, value) in [
        ("temperature", json!(0.4375)),
        ("top_p", json!(0.8125)),
        ("max_tokens", json!(4321)),
        ("stop", json!(["conformance-stop"])),
        ("seed", json!(987_654)),
        ("presence_penalty", json!(0.3125)),
        ("user", json!("conformance-user")),
        ("x_conformance", json!("conformance-extra")),
    ] {
        let more = serde_json::Map::from_iter([(name.to_owned(), value.clone())]);
        let body = with(samples::minimal(operation), more.into());
        let played = play(subject.plugin, &subject.scene(operation, &model, &body), Cuts::Every(1)).await;
        let told =
            played.warnings.iter().any(|warning| warning.path == name || warning.path.starts_with(&format!("{name}[")));
        let leaf = value.get(0).unwrap_or(&value);
        let arrived = played.requests.iter().any(|request| holds(&view::body(&request.body), leaf));
        // Who refuses the request has told.
        if !told && !arrived && !matches!(played.end, End::Failed(_) | End::Broke(_)) {
            found.push(format!("'{name}' is neither in the provider's request nor in a warning"));
        }
    }
    Verdict::of(found)
}

fn holds(haystack: &Value, needle: &Value) -> bool {
    match haystack {
        Value::Array(list) => list.iter().any(|value| holds(value, needle)),
        Value::Object(map) => map.values().any(|value| holds(value, needle)),
        Value::Number(_) => haystack.as_f64() == needle.as_f64(),
        // A provider may want numbers as text.
        Value::String(text) => {
            let needle = needle.as_str().map_or_else(|| needle.to_string(), str::to_owned);
            *text == needle
        }
        _ => false,
    }
}

/// With `provider/*` a model's name is the client's word.
pub(super) async fn model_names_stay_inside(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    for (operation, model) in subject.translated() {
        for odd in
            ["../../admin", "a/../b", "a?key=1", "a#b", "a b", "a\r\nb: c", "..", "%2e%2e", "a\\b", "//a", "ä", ""]
        {
            let name = if model.starts_with("conformance") { odd.to_owned() } else { format!("{model}{odd}") };
            let scene = subject.scene(operation, &name, &samples::minimal(operation));
            let played = play(subject.plugin, &scene, Cuts::Every(1)).await;
            if let End::Broke(what) = played.end {
                found.push(format!("{} with the model '{}': {what}", operation.path(), odd.escape_debug()));
            }
        }
    }
    if subject.translated().is_empty() { never_asked() } else { Verdict::of(found) }
}

/// Translated within the time and memory that every call has, or refused as too large.
pub(super) async fn large_prompts_fit(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    for (operation, model) in subject.translated() {
        for megabytes in [1, 4] {
            let text = "Wörter und \"Zeichen\".\n".repeat(megabytes * 1_000_000 / 24);
            let body = match operation {
                Operation::ChatCompletions => json!({"messages": [{"role": "user", "content": text}]}),
                Operation::Embeddings => json!({"input": text}),
                Operation::Completions | Operation::ImagesGenerations => json!({"prompt": text}),
            };
            let scene = subject.scene(operation, &model, &body);
            let played = play(subject.plugin, &scene, Cuts::Every(1)).await;
            if let End::Broke(what) = played.end {
                found.push(format!("{} with {megabytes} MB: {what}", operation.path()));
            }
        }
    }
    if subject.translated().is_empty() { never_asked() } else { Verdict::of(found) }
}

/// With other times and other random numbers too, which a translation has nothing to do with; and the recordings.
pub(super) async fn are_deterministic(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    for (name, scene) in scenes(subject) {
        let first = play(subject.plugin, &scene, Cuts::Every(1)).await.to_json();
        let second = play(subject.fresh, &scene, Cuts::Every(1)).await.to_json();
        if let Some(difference) = crate::replay::diff::diff("", &first, &second).first() {
            found.push(format!("{name}: {difference}"));
        }
    }
    Verdict::of(found)
}

/// Calls one after another in an instance that goes on, against calls in an instance each.
pub(super) async fn instances_can_be_used_again(subject: &Subject<'_>) -> Verdict {
    if !subject.manifest().reusable {
        return Verdict::Skip("its manifest asks for an instance a call".to_owned());
    }
    let scenes: Vec<(String, Scene)> = scenes(subject).into_iter().take(10).collect();
    let mut found = Vec::new();
    let mut expected = Vec::new();
    for (_, scene) in &scenes {
        expected.push(play(subject.fresh, scene, Cuts::Every(1)).await.to_json());
    }
    for ((name, scene), expected) in scenes.iter().zip(&expected).cycle().take(REUSES) {
        let again = play(subject.served, scene, Cuts::Every(1)).await.to_json();
        if let Some(difference) = crate::replay::diff::diff("", expected, &again).first() {
            found.push(format!("{name}: {difference}"));
        }
    }
    found.dedup();
    Verdict::of(found)
}

/// All samples and all recordings.
fn scenes(subject: &Subject<'_>) -> Vec<(String, Scene)> {
    let mut scenes = Vec::new();
    for (operation, model) in subject.translated() {
        for (name, body) in samples::all(operation) {
            scenes.push((format!("{} with {name}", operation.path()), subject.scene(operation, &model, &body)));
        }
    }
    scenes.extend(subject.recordings.iter().cloned());
    scenes
}
