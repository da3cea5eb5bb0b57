//! One entry a request, written when the last byte of the answer is out, or can't be.

use std::time::Duration;

use tokio::time::Instant;

use super::{CallEntry, Meter, Usage};
use crate::router::Reason;
use crate::telemetry::{self, Line};

/// What is known of one request. Dropped, it is written to the log: also when the client went away.
#[derive(Debug)]
pub struct Entry {
    started: Instant,
    /// Identifies the request everywhere: in the answer's headers, in the log, to plugins.
    pub call_id: String,
    /// What there is to account for; `None`: it asks no model.
    pub call: Option<CallEntry>,
    /// The HTTP method.
    pub method: String,
    /// The path without its query, which may hold a key.
    pub path: String,
    /// The status that the client got.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// The model that the client named.
    pub model: Option<String>,
    /// The deployment that served it: id, provider, the provider's model.
    pub served_by: Option<ServedBy>,
    /// Whether the client asked for a stream.
    pub streaming: bool,
    /// What it used, as far as the provider said.
    pub usage: Option<Usage>,
    /// What the attempt under way has used, should nobody wait for its answer.
    pub meter: Option<Meter>,
    /// The fallback that served it, if one did.
    pub group: Option<String>,
    /// Why this deployment.
    pub reason: Option<Reason>,
    /// Deployments asked, one asked twice counted twice.
    pub attempts: u32,
    /// Attempts after the first one of a model group.
    pub retries: u32,
    /// Fallbacks asked.
    pub fallbacks: u32,
    /// `old model -> its successor`, where the successor serves.
    pub successor: Option<String>,
    /// Its stream broke, and another deployment went on with it.
    pub continued: bool,
    /// Two attempts ran side by side.
    pub hedged: bool,
    /// The attempts that brought no answer: which deployment, and how it failed.
    pub failed: Vec<(String, &'static str)>,
    /// What those used, as far as their providers said.
    pub failed_usage: Option<Usage>,
    /// How long the client waited for the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// How a stream failed that had begun, in the words of attempts that failed.
    pub kind: Option<&'static str>,
    /// What went wrong, in words without prompts, answers or keys.
    pub error: Option<String>,
}

/// The deployment that served a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedBy {
    /// `x-litellm-model-id`.
    pub deployment: String,
    /// `openai`, `groq` …
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody has said yet: if it stays so, the client went away.
    Open,
    /// With a whole answer.
    Complete,
    /// With an error.
    Failed,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Open => "client_gone",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

impl Entry {
    /// An entry for a request that has just come in.
    pub fn new(call_id: String, method: &str, path: &str) -> Self {
        Self {
            started: Instant::now(),
            call_id,
            call: None,
            method: method.to_owned(),
            path: path.to_owned(),
            status: 0,
            outcome: Outcome::Open,
            model: None,
            served_by: None,
            streaming: false,
            usage: None,
            meter: None,
            group: None,
            reason: None,
            attempts: 0,
            retries: 0,
            fallbacks: 0,
            successor: None,
            continued: false,
            hedged: false,
            failed: Vec::new(),
            failed_usage: None,
            first_byte: None,
            kind: None,
            error: None,
        }
    }

    /// How long ago the request came in.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The first byte of the answer goes out now.
    pub fn mark_first_byte(&mut self) {
        let elapsed = self.elapsed();
        self.first_byte.get_or_insert(elapsed);
    }

    /// A provider was waited for.
    pub fn wait_for_upstream(&mut self, waited: Duration) {
        if let Some(call) = &mut self.call {
            call.upstream += waited;
        }
    }

    /// Its body is whole.
    pub fn mark_received(&mut self) {
        let elapsed = self.elapsed();
        if let Some(call) = &mut self.call {
            call.received = elapsed;
        }
    }

    /// The answer begins: what of the time until now was the gateway's own.
    pub fn mark_answered(&mut self) -> Option<Duration> {
        let elapsed = self.elapsed();
        let call = self.call.as_mut()?;
        call.overhead = Some(elapsed.saturating_sub(call.received).saturating_sub(call.upstream));
        call.overhead
    }

    /// The answer is whole.
    pub fn complete(&mut self) {
        self.outcome = Outcome::Complete;
    }

    /// The answer is not whole, and why.
    pub fn fail(&mut self, error: impl ToString) {
        self.outcome = Outcome::Failed;
        self.error = Some(error.to_string());
    }

    /// An attempt brought no answer.
    pub fn note_failed(&mut self, deployment: &str, kind: &'static str, usage: Option<Usage>) {
        self.failed.push((deployment.to_owned(), kind));
        if let Some(usage) = usage {
            self.failed_usage = Some(self.failed_usage.unwrap_or_default().plus(usage));
        }
    }

    /// What was used by all attempts together.
    pub(super) fn used_by_all(&self) -> Option<Usage> {
        match (self.failed_usage, self.used()) {
            (Some(failed), Some(used)) => Some(failed.plus(used)),
            (failed, used) => failed.or(used),
        }
    }

    /// What the attempt that answered used, as far as somebody said so far.
    pub(super) fn used(&self) -> Option<Usage> {
        self.usage.or_else(|| self.meter.as_ref()?.read())
    }

    fn write(&self, line: &mut Line) {
        let served_by = self.served_by.as_ref();
        let usage = self.used();
        let tokens = |count: fn(&Usage) -> u64| usage.as_ref().map(count);
        line.text("call_id", Some(&self.call_id));
        line.text("method", Some(&self.method));
        line.text("path", Some(&self.path));
        // nginx's word for a client that left before it was answered.
        line.number("status", Some(if self.status == 0 { 499 } else { self.status.into() }));
        line.text("outcome", Some(self.outcome.word()));
        if let Some(key) = self.call.as_ref().and_then(|call| call.caller.as_ref()).map(|caller| &caller.key) {
            line.text("key", Some(key.alias.as_deref().unwrap_or(&key.name)));
            line.text("user", key.user_id.as_deref());
            line.text("team", key.team_id.as_deref());
        }
        line.text("model", self.model.as_deref());
        line.text("deployment", served_by.map(|by| &*by.deployment));
        line.text("provider", served_by.map(|by| &*by.provider));
        line.text("provider_model", served_by.map(|by| &*by.model));
        line.text("group", self.group.as_deref());
        line.formatted("chosen", self.reason);
        line.number("attempts", Some(self.attempts.into()).filter(|attempts| *attempts > 1));
        line.number("fallbacks", Some(self.fallbacks.into()).filter(|fallbacks| *fallbacks > 0));
        line.text("successor", self.successor.as_deref());
        line.flag("continued", self.continued);
        line.flag("hedged", self.hedged);
        line.flag("stream", self.streaming);
        line.number("prompt_tokens", tokens(|usage| usage.prompt_tokens));
        line.number("completion_tokens", tokens(|usage| usage.completion_tokens));
        line.number("cache_read_tokens", tokens(|usage| usage.cache_read_tokens));
        line.number("cache_write_tokens", tokens(|usage| usage.cache_write_tokens));
        line.number("reasoning_tokens", tokens(|usage| usage.reasoning_tokens));
        line.number("failed_prompt_tokens", self.failed_usage.map(|usage| usage.prompt_tokens));
        line.number("failed_completion_tokens", self.failed_usage.map(|usage| usage.completion_tokens));
        if let Some(call) = &self.call {
            line.money("cost_usd", call.known_cost().map(|cost| cost.total));
            line.flag("usage_estimated", call.is_estimated);
        }
        line.milliseconds("ttft_ms", self.first_byte);
        line.milliseconds("duration_ms", Some(self.elapsed()));
        line.text("kind", self.kind);
        line.text("error", self.error.as_deref());
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.settle();
        telemetry::log_request(|line| self.write(line));
        if let Some(call) = self.call.take() {
            call.end(self);
        }
    }
}
