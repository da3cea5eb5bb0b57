//! What becomes of a case: seen by its client, counted by its provider, written in the log.

use std::collections::HashMap;

use ai_api_e2e::{Answer, Client, Gate, LiveStream, Transcript, check_error, eventually};
use serde_json::Value;

use super::arrangements::{Case, House};
use super::cell::{Cell, Log, Seen};
use super::faults::{Fault, PAGE, SAID, WHOLE, WORDS};
use crate::trio::caught;

/// A case's call: its id, and what came of it.
struct Called {
    id: String,
    seen: Seen,
    told: Told,
}

/// What the headers say.
#[derive(Debug, Default)]
struct Told {
    retries: Option<u64>,
    fallbacks: Option<u64>,
    deployment: Option<String>,
}

/// Calls all cases, some dozens at a time, and looks at what became of them when all have ended.
pub(super) async fn observe(house: &House, cases: &[Case]) -> Vec<Cell> {
    let turns = std::sync::Arc::new(tokio::sync::Semaphore::new(48));
    let secrets = house.secrets();
    let calls: Vec<_> = cases
        .iter()
        .map(|case| {
            let (case, client, turns, secrets) =
                (*case, house.gateway.client(), std::sync::Arc::clone(&turns), secrets.clone());
            let gate = house.gates[&case.name()].clone();
            tokio::spawn(async move {
                let _turn = turns.acquire().await.expect("nobody closes it");
                caught(async move { call(&client, case, &gate, &secrets).await }).await
            })
        })
        .collect();
    let mut called = Vec::new();
    for call in calls {
        called.push(call.await.expect("panics are caught").unwrap_or_else(|panic| Called {
            id: String::new(),
            seen: Seen::Odd(panic),
            told: Told::default(),
        }));
    }
    let entries = entries(house, &called).await;
    let mut kinds: HashMap<String, Vec<String>> = HashMap::new();
    for line in house.gateway.lines("attempt") {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        kinds.entry(text("call_id")).or_default().push(text("kind"));
    }
    let counts = house.calls();
    let cell = |(case, called): (&Case, Called)| {
        let entry = &entries.get(&called.id).cloned().unwrap_or_default();
        let log = Log { kinds: kinds.get(&called.id).cloned().unwrap_or_default(), ..Log::of(entry) };
        let contradictions = contradictions(&called, entry, &log);
        let calls = counts.get(&case.name()).copied().unwrap_or_default();
        Cell { seen: called.seen, calls, log, contradictions }
    };
    cases.iter().zip(called).map(cell).collect()
}

/// The log's lines of these calls, once all are there.
async fn entries(house: &House, called: &[Called]) -> HashMap<String, Value> {
    eventually("the log to tell of each call", || {
        let requests = house.gateway.lines("request").into_iter();
        let by_id: HashMap<String, Value> =
            requests.filter_map(|entry| Some((entry["call_id"].as_str()?.to_owned(), entry))).collect();
        called.iter().all(|call| call.id.is_empty() || by_id.contains_key(&call.id)).then_some(by_id)
    })
    .await
}

async fn call(client: &Client, case: Case, gate: &Gate, secrets: &[String]) -> Called {
    if !case.streaming {
        return of_answer(case.fault, &client.chat(&case.name(), "hi").await, secrets);
    }
    let mut stream = client.stream(&case.name(), "hi").await;
    if stream.status != 200 {
        return of_answer(case.fault, &stream.answer().await, secrets);
    }
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        if event.data.contains(SAID) {
            gate.open();
        }
        events.push(event);
    }
    let seen = of_transcript(case.fault, &Transcript::of(events));
    Called { id: id(stream.header("x-litellm-call-id")), seen, told: Told::of(|name| stream_header(&stream, name)) }
}

fn stream_header(stream: &LiveStream, name: &str) -> Option<String> {
    stream.header(name).map(str::to_owned)
}

fn id(header: Option<&str>) -> String {
    header.expect("every answer names its call").to_owned()
}

fn of_answer(fault: Fault, answer: &Answer, secrets: &[String]) -> Called {
    let text = answer.text();
    for secret in secrets.iter().map(String::as_str).chain([PAGE]) {
        assert!(!text.contains(secret), "{secret:?} is not the client's: {text}");
    }
    let seen = if answer.status == 200 {
        assert_eq!(answer.content(), WHOLE, "{text}");
        Seen::Whole
    } else {
        let error = answer.error();
        check_words(fault, &error);
        Seen::Error {
            status: answer.status,
            code: error["code"].as_str().map(str::to_owned),
            retry_after: answer.header("retry-after").map(str::to_owned),
        }
    };
    let told = Told::of(|name| answer.header(name).map(str::to_owned));
    Called { id: id(answer.header("x-litellm-call-id")), seen, told }
}

fn of_transcript(fault: Fault, transcript: &Transcript) -> Seen {
    let text = transcript.meaning().text;
    let Some(error) = &transcript.error else {
        assert_eq!(transcript.flaws(false), [""; 0], "{transcript:#?}");
        if text == format!("{SAID}{WHOLE}") {
            return Seen::GoneOnWith;
        }
        assert_eq!(text, WHOLE, "{transcript:#?}");
        return Seen::Whole;
    };
    check_error(error);
    check_words(fault, error);
    assert!(!transcript.done, "[DONE] after a failure: {transcript:#?}");
    let last = transcript.events.last().expect("events came");
    assert!(last.data.contains("\"error\""), "something after the error: {transcript:#?}");
    let code = error["code"].as_str().map(str::to_owned);
    match (text.as_str(), transcript.meaning().finish_reason.as_deref()) {
        (SAID, None) => Seen::Midway { code },
        (WHOLE, Some("stop")) => Seen::AtTheEnd { code },
        _ => panic!("neither a part nor the whole: {transcript:#?}"),
    }
}

/// What a provider says for the client gets there.
fn check_words(fault: Fault, error: &Value) {
    let message = error["message"].as_str().unwrap_or_default();
    assert!(!fault.in_its_words() || message.contains(WORDS), "the provider's words are lost: {error}");
}

fn contradictions(called: &Called, entry: &Value, log: &Log) -> Vec<String> {
    let Told { retries, fallbacks, deployment } = &called.told;
    let mut found = Vec::new();
    let mut check = |what: &str, header: String, log: String| {
        if header != log {
            found.push(format!("the header's {what}: {header}, the log's: {log}"));
        }
    };
    if called.id.is_empty() {
        return found;
    }
    // The first attempt at each group is no retry.
    let again = log.attempts.saturating_sub(1 + log.fallbacks);
    if called.seen == Seen::GoneOnWith {
        // The headers were out before.
        return found;
    }
    check("retries", format!("{retries:?}"), format!("{:?}", Some(again)));
    check("fallbacks", format!("{fallbacks:?}"), format!("{:?}", Some(log.fallbacks)));
    check("deployment", format!("{:?}", deployment.as_deref()), format!("{:?}", entry["deployment"].as_str()));
    found
}

// === impl Told ===

impl Told {
    fn of(header: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name| header(name).map(|text| text.parse().expect("a number"));
        Self {
            retries: number("x-litellm-attempted-retries"),
            fallbacks: number("x-litellm-attempted-fallbacks"),
            deployment: header("x-litellm-model-id"),
        }
    }
}
