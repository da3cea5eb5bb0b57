//! The way back, event by event.

use super::answers::{asking, junk, no_answers, streamed};
use super::{Subject, Verdict, canonical};
use crate::record::RecordedEnding;
use crate::replay::drive::Events;
use crate::replay::meaning::merge;
use crate::replay::{Answer, Content, Cuts, End, Scene, play};

/// A stream of more events is cut at so many places, evenly.
const MAX_CUTS: usize = 200;

/// What an answer may call itself that a plugin reads as a stream.
const MEDIA_TYPES: [&str; 3] = ["text/event-stream", "application/vnd.amazon.eventstream", "application/x-ndjson"];

/// Calls that ask for streams, each with the media type of the answer that the plugin takes for one.
async fn asking_for_streams(subject: &Subject<'_>) -> Vec<(Scene, &'static str)> {
    let mut found = Vec::new();
    for scene in asking(subject).await.into_iter().filter(|scene| scene.streaming) {
        let mut taken = MEDIA_TYPES[0];
        for media_type in MEDIA_TYPES {
            let silent = answered(&scene, media_type, Vec::new(), RecordedEnding::Complete);
            if !matches!(play(subject.plugin, &silent, Cuts::Every(1)).await.end, End::Broke(_)) {
                taken = media_type;
                break;
            }
        }
        found.push((scene, taken));
    }
    found
}

/// The same call, answered with events.
fn answered(scene: &Scene, media_type: &str, events: Events, ending: RecordedEnding) -> Scene {
    let headers = vec![("content-type".to_owned(), media_type.to_owned())];
    let answer = Answer { status: 200, headers, content: Content::Events(events), ending };
    Scene { answers: vec![answer], ..scene.clone() }
}

pub(super) async fn junk_is_survived(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    let mut seen = 0;
    for (scene, media_type) in asking_for_streams(subject).await {
        for name in [None, Some("error"), Some("message_start"), Some("content_block_delta"), Some("never heard of")] {
            for (what, data) in junk() {
                let event = || (name.map(str::to_owned), data.clone());
                let scene = answered(&scene, media_type, vec![event(), event()], RecordedEnding::Complete);
                let played = play(subject.plugin, &scene, Cuts::Every(1)).await;
                if matches!(played.end, End::Verbatim) {
                    continue;
                }
                seen += 1;
                let at = format!("{} with events '{}' of {what}", scene.operation.path(), name.unwrap_or(""));
                found.extend(canonical::faults(&scene, &played).into_iter().map(|fault| format!("{at}: {fault}")));
            }
        }
    }
    if seen == 0 { no_answers(subject) } else { Verdict::of(found) }
}

pub(super) async fn silence_is_a_failure(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    let mut seen = 0;
    for (scene, media_type) in asking_for_streams(subject).await {
        for (ending, what) in [
            (RecordedEnding::Complete, "ends without an event"),
            (RecordedEnding::Cut, "breaks off before its first event"),
            (RecordedEnding::Stalled, "falls silent before its first event"),
        ] {
            let scene = answered(&scene, media_type, Vec::new(), ending);
            let at = format!("{}{}", scene.operation.path(), streamed(&scene));
            let played = play(subject.plugin, &scene, Cuts::Every(1)).await;
            match played.end {
                End::Verbatim => continue,
                End::Stream | End::Answer(_) => found.push(format!("{at} that {what} became a complete answer")),
                End::Broke(broke) => found.push(format!("{at} that {what}: {broke}")),
                _ => {}
            }
            seen += 1;
        }
    }
    if seen == 0 { no_answers(subject) } else { Verdict::of(found) }
}

/// Recordings that end in a stream, with its events.
fn recorded_streams<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (&'a str, &'a Scene, Events)> {
    subject.recordings.iter().filter_map(|(name, scene)| {
        let events = scene.answers.last().filter(|answer| answer.status < 300)?.events()?;
        scene.streaming.then_some((name.as_str(), scene, events))
    })
}

fn no_streams() -> Verdict {
    Verdict::Skip("there is no recorded stream; give some with --recordings".to_owned())
}

/// `0..=events`, or so many of them as can be tried.
fn places(events: usize) -> impl Iterator<Item = usize> {
    let step = events.div_ceil(MAX_CUTS).max(1);
    (0..=events).step_by(step)
}

/// One by one, all at once, and in two reads however divided. Where in the bytes a cut is decides only after which
/// event a read ends: the decoder is the gateway's.
pub(super) async fn cuts_do_not_matter(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    let mut seen = 0;
    for (name, scene, events) in recorded_streams(subject) {
        let whole = play(subject.plugin, scene, Cuts::Every(1)).await;
        let meaning =
            |played: &crate::replay::Played| (merge(&played.chunks_json()), played.answer_json(), played.usage_json());
        let expected = meaning(&whole);
        let all = [(Cuts::Every(usize::MAX), "all at once".to_owned()), (Cuts::Every(2), "two at a time".to_owned())];
        let cuts = places(events.len()).map(|at| (Cuts::At(at), format!("cut after {at} of {} events", events.len())));
        for (cuts, how) in all.into_iter().chain(cuts) {
            seen += 1;
            if meaning(&play(subject.plugin, scene, cuts).await) != expected {
                found.push(format!("{name}, {how}, means something else than one by one"));
                break;
            }
        }
    }
    if seen == 0 { no_streams() } else { Verdict::of(found) }
}

/// Broken off after any event, a stream is a failure or was complete by its own word.
pub(super) async fn cut_off_is_never_complete(subject: &Subject<'_>) -> Verdict {
    let mut found = Vec::new();
    let mut seen = 0;
    for (name, scene, events) in recorded_streams(subject) {
        for at in places(events.len().saturating_sub(1)) {
            let Some((last, before)) = scene.answers.split_last() else { continue };
            let head = events.iter().take(at).cloned().collect();
            let cut = Answer { content: Content::Events(head), ending: RecordedEnding::Cut, ..last.clone() };
            let scene = Scene { answers: before.iter().cloned().chain([cut]).collect(), ..scene.clone() };
            let played = play(subject.plugin, &scene, Cuts::Every(1)).await;
            seen += 1;
            let of = events.len();
            found.extend(
                canonical::faults(&scene, &played)
                    .first()
                    .map(|fault| format!("{name}, broken off after {at} of {of} events: {fault}")),
            );
        }
    }
    if seen == 0 { no_streams() } else { Verdict::of(found) }
}
