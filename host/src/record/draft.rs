//! One exchange's recording, while the exchange goes on.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::recorder::{Job, MAX_EXCHANGE_BYTES, Tally};
use super::{
    EventData, Headers, Payload, RecordedCall, RecordedEnding, RecordedEvent, RecordedRequest, RecordedResponse,
    Recording, VERSION,
};
use crate::plugin::{Call, Ending, Event, HttpRequest, Manifest, Witness};

/// Headers of an answer that are kept: those that a translator may look at, none that says who asked.
const KEPT_HEADERS: &[&str] = &[
    "content-type",
    "retry-after",
    "retry-after-ms",
    "request-id",
    "x-request-id",
    "x-amzn-requestid",
    "x-amzn-errortype",
    "x-should-retry",
];

/// A copy of the bytes as they pass; what is written is made of it later, elsewhere.
pub(super) struct Draft {
    /// `None` once it was given up.
    copied: Option<Box<Copied>>,
    jobs: mpsc::Sender<Job>,
    tally: Arc<Tally>,
}

/// What was copied so far.
pub(super) struct Copied {
    plugin: String,
    /// All but the body.
    call: RecordedCall,
    body: Vec<u8>,
    requests: Vec<HttpRequest>,
    answers: Vec<AnswerCopy>,
    held: Held,
}

/// Bytes that were taken from the common budget; given back when they are dropped.
struct Held {
    bytes: usize,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct AnswerCopy {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    events: Option<Vec<(Option<String>, Vec<u8>)>>,
    ending: Option<RecordedEnding>,
}

// === impl Draft ===

impl Draft {
    pub(super) fn begin(plugin: &Manifest, call: &Call<'_>, jobs: mpsc::Sender<Job>, tally: Arc<Tally>) -> Self {
        let copied = Copied {
            plugin: format!("{} {}", plugin.name, plugin.version),
            call: RecordedCall::of(&Call { body: &[], ..*call }),
            body: Vec::new(),
            requests: Vec::new(),
            answers: Vec::new(),
            held: Held { bytes: 0, tally: Arc::clone(&tally) },
        };
        let mut draft = Self { copied: Some(Box::new(copied)), jobs, tally };
        if let Some(copied) = draft.with_room(call.body.len()) {
            copied.body = call.body.to_vec();
        }
        draft
    }

    /// What was copied, if so many bytes more may be. If they may not, all is given up.
    fn with_room(&mut self, bytes: usize) -> Option<&mut Copied> {
        let held = &mut self.copied.as_mut()?.held;
        if let Err(why) = held.grow(bytes) {
            self.tally.lose(why);
            self.copied = None;
        }
        self.copied.as_deref_mut()
    }

    /// The same for the answer that is coming in.
    fn answer(&mut self, bytes: usize) -> Option<&mut AnswerCopy> {
        self.with_room(bytes)?.answers.last_mut()
    }
}

impl Witness for Draft {
    fn request(&mut self, request: &HttpRequest) {
        let rest: usize = request.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        if let Some(copied) = self.with_room(request.path.len() + request.body.len() + rest) {
            copied.requests.push(request.clone());
        }
    }

    fn head(&mut self, status: u16, headers: &mut dyn Iterator<Item = (&str, &str)>) {
        let kept = headers.filter(|(name, _)| KEPT_HEADERS.contains(name));
        let headers: Vec<(String, String)> = kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if let Some(copied) = self.with_room(bytes) {
            copied.answers.push(AnswerCopy { status, headers, ..AnswerCopy::default() });
        }
    }

    fn whole(&mut self, body: &[u8]) {
        if let Some(answer) = self.answer(body.len()) {
            answer.body = body.to_vec();
            answer.ending = Some(RecordedEnding::Complete);
        }
    }

    fn events(&mut self, events: &[Event<'_>]) {
        // The list's own bytes count too: a stream may be millions of empty events.
        let bytes = events.iter().map(|event| event.data.len() + event.name.map_or(0, str::len) + 64).sum();
        if let Some(answer) = self.answer(bytes) {
            let copies = events.iter().map(|event| (event.name.map(str::to_owned), event.data.to_vec()));
            answer.events.get_or_insert_default().extend(copies);
        }
    }

    fn done(&mut self) {
        if let Some(answer) = self.answer(0) {
            answer.ending = Some(RecordedEnding::Complete);
        }
    }

    fn end(&mut self, ending: Ending) {
        if let Some(answer) = self.answer(0) {
            // A stream without a single event is one all the same.
            answer.events.get_or_insert_default();
            answer.ending = Some(match ending {
                Ending::Complete => RecordedEnding::Complete,
                Ending::Cut => RecordedEnding::Cut,
                Ending::Stalled => RecordedEnding::Stalled,
            });
        }
    }
}

impl Drop for Draft {
    /// The exchange is over, however it ended.
    fn drop(&mut self) {
        if let Some(copied) = self.copied.take()
            && self.jobs.try_send(Job::Write(copied)).is_err()
        {
            self.tally.lose("the disk is slower than the calls");
        }
    }
}

// === impl Held ===

impl Held {
    fn grow(&mut self, bytes: usize) -> Result<(), &'static str> {
        if self.bytes + bytes > MAX_EXCHANGE_BYTES {
            return Err("its exchange is larger than 8 MiB");
        }
        if !self.tally.take(bytes) {
            return Err("too much is being recorded at once");
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tally.give_back(self.bytes);
    }
}

// === impl Copied ===

impl Copied {
    /// What is written.
    pub(super) fn recording(&self) -> Recording {
        Recording {
            version: VERSION,
            plugin: Some(self.plugin.clone()),
            call: RecordedCall { body: Payload::of(&self.body), ..self.call.clone() },
            requests: self.requests.iter().map(recorded_request).collect(),
            responses: self.answers.iter().map(recorded_response).collect(),
            expected: None,
        }
    }
}

fn recorded_request(request: &HttpRequest) -> RecordedRequest {
    RecordedRequest {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        headers: Headers(request.headers.iter().map(|h| (h.name.clone(), h.value.clone())).collect()),
        body: Payload::of(&request.body),
    }
}

fn recorded_response(answer: &AnswerCopy) -> RecordedResponse {
    let event =
        |(name, data): &(Option<String>, Vec<u8>)| RecordedEvent { name: name.clone(), data: EventData::of(data) };
    RecordedResponse {
        status: answer.status,
        headers: Headers(answer.headers.clone()),
        body: Payload::of(&answer.body),
        events: answer.events.as_ref().map(|events| events.iter().map(event).collect()),
        ending: answer.ending.unwrap_or(RecordedEnding::Left),
    }
}
