//! Drives a translator natively, as the gateway drives it in the sandbox.

use serde_json::Value;

use crate::{
    Begin, Begun, Call, Completion, Ending, Event, Failure, Header, HttpRequest, HttpResponse, Operation, Provider,
    Reading, Settled, Usage, Warning,
};

/// What a provider answers in a test.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// HTTP status.
    pub status: u16,
    /// `content-type` is in here.
    pub headers: Vec<Header>,
    /// JSON, or a stream of server-sent events.
    pub body: Vec<u8>,
}

/// What became of a call.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What went to the provider.
    pub request: Option<HttpRequest>,
    /// What the translation lost.
    pub warnings: Vec<Warning>,
    /// The whole answer, for calls without a stream.
    pub answer: Option<Value>,
    /// The chunks, for calls with one.
    pub chunks: Vec<Value>,
    /// What the call used, by the plugin's last word.
    pub usage: Option<Usage>,
    /// How it failed.
    pub failure: Option<Failure>,
}

/// A call as the gateway makes it: id `test`, `stream` read from the body, the client's model name as in the body.
pub fn call(operation: Operation, model: &str, body: &Value) -> Call {
    let requested = body.get("model").and_then(Value::as_str).unwrap_or(model);
    Call {
        id: "test".to_owned(),
        created: 1_700_000_000,
        operation,
        model: model.to_owned(),
        requested_model: requested.to_owned(),
        streaming: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        body: body.to_string().into_bytes(),
        params: Vec::new(),
    }
}

/// The request that a call becomes, with what was lost.
///
/// # Errors
/// The translator refused.
pub fn request<P: Provider>(call: Call) -> Result<(HttpRequest, Vec<Warning>), Failure> {
    let begin = P::begin(call)?;
    match begin.begun {
        Begun::Send(request) => Ok((request, begin.warnings)),
        other => panic!("expected a request, got {other:?}"),
    }
}

/// Runs a call to its end. A stream's events are handed over in batches of `events_per_read`.
pub fn run<P: Provider>(call: Call, upstream: &Upstream, events_per_read: usize) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(failure) = drive::<P>(call, upstream, events_per_read, &mut outcome) {
        outcome.failure = Some(failure);
    }
    outcome
}

fn drive<P: Provider>(
    call: Call,
    upstream: &Upstream,
    events_per_read: usize,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let Begin { mut exchange, begun, warnings } = P::begin(call)?;
    outcome.warnings = warnings;
    match begun {
        Begun::Send(request) => outcome.request = Some(request),
        Begun::Reply(completion) => return answered(outcome, completion),
        Begun::ReplyStream(batch) => {
            outcome.push(batch.chunks, batch.usage);
            return Ok(());
        }
    }
    match exchange.head(upstream.status, &upstream.headers)? {
        Reading::Verbatim => outcome.answer = Some(json(&upstream.body)),
        Reading::Whole => {
            let Upstream { status, headers, body } = upstream.clone();
            match exchange.settle(HttpResponse { status, headers, body })? {
                Settled::Done(completion) => answered(outcome, completion)?,
                Settled::Again(_) => panic!("a call that asks again has more than one answer to be tested with"),
            }
        }
        Reading::Events(_) => {
            for events in split_events(&upstream.body).chunks(events_per_read.max(1)) {
                let batch = exchange.events(events.to_vec())?;
                outcome.push(batch.chunks, batch.usage);
                if batch.done {
                    return Ok(());
                }
            }
            let batch = exchange.end(Ending::Complete)?;
            outcome.push(batch.chunks, batch.usage);
        }
    }
    Ok(())
}

impl Outcome {
    fn push(&mut self, chunks: Vec<Vec<u8>>, usage: Option<Usage>) {
        self.chunks.extend(chunks.iter().map(|chunk| json(chunk)));
        self.usage = usage.or(self.usage.take());
    }
}

fn answered(outcome: &mut Outcome, completion: Completion) -> Result<(), Failure> {
    outcome.answer = Some(json(&completion.body));
    outcome.usage = completion.usage;
    Ok(())
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// Events of a well-formed stream; the gateway's own decoder is the one that takes any bytes.
fn split_events(body: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    text.split("\n\n").filter_map(event).collect()
}

fn event(block: &str) -> Option<Event> {
    let field = |line: &str, name: &str| {
        line.strip_prefix(name)?.strip_prefix(':').map(|value| value.strip_prefix(' ').unwrap_or(value).to_owned())
    };
    let name = block.lines().find_map(|line| field(line, "event"));
    let data: Vec<String> = block.lines().filter_map(|line| field(line, "data")).collect();
    (!data.is_empty()).then(|| Event { name, data: data.join("\n").into_bytes() })
}
