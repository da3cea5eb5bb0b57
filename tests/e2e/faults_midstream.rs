//! A provider that fails in the middle of a stream: what was said stays said, then comes an error event, and the
//! stream never looks complete.

use ai_api_e2e::{FakeUpstream, Framing, Gate, Reply, Rng, Step, Transcript, Wire};
use serde_json::{Value, json};

use crate::trio::{Case, Trio};

/// A stream that begins with `said` and goes on as `rest` says.
fn begun(wire: Wire, rest: Reply) -> Reply {
    Reply::events(wire.opening()).send(wire.text("said")).then(rest)
}

fn nothing() -> Reply {
    Reply::status(200)
}

/// The client got the text so far, then one error event in OpenAI's form, no `[DONE]`, and an ordered end.
async fn assert_fails_midstream(case: &Case<'_>) -> Value {
    let transcript = case.client.stream(&case.name, "hi").await.transcript().await;
    assert_eq!(transcript.meaning().text, "said", "{transcript:#?}");
    assert!(!transcript.done, "[DONE] after a failure: {transcript:#?}");
    assert_eq!(transcript.meaning().finish_reason, None, "a finish reason after a failure: {transcript:#?}");
    let error = transcript.error.clone().unwrap_or_else(|| panic!("no error event: {transcript:#?}"));
    let last = transcript.events.last().expect("events came");
    assert!(last.data.contains("\"error\""), "something after the error: {transcript:#?}");
    for key in ["message", "type", "param", "code"] {
        assert!(error.as_object().is_some_and(|error| error.contains_key(key)), "no {key}: {error}");
    }
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    error
}

#[tokio::test]
async fn a_cut_in_the_middle_of_an_event_is_told_and_the_half_event_is_not_shown() {
    let trio = Trio::replying(|wire| {
        let event = wire.text("unfinished");
        begun(wire, nothing().send(&event[..event.len() - 10]).step(Step::Break))
    })
    .await;
    for case in trio.cases() {
        assert_fails_midstream(&case).await;
    }
}

#[tokio::test]
async fn a_stream_that_ends_in_order_but_too_early_is_told() {
    for framing in [Framing::Chunked, Framing::UntilClose] {
        let trio = Trio::replying(|wire| begun(wire, nothing()).framing(framing)).await;
        for case in trio.cases() {
            assert_fails_midstream(&case).await;
        }
    }
}

#[tokio::test]
async fn a_stream_without_a_length_that_is_complete_is_fine() {
    let trio = Trio::replying(|wire| wire.stream_reply(&["said"]).framing(Framing::UntilClose)).await;
    for case in trio.cases() {
        let transcript = case.client.stream(&case.name, "hi").await.transcript().await;
        assert_eq!(transcript.flaws(false), [""; 0], "{transcript:#?}");
    }
}

#[tokio::test]
async fn an_event_that_is_no_utf8_is_told() {
    let trio = Trio::replying(|wire| begun(wire, nothing().send(b"data: {\"id\": \"\xff\xfe\"}\n\n".as_slice()))).await;
    for case in trio.cases() {
        assert_fails_midstream(&case).await;
    }
}

#[tokio::test]
async fn an_endless_event_is_told_before_it_fills_the_memory() {
    let trio = Trio::replying(|wire| {
        let start = begun(wire, nothing().send("data: \""));
        (0..640).fold(start, |reply, _| reply.send("x".repeat(100_000)))
    })
    .await;
    for case in trio.cases() {
        assert_fails_midstream(&case).await;
    }
}

#[tokio::test]
async fn a_character_that_two_reads_share_stays_whole() {
    let text = "naïve 🌍 größer";
    for wire in Wire::ALL {
        let stream = wire.stream(&[text]).concat().into_bytes();
        // Cut at each position inside each character of several bytes.
        let cuts = (1..stream.len()).filter(|at| stream[*at] & 0b1100_0000 == 0b1000_0000);
        let cuts: Vec<usize> = cuts.collect();
        assert!(cuts.len() >= 6, "the text has characters of several bytes");
        let replies = cuts.iter().map(|at| Reply::events([&stream[..*at], &stream[*at..]])).collect();
        let trio = Trio::with(json!({}), |other| {
            let mine: Vec<Reply> = if other == wire { Vec::clone(&replies) } else { vec![Reply::hang_up()] };
            FakeUpstream::replying_in_turn(mine)
        })
        .await;
        let case = trio.cases().find(|case| case.wire == wire).expect("all wires are there");
        for at in cuts {
            let transcript = case.client.stream(&case.name, "hi").await.transcript().await;
            assert_eq!(transcript.meaning().text, text, "cut at {at}");
        }
    }
}

#[tokio::test]
async fn line_ends_and_comments_of_any_kind_change_nothing() {
    for (name, rewrite) in [
        ("crlf", (|text: String| text.replace('\n', "\r\n")) as fn(String) -> String),
        ("cr", |text| text.replace('\n', "\r")),
        ("comments", |text| text.replace("\n\n", "\n\n: keep-alive\n\n")),
        ("no space", |text| text.replace("data: ", "data:")),
        ("byte order mark", |text| format!("\u{feff}{text}")),
    ] {
        let trio = Trio::replying(|wire| {
            let stream = rewrite(wire.stream(&["one ", "two"]).concat());
            Reply::events(Rng::new(11).pieces(stream.as_bytes(), 5))
        })
        .await;
        for case in trio.cases() {
            let transcript: Transcript = case.client.stream(&case.name, "hi").await.transcript().await;
            assert_eq!(
                (transcript.meaning().text.as_str(), transcript.done),
                ("one two", true),
                "{name}: {transcript:#?}"
            );
        }
    }
}

#[tokio::test]
async fn one_broken_stream_leaves_another_one_alone() {
    let gate = Gate::closed();
    let trio = Trio::with(json!({}), |wire| {
        let patient = Reply::events(wire.opening()).send(wire.text("said")).step(Step::Wait(gate.clone()));
        let patient = wire.ending().into_iter().fold(patient, Reply::send);
        FakeUpstream::replying_in_turn(vec![patient, begun(wire, nothing().step(Step::Break))])
    })
    .await;
    let mut held = Vec::new();
    for case in trio.cases() {
        let mut stream = case.client.stream(&case.name, "hi").await;
        assert_eq!(stream.next_text().await, "said");
        held.push(stream);
        assert_fails_midstream(&case).await;
    }
    gate.open();
    for mut stream in held {
        let rest = stream.transcript().await;
        assert!(rest.done && rest.error.is_none(), "{rest:#?}");
    }
}
