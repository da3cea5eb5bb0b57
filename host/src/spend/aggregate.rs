//! What a call adds to a batch.

use std::sync::Arc;

use crate::config::{Date, StoreSettings};
use crate::store::{Batch, DailyOf, Sums, TagOf, without_nul};
use crate::usage::{CallRecord, Outcome};

/// What is kept of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) rows: bool,
    pub(super) error_rows: bool,
    pub(super) sums: bool,
    pub(super) bodies: bool,
}

// === impl Kept ===

impl Kept {
    pub(super) fn of(settings: &StoreSettings) -> Self {
        Self { rows: settings.rows, error_rows: settings.error_rows, sums: settings.sums, bodies: settings.prompts }
    }

    /// Whether the call gets a row.
    pub(super) fn row(self, call: &CallRecord) -> bool {
        self.rows && (self.error_rows || call.outcome != Outcome::Failed)
    }

    /// An empty batch with a name of its own.
    pub(super) fn batch(self) -> Batch {
        Batch { id: uuid::Uuid::new_v4().simple().to_string(), bodies: self.bodies, ..Batch::default() }
    }

    /// Adds a call, with its row.
    pub(super) fn add(self, batch: &mut Batch, call: Arc<CallRecord>) {
        if self.sums {
            add_totals(batch, &call);
            add_days(batch, &call);
        }
        if self.row(&call) {
            batch.calls.push(call);
        }
    }
}

/// What the call costs, to all that the limiter says it counts against.
pub(super) fn add_totals(batch: &mut Batch, call: &CallRecord) {
    let Some(cost) = call.cost.map(|cost| cost.total).filter(|cost| cost.pico() != 0) else { return };
    for (scope, since) in &call.charged {
        let total = batch.totals.entry((scope.clone(), *since)).or_default();
        *total = total.saturating_add(cost);
    }
}

/// The call in the sums of its day.
pub(super) fn add_days(batch: &mut Batch, call: &CallRecord) {
    let sums = sums(call);
    let of = daily_of(call);
    for tag in distinct(&call.tags) {
        let of = TagOf {
            day: of.day.clone(),
            tag: tag.clone(),
            key_hash: of.key_hash.clone(),
            model_group: of.model_group.clone(),
            model: of.model.clone(),
            provider: of.provider.clone(),
        };
        batch.tags.entry(of).or_default().add(&sums);
    }
    batch.daily.entry(of).or_default().add(&sums);
}

/// Adds sums to those of another batch.
pub(super) fn merge(into: &mut Batch, from: Batch) {
    for (of, sums) in from.daily {
        into.daily.entry(of).or_default().add(&sums);
    }
    for (of, sums) in from.tags {
        into.tags.entry(of).or_default().add(&sums);
    }
    for (of, spent) in from.totals {
        let total = into.totals.entry(of).or_default();
        *total = total.saturating_add(spent);
    }
}

fn daily_of(call: &CallRecord) -> DailyOf {
    let started = call.started.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let key = call.caller.as_ref().map(|caller| &caller.key);
    // A wildcard takes any name of a model from the client.
    let text = |text: Option<&String>| text.cloned().map(without_nul).unwrap_or_default();
    let served_by = call.served_by.as_ref();
    DailyOf {
        day: Date::from_unix_seconds(started.as_secs()).to_string(),
        key_hash: key.map(|key| key.hash.to_string()).unwrap_or_default(),
        user_id: text(key.and_then(|key| key.user_id.as_ref())),
        team_id: text(key.and_then(|key| key.team_id.as_ref())),
        // Not what the client named, which may be anything.
        model_group: text(call.model_group.as_ref()),
        model: text(served_by.map(|by| &by.model)),
        provider: text(served_by.map(|by| &by.provider)),
    }
}

fn sums(call: &CallRecord) -> Sums {
    let tokens = |of: fn(&crate::usage::Usage) -> u64| {
        call.usage.as_ref().map_or(0, |usage| i64::try_from(of(usage)).unwrap_or(i64::MAX))
    };
    let (prompt_tokens, completion_tokens) =
        (tokens(|usage| usage.prompt_tokens), tokens(|usage| usage.completion_tokens));
    let has_used = prompt_tokens > 0 || completion_tokens > 0;
    Sums {
        calls: 1,
        failed: (call.outcome == Outcome::Failed).into(),
        unpriced: (has_used && call.cost.is_none()).into(),
        prompt_tokens,
        completion_tokens,
        cache_read_tokens: tokens(|usage| usage.cache_read_tokens),
        cache_write_tokens: tokens(|usage| usage.cache_write_tokens),
        reasoning_tokens: tokens(|usage| usage.reasoning_tokens),
        spent: call.cost.map(|cost| cost.total).unwrap_or_default(),
    }
}

/// A tag that a call has twice is one.
fn distinct(tags: &[String]) -> impl Iterator<Item = &String> {
    tags.iter().enumerate().filter(|(at, tag)| !tags.iter().take(*at).any(|before| before == *tag)).map(|(_, tag)| tag)
}
