//! What calls with the same labels come to: everything that is counted of them, found once a call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::histogram::Histogram;
use super::labels::Labels;
use crate::usage::{CallRecord, Outcome};

/// Of calls with the same labels.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) succeeded: AtomicU64,
    /// Those that were served by a fallback.
    pub(super) rescued: AtomicU64,
    /// Those that no fallback could serve.
    pub(super) lost: AtomicU64,
    /// Those that had an answer whose price nobody knows.
    pub(super) unpriced: AtomicU64,
    pub(super) spent_pico: AtomicU64,
    pub(super) input: AtomicU64,
    pub(super) output: AtomicU64,
    pub(super) cache_read: AtomicU64,
    pub(super) cache_write: AtomicU64,
    pub(super) reasoning: AtomicU64,
    pub(super) total_time: Histogram,
    pub(super) upstream_time: Histogram,
    pub(super) first_token: Histogram,
    pub(super) overhead: Histogram,
    pub(super) per_token: Histogram,
    pub(super) between_tokens: Histogram,
    /// Locked by calls that failed, and when metrics are read.
    failures: Mutex<Vec<Failure>>,
}

/// Calls that failed in one way.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) class: &'static str,
    pub(super) count: u64,
    /// Of those, how many had asked a provider.
    pub(super) of_providers: u64,
}

// === impl Series ===

impl Series {
    pub(super) fn new(labels: Labels) -> Self {
        Self {
            labels,
            succeeded: AtomicU64::default(),
            rescued: AtomicU64::default(),
            lost: AtomicU64::default(),
            unpriced: AtomicU64::default(),
            spent_pico: AtomicU64::default(),
            input: AtomicU64::default(),
            output: AtomicU64::default(),
            cache_read: AtomicU64::default(),
            cache_write: AtomicU64::default(),
            reasoning: AtomicU64::default(),
            total_time: Histogram::of_calls(),
            upstream_time: Histogram::of_calls(),
            first_token: Histogram::of_calls(),
            overhead: Histogram::of_moments(),
            per_token: Histogram::of_moments(),
            between_tokens: Histogram::of_moments(),
            failures: Mutex::default(),
        }
    }

    pub(super) fn count(&self, call: &CallRecord) {
        self.count_usage(call);
        if call.outcome == Outcome::Complete && call.status < 400 {
            self.count_success(call);
            return;
        }
        if call.fallbacks > 0 {
            add(&self.lost, 1);
        }
        // What a client that left has seen until then is no answer.
        let status = if call.outcome == Outcome::Open { 499 } else { call.status };
        let class = call.kind.unwrap_or_else(|| class(status));
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let of_providers = u64::from(call.served_by.is_some());
        match failures.iter_mut().find(|known| (known.status, known.class) == (status, class)) {
            Some(known) => {
                known.count += 1;
                known.of_providers += of_providers;
            }
            None => failures.push(Failure { status, class, count: 1, of_providers }),
        }
    }

    /// What was used is paid for, also of a call that failed.
    fn count_usage(&self, call: &CallRecord) {
        if let Some(usage) = &call.usage {
            add(&self.input, usage.prompt_tokens);
            add(&self.output, usage.completion_tokens);
            add(&self.cache_read, usage.cache_read_tokens);
            add(&self.cache_write, usage.cache_write_tokens);
            add(&self.reasoning, usage.reasoning_tokens);
            if call.cost.is_none() && usage.prompt_tokens + usage.completion_tokens > 0 {
                add(&self.unpriced, 1);
            }
        }
        if let Some(cost) = &call.cost {
            add(&self.spent_pico, u64::try_from(cost.total.pico()).unwrap_or_default());
        }
    }

    fn count_success(&self, call: &CallRecord) {
        add(&self.succeeded, 1);
        if call.fallback.is_some() {
            add(&self.rescued, 1);
        }
        self.total_time.observe(call.duration);
        self.upstream_time.observe(call.upstream);
        if let Some(overhead) = call.overhead {
            self.overhead.observe(overhead);
        }
        let first = call.first_byte.filter(|_| call.streaming);
        if let Some(first) = first {
            self.first_token.observe(first);
        }
        let tokens = call.usage.map_or(0, |usage| u32::try_from(usage.completion_tokens).unwrap_or(u32::MAX));
        if tokens > 0 {
            // LiteLLM's arithmetic: of a stream it is the time to the first token that is divided.
            self.per_token.observe(first.unwrap_or(call.duration) / tokens);
        }
        if let (Some(first), true) = (first, tokens > 1) {
            self.between_tokens.observe(call.duration.saturating_sub(first) / (tokens - 1));
        }
    }

    pub(super) fn failures(&self) -> Vec<Failure> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    if amount > 0 {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

/// LiteLLM's class of error for a status, without the provider in front.
pub(in crate::telemetry) fn class(status: u16) -> &'static str {
    match status {
        400 | 413 | 415 => "BadRequestError",
        401 => "AuthenticationError",
        403 => "PermissionDeniedError",
        404 => "NotFoundError",
        408 | 504 => "Timeout",
        422 => "BudgetExceededError",
        429 => "RateLimitError",
        499 => "ClientDisconnected",
        500 => "InternalServerError",
        502 => "BadGatewayError",
        503 => "ServiceUnavailableError",
        _ => "APIError",
    }
}
