//! What providers have really answered, and what has to become of it.

use serde_json::{Map, Value, json};

use super::{Subject, Verdict, canonical};
use crate::record::RecordedEnding;
use crate::replay::diff::{Difference, diff};
use crate::replay::meaning::merge;
use crate::replay::{Cuts, End, Played, Scene, play, view};

/// What an answer has of its call, and a plugin may choose.
const OF_THE_CALL: [&str; 2] = ["id", "created"];

/// Canonical, and what its file expects; without a word there, an answer where the provider gave one.
pub(super) async fn become_what_is_expected(subject: &Subject<'_>) -> Verdict {
    if subject.recordings.is_empty() {
        return Verdict::Skip("there are no recordings; give some with --recordings".to_owned());
    }
    let mut found = Vec::new();
    let (mut answers, mut failures, mut ended_early) = (0, 0, 0);
    for (name, scene) in subject.recordings {
        let played = play(subject.plugin, scene, Cuts::Every(1)).await;
        match &played.end {
            End::Answer(_) | End::Stream | End::Verbatim => answers += 1,
            End::Failed(_) | End::Broke(_) => failures += 1,
            End::Sent | End::Left | End::Cut => ended_early += 1,
        }
        let mut faults = canonical::faults(scene, &played);
        match &scene.expected {
            // What broke has come to nothing that could be compared.
            _ if matches!(played.end, End::Broke(_)) => {}
            Some(expected) => faults.extend(differences(expected, &played)),
            None => faults.extend(unexpected_failure(scene, &played)),
        }
        found.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if !found.is_empty() {
        return Verdict::Fail(found);
    }
    let early = if ended_early == 0 { String::new() } else { format!(", {ended_early} without an end") };
    Verdict::Ok(Some(format!("{}: {answers} answers, {failures} failures{early}", subject.recordings.len())))
}

/// A provider's success that no client would see.
fn unexpected_failure(scene: &Scene, played: &Played) -> Option<String> {
    let last = scene.answers.last()?;
    let End::Failed(failure) = &played.end else { return None };
    if !(200..300).contains(&last.status) || last.ending != RecordedEnding::Complete {
        return None;
    }
    let (status, message) = (last.status, &failure.message);
    Some(if played.requests.is_empty() {
        format!("the request, which the provider answered with {status}, became a failure: {message}")
    } else {
        format!(
            "the provider's {status} became a failure: {message} (if it should, the file says so: \"expected\": \
             {{\"failure\": {{}}}})"
        )
    })
}

/// Where a call came to something else than its file expects, as far as that goes.
fn differences(expected: &Value, played: &Played) -> Vec<String> {
    let failure = match (expected.get("failure").filter(|failure| !failure.is_null()), &played.end) {
        (Some(_), End::Failed(failure)) => Some(failure),
        (Some(wanted), _) => return vec![format!("it should be a failure{}, and isn't", message_of(wanted))],
        (None, End::Failed(failure)) => {
            return vec![format!("it should be an answer, and became a failure: {}", failure.message)];
        }
        (None, _) => None,
    };
    let mut actual = json!({
        "usage": played.usage_json(),
        "warnings": played.warnings_json(),
        "failure": failure.map(view::failure),
    });
    let mut wanted = Map::new();
    for key in ["usage", "warnings", "failure"] {
        wanted.extend(expected.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    // How an answer is cut into chunks is the plugin's choice.
    let answer = match (expected.get("answer"), expected.get("chunks").and_then(Value::as_array)) {
        (Some(answer), _) => Some(answer.clone()),
        (None, chunks) => chunks.map(|chunks| merge(chunks)),
    };
    if let (Some(answer), Some(actual)) = (answer, actual.as_object_mut()) {
        wanted.insert("answer".to_owned(), without_what_varies(answer));
        let came = if expected.get("answer").is_some() { played.answer_json() } else { merge(&played.chunks_json()) };
        actual.insert("answer".to_owned(), without_what_varies(came));
    }
    let found = diff("", &Value::Object(wanted), &actual);
    // What the file says nothing of may be anything, but for a loss that it doesn't name.
    let matters = |difference: &&Difference| difference.old.is_some() || difference.path.starts_with("warnings[");
    found.iter().filter(matters).map(|it| format!("expected → came: {it}")).collect()
}

fn message_of(failure: &Value) -> String {
    failure.get("message").map_or_else(String::new, |message| format!(" ({message})"))
}

fn without_what_varies(mut answer: Value) -> Value {
    if let Some(fields) = answer.as_object_mut() {
        fields.retain(|name, _| !OF_THE_CALL.contains(&name.as_str()));
    }
    answer
}
