//! What a call that is under way is accounted with.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Attempt, CallRecord, Entry, Messages, Tally, Terms, TraceParent};
use crate::accounts::Accounts;
use crate::keys::Caller;
use crate::limits::{Hold, Spent};
use crate::plugin::Operation;
use crate::prices::{Cost, Pricing};
use crate::store::without_nul;

/// A call has no more tags, and no longer ones: each has a row in the books.
const MAX_TAGS: usize = 64;
const MAX_TAG_BYTES: usize = 256;

/// A call of a model, under way.
#[derive(Debug)]
pub struct CallEntry {
    /// Where it is accounted for in the end.
    pub accounts: Arc<Accounts>,
    /// When it came in.
    pub started: SystemTime,
    /// The endpoint.
    pub operation: Operation,
    /// Who calls; `None`: the master key, or a gateway without one.
    pub caller: Option<Arc<Caller>>,
    /// What it has reserved.
    pub hold: Option<Hold>,
    /// What it cost so far, as far as that is known.
    pub cost: Option<Cost>,
    /// Something of it has no price that anybody knows.
    pub is_unpriced: bool,
    /// What its price depends on.
    pub terms: Terms,
    /// What the deployment's calls cost that is asked now.
    pub pricing: Option<Pricing>,
    /// What of its answer went by.
    pub tally: Tally,
    /// Its cost is worked out.
    pub(super) is_settled: bool,
    /// Its usage is estimated, for the provider didn't say.
    pub is_estimated: bool,
    /// The model group that the client's model stands for.
    pub model_group: Option<String>,
    /// How long providers were waited for.
    pub upstream: Duration,
    /// When its body was whole: what a client takes to send it is nobody's overhead.
    pub received: Duration,
    /// What the gateway itself added before the first byte of the answer.
    pub overhead: Option<Duration>,
    /// Whose call it was at the caller's.
    pub end_user: Option<String>,
    /// The request's tags, and those of its key and team.
    pub tags: Vec<String>,
    /// `x-litellm-session-id`, or `x-litellm-trace-id`.
    pub session_id: Option<String>,
    /// Where it came from.
    pub client_ip: Option<std::net::IpAddr>,
    /// The client wants nobody to be told of it.
    pub no_log: bool,
    /// The client's trace.
    pub trace: Option<TraceParent>,
    /// What other tracers have said of the client's trace.
    pub trace_state: Option<http::HeaderValue>,
    /// Its attempts in order, where calls are traced.
    pub attempts: Vec<Attempt>,
    /// What was asked and answered, where the operator wants it kept.
    pub messages: Option<Messages>,
}

impl CallEntry {
    /// A call that has just come in.
    pub fn new(operation: Operation, caller: Option<Arc<Caller>>, accounts: Arc<Accounts>) -> Self {
        Self {
            accounts,
            started: SystemTime::now(),
            operation,
            caller,
            hold: None,
            cost: None,
            is_unpriced: false,
            terms: Terms::default(),
            pricing: None,
            tally: Tally::default(),
            is_settled: false,
            is_estimated: false,
            model_group: None,
            upstream: Duration::ZERO,
            received: Duration::ZERO,
            overhead: None,
            end_user: None,
            tags: Vec::new(),
            session_id: None,
            client_ip: None,
            no_log: false,
            trace: None,
            trace_state: None,
            attempts: Vec::new(),
            messages: None,
        }
    }

    /// Adds those that it doesn't have yet, as far as they are few and short.
    pub fn add_tags<'a>(&mut self, tags: impl Iterator<Item = &'a str>) {
        for tag in tags.map(str::trim).filter(|tag| !tag.is_empty() && tag.len() <= MAX_TAG_BYTES) {
            // As the database will have it: what is one tag there is one here.
            let tag = without_nul(tag.to_owned());
            if self.tags.len() < MAX_TAGS && !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
    }

    /// The call is over.
    pub(super) fn end(self, entry: &mut Entry) {
        let usage = entry.used_by_all();
        let served_by = entry.served_by.as_ref().map(|by| (by.deployment.as_str(), by.provider.as_str()));
        let spent = Spent { usage, cost: self.cost.map(|cost| cost.total), served_by };
        let charged = self.hold.map(|hold| hold.settle(spent)).unwrap_or_default();
        if self.accounts.books.is_empty() {
            return;
        }
        self.accounts.books.record(CallRecord {
            call_id: std::mem::take(&mut entry.call_id),
            operation: self.operation,
            started: self.started,
            duration: entry.elapsed(),
            first_byte: entry.first_byte,
            upstream: self.upstream,
            overhead: self.overhead,
            status: if entry.status == 0 { 499 } else { entry.status },
            outcome: entry.outcome,
            streaming: entry.streaming,
            model: entry.model.take(),
            model_group: self.model_group,
            fallback: entry.group.take(),
            served_by: entry.served_by.take(),
            caller: self.caller,
            end_user: self.end_user,
            tags: self.tags,
            session_id: self.session_id,
            client_ip: self.client_ip,
            usage,
            is_estimated: self.is_estimated,
            cost: self.cost,
            charged,
            retries: entry.retries,
            fallbacks: entry.fallbacks,
            failed: std::mem::take(&mut entry.failed),
            attempts: self.attempts,
            kind: entry.kind,
            error: entry.error.take(),
            no_log: self.no_log,
            trace: self.trace,
            messages: self.messages.map(Messages::finish),
        });
    }
}
