//! One call through a plugin, as the pipeline drives it, with answers that are there already.

use url::Url;

use super::scene::{Answer, Content, Scene};
use crate::pipeline::framing::{decoder, framing_of, media_type_of};
use crate::pipeline::outbound::outbound;
use crate::plugin::{
    Batch, Begun, CallError, Completion, Ending, Event, Exchange, Failure, Framing, HeaderParam, HttpRequest,
    HttpResponse, Manifest, Plugin, Reading, Settled, Usage, Warning,
};
use crate::record::RecordedEnding;
use crate::stream::StreamEvent;
use crate::upstream::Base;

/// How a stream's events come: how many in one network read.
#[derive(Clone, Copy, Debug)]
pub enum Cuts {
    /// So many at a time.
    Every(usize),
    /// Two reads, the first with so many events. Wherever bytes are cut, this is what the decoder makes of it.
    At(usize),
}

/// What became of a call.
#[derive(Clone, Debug)]
pub struct Played {
    /// What the translation lost.
    pub warnings: Vec<Warning>,
    /// What the plugin asked its provider, as far as the gateway would send it.
    pub requests: Vec<HttpRequest>,
    /// A stream's chunks.
    pub chunks: Vec<Vec<u8>>,
    /// What the call used, by the plugin's last word.
    pub usage: Option<Usage>,
    /// How it ended.
    pub end: End,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub enum End {
    /// A whole answer.
    Answer(Vec<u8>),
    /// A complete stream; the chunks are beside it.
    Stream,
    /// The provider's answer is canonical, and goes on as it is.
    Verbatim,
    /// There is no answer to this request in the scene.
    Sent,
    /// The client went away.
    Left,
    /// The provider broke off, and the plugin had nothing to say but what was used.
    Cut,
    /// The plugin said so.
    Failed(Failure),
    /// The plugin broke, or did what none may: the gateway's words.
    Broke(String),
}

/// Plays a call in an instance of its own.
pub async fn play(plugin: &Plugin, scene: &Scene, cuts: Cuts) -> Played {
    let mut played =
        Played { warnings: Vec::new(), requests: Vec::new(), chunks: Vec::new(), usage: None, end: End::Sent };
    played.end = match drive(plugin, scene, cuts, &mut played).await {
        Ok(end) => end,
        Err(Stop::Plugin(CallError::Failed(failure))) => End::Failed(failure),
        Err(Stop::Plugin(error)) => End::Broke(error.to_string()),
        Err(Stop::Refused(what)) => End::Broke(format!("the plugin {what}")),
    };
    played
}

/// Why a call can't go on.
enum Stop {
    Plugin(CallError),
    /// The gateway doesn't take what it did.
    Refused(String),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Plugin(error)
    }
}

fn refused<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refused(what.into()))
}

async fn drive(plugin: &Plugin, scene: &Scene, cuts: Cuts, played: &mut Played) -> Result<End, Stop> {
    let params: Vec<(&str, &str)> = scene.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (mut exchange, begun, warnings) = plugin.begin(scene.call(&params)).await?;
    played.warnings = warnings;
    let mut request = match begun {
        Begun::Send(request) => request,
        Begun::Reply(completion) => return Ok(whole(completion, played)),
        Begun::ReplyStream(batch) => {
            take(batch, played);
            return Ok(End::Stream);
        }
    };
    let mut answers = scene.answers.iter();
    loop {
        check_request(&plugin.manifest, &request).map_err(Stop::Refused)?;
        played.requests.push(request);
        let Some(answer) = answers.next() else { return Ok(End::Sent) };
        if !matches!(answer.status, 200..300 | 400..600) {
            return Ok(End::Broke(format!("the gateway takes an answer of status {} for none", answer.status)));
        }
        let headers: Vec<HeaderParam<'_>> =
            answer.headers.iter().map(|(name, value)| HeaderParam { name, value }).collect();
        match exchange.head(answer.status, &headers).await? {
            Reading::Verbatim => return Ok(End::Verbatim),
            Reading::Events(framing) => {
                return stream(&mut exchange, answer, framing, cuts, played).await;
            }
            Reading::Whole => {
                let body = answer.bytes();
                if body.is_empty() && answer.ending != RecordedEnding::Complete {
                    return Ok(if answer.ending == RecordedEnding::Left { End::Left } else { End::Cut });
                }
                let response = HttpResponse { status: answer.status, headers: &headers, body: &body };
                match exchange.whole(response).await? {
                    Settled::Done(completion) => return Ok(whole(completion, played)),
                    Settled::Again(next) => request = next.request,
                }
            }
        }
    }
}

fn whole(completion: Completion, played: &mut Played) -> End {
    played.usage = completion.usage;
    End::Answer(completion.body)
}

async fn stream(
    exchange: &mut Exchange,
    answer: &Answer,
    framing: Framing,
    cuts: Cuts,
    played: &mut Played,
) -> Result<End, Stop> {
    // Who wrote an answer down may have left its type out.
    if let (Some(expected), Some(found)) = (media_type_of(framing), answer.media_type())
        && expected != found
    {
        return refused(format!("reads a stream of {expected} where its provider answers with '{found}'"));
    }
    for read in answer.reads(framing, cuts)? {
        if read.is_empty() {
            continue;
        }
        let events: Vec<Event<'_>> = read.iter().map(|(name, data)| Event { name: name.as_deref(), data }).collect();
        let batch = exchange.events(&events).await?;
        if take(batch, played) {
            return Ok(End::Stream);
        }
    }
    let ending = match answer.ending {
        RecordedEnding::Complete => Ending::Complete,
        RecordedEnding::Cut => Ending::Cut,
        RecordedEnding::Stalled => Ending::Stalled,
        RecordedEnding::Left => return Ok(End::Left),
    };
    let last = exchange.end(ending).await?;
    if ending == Ending::Complete {
        take(last, played);
        return Ok(End::Stream);
    }
    // The client is told that the provider broke off, whatever the plugin makes of it.
    if take(last, played) {
        return refused("says that the answer is complete where the provider broke off");
    }
    Ok(End::Cut)
}

/// Takes a piece of a stream, whose chunks the exchange has checked. True if it was the last one.
fn take(batch: Batch, played: &mut Played) -> bool {
    played.usage = batch.usage.or(played.usage);
    played.chunks.extend(batch.chunks);
    batch.done
}

/// Whether the gateway would send this request: in its own words, if it wouldn't.
///
/// # Errors
/// What the plugin did that it may not.
pub fn check_request(manifest: &Manifest, request: &HttpRequest) -> Result<(), String> {
    outbound(&manifest.placement, &Base::new(base_url(manifest)?), request.clone()).map(|_| ())
}

/// Some base URL: where the plugin has none of its own, or one with parameters, the host doesn't matter here.
fn base_url(manifest: &Manifest) -> Result<Url, String> {
    match &manifest.base_url {
        Some(template) => template.fill(|_| Some("x")),
        None => Url::parse("http://provider.invalid").map_err(|error| error.to_string()),
    }
}

/// Names and data.
pub type Events = Vec<(Option<String>, Vec<u8>)>;

impl Answer {
    /// The body's bytes; of a stream of which only the events are known, as server-sent events.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let events = match &self.content {
            Content::Bytes(bytes) => return bytes.clone(),
            Content::Events(events) => events,
        };
        let mut out = Vec::new();
        for (name, data) in events {
            if let Some(name) = name {
                out.extend_from_slice(format!("event: {name}\n").as_bytes());
            }
            for line in data.split(|byte| *byte == b'\n') {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            out.push(b'\n');
        }
        out
    }

    /// The events of each read.
    fn reads(&self, framing: Framing, cuts: Cuts) -> Result<Vec<Events>, Stop> {
        let events = match &self.content {
            Content::Events(events) => events.clone(),
            Content::Bytes(bytes) => self.decode(framing, bytes)?,
        };
        Ok(match cuts {
            Cuts::Every(count) => events.chunks(count.max(1)).map(<[_]>::to_vec).collect(),
            Cuts::At(at) => {
                let (first, second) = events.split_at(at.min(events.len()));
                vec![first.to_vec(), second.to_vec()]
            }
        })
    }

    fn decode(&self, framing: Framing, bytes: &[u8]) -> Result<Events, Stop> {
        let mut decoder = decoder(framing);
        let mut events = Vec::new();
        decoder.push(bytes, &mut events).map_err(|error| Stop::Refused(format!("gets a stream where {error}")))?;
        // What a broken connection leaves is no event.
        if self.ending == RecordedEnding::Complete {
            events.extend(decoder.finish());
        }
        let data = |event: StreamEvent| Some((event.name, event.data?.to_vec()));
        Ok(events.into_iter().filter_map(data).collect())
    }

    /// A streamed answer's events: `None` where it is no stream that can be taken apart.
    pub fn events(&self) -> Option<Events> {
        match &self.content {
            Content::Events(events) => Some(events.clone()),
            Content::Bytes(bytes) => self.decode(framing_of(&self.media_type()?)?, bytes).ok(),
        }
    }
}
