//! The way back: whole answers, good, bad and broken.

use serde_json::json;

use super::{Subject, Verdict, canonical, never_asked, samples};
use crate::plugin::Operation;
use crate::replay::{Answer, Cuts, End, Scene, play};

const STATUSES: &[u16] = &[400, 401, 403, 404, 408, 413, 429, 500, 503, 529];

/// Scenes that ask their provider, whole ones and streamed ones. Who answers by itself, has none.
pub(super) async fn asking(subject: &Subject<'_>) -> Vec<Scene> {
    let mut asking = Vec::new();
    for (operation, model) in subject.translated() {
        let bodies = [Some(samples::minimal(operation)), samples::streamed(operation)];
        for body in bodies.into_iter().flatten() {
            let scene = subject.scene(operation, &model, &body);
            if matches!(play(subject.plugin, &scene, Cuts::Every(1)).await.end, End::Sent) {
                asking.push(scene);
            }
        }
    }
    asking
}

/// Why a check of answers doesn't apply.
pub(super) fn no_answers(subject: &Subject<'_>) -> Verdict {
    if subject.translated().is_empty() {
        return never_asked();
    }
    Verdict::Skip("no call came so far: it asks no provider, or hands its answers on as they are".to_owned())
}

fn error_bodies() -> Vec<(&'static str, Answer)> {
    let json = |body: serde_json::Value| Answer::json(500, body.to_string());
    vec![
        ("an error like OpenAI's", json(json!({"error": {"message": "no", "type": "x", "param": null, "code": "y"}}))),
        ("an error like Anthropic's", json(json!({"type": "error", "error": {"type": "x_error", "message": "no"}}))),
        ("an error like Google's", json(json!({"error": {"code": 1, "message": "no", "status": "X"}}))),
        ("an error of odd types", json(json!({"error": [null, {"message": 5}], "message": {}}))),
        ("a page of HTML", Answer::typed(500, "text/html", "<html><title>Bad gateway</title></html>")),
        ("text that isn't UTF-8", Answer::typed(500, "text/plain", b"\xff\xfe no".to_vec())),
        ("nothing", Answer::typed(500, "text/plain", "")),
    ]
}

pub(super) async fn errors_are_failures(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    let mut seen = 0;
    for scene in asking(subject).await {
        for status in STATUSES {
            for (name, answer) in error_bodies() {
                let scene = Scene { answers: vec![Answer { status: *status, ..answer }], ..scene.clone() };
                let played = play(subject.plugin, &scene, Cuts::Every(1)).await;
                let at = format!("{}{} with {name} and status {status}", scene.operation.path(), streamed(&scene));
                match &played.end {
                    End::Verbatim => continue,
                    End::Failed(failure) if failure.message.trim().is_empty() => {
                        found.push(format!("{at}: the failure has no message"));
                    }
                    End::Failed(_) => {}
                    End::Answer(_) | End::Stream => found.push(format!("{at}: it became an answer")),
                    _ => {}
                }
                found.extend(canonical::faults(&scene, &played).into_iter().map(|fault| format!("{at}: {fault}")));
                seen += 1;
            }
        }
    }
    if seen == 0 { no_answers(subject) } else { Verdict::of(found) }
}

pub(super) async fn retry_after_is_carried(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    let mut seen = 0;
    for scene in asking(subject).await {
        let mut answer = Answer::json(429, json!({"error": {"message": "slow down"}}).to_string());
        answer.headers.push(("retry-after".to_owned(), "7".to_owned()));
        let scene = Scene { answers: vec![answer], ..scene };
        match play(subject.plugin, &scene, Cuts::Every(1)).await.end {
            End::Failed(failure) if failure.retry_after_ms == Some(7000) => seen += 1,
            End::Failed(failure) => {
                let got = failure.retry_after_ms.map_or("none".to_owned(), |ms| format!("{ms} ms"));
                found.push(format!("{}{}: 7 s became {got}", scene.operation.path(), streamed(&scene)));
            }
            _ => {}
        }
    }
    if seen == 0 && found.is_empty() { no_answers(subject) } else { Verdict::of(found) }
}

/// Bodies under a status of success that are no answer, or hardly one.
pub(super) fn junk() -> Vec<(&'static str, Vec<u8>)> {
    let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
    let deep_object = [br#"{"a":"#.repeat(10_000), b"1".to_vec(), vec![b'}'; 10_000]].concat();
    vec![
        ("nothing", Vec::new()),
        ("null", b"null".to_vec()),
        ("an empty list", b"[]".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("a number", b"-1".to_vec()),
        ("lists 10,000 deep", deep),
        ("objects 10,000 deep", deep_object),
        ("a number out of range", br#"{"usage":{"input_tokens":1e999,"promptTokenCount":1e999},"content":1e999}"#.to_vec()),
        ("text that isn't UTF-8", b"{\"content\":\"\xff\xfe\"}".to_vec()),
        ("half of a JSON document", br#"{"content":[{"type":"text","te"#.to_vec()),
        ("a huge string", [br#"{"content":""#.to_vec(), vec![b'x'; 2 << 20], br#""}"#.to_vec()].concat()),
        ("known fields of wrong types", br#"{"content":{},"choices":7,"candidates":"x","usage":[],"id":[],"model":null,"embeddings":1,"data":{}}"#.to_vec()),
        ("negative counts", br#"{"type":"message","content":[],"candidates":[],"choices":[],"usage":{"input_tokens":-5,"prompt_tokens":-1},"usageMetadata":{"promptTokenCount":-1}}"#.to_vec()),
        ("an error under a status of success", br#"{"type":"error","error":{"message":"no","code":500}}"#.to_vec()),
        ("a page of HTML", b"<html></html>".to_vec()),
    ]
}

pub(super) async fn junk_is_survived(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    let mut seen = 0;
    for scene in asking(subject).await.into_iter().filter(|scene| !scene.streaming) {
        for (name, body) in junk() {
            let scene = Scene { answers: vec![Answer::json(200, body)], ..scene.clone() };
            let played = play(subject.plugin, &scene, Cuts::Every(1)).await;
            if matches!(played.end, End::Verbatim) {
                continue;
            }
            seen += 1;
            let faults = canonical::faults(&scene, &played).into_iter();
            found.extend(faults.map(|fault| format!("{} with {name}: {fault}", scene.operation.path())));
        }
    }
    if seen == 0 { no_answers(subject) } else { Verdict::of(found) }
}

/// ` (stream)` where it is one.
pub(super) fn streamed(scene: &Scene) -> &'static str {
    match (scene.operation, scene.streaming) {
        (Operation::ChatCompletions | Operation::Completions, true) => " (stream)",
        _ => "",
    }
}
