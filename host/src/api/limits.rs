//! Limits in answers: why a call isn't let in, in LiteLLM's words and with OpenAI's headers, and how the limits of one that
//! was let in stand.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::Date;
use crate::keys::Caller;
use crate::limits::{Rate, Refused, Scope};
use crate::money::Money;
use crate::usage::Entry;

/// The headers about one rate.
struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const REQUESTS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};
const TOKENS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};
/// LiteLLM's: which limit it was, and when there is room again.
const KIND: HeaderName = HeaderName::from_static("rate_limit_type");
const RESET_AT: HeaderName = HeaderName::from_static("reset_at");
/// OpenAI's SDKs don't try again where it says so.
/// OpenAI's clients heed no longer `retry-after`: https://github.com/openai/openai-python (`_calculate_retry_timeout`).
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

const KEY_TOKENS: HeaderName = HeaderName::from_static("x-litellm-key-tpm-limit");
const KEY_REQUESTS: HeaderName = HeaderName::from_static("x-litellm-key-rpm-limit");
const KEY_BUDGET: HeaderName = HeaderName::from_static("x-litellm-key-max-budget");
const KEY_SPEND: HeaderName = HeaderName::from_static("x-litellm-key-spend");

/// What a client is told of a call that isn't let in.
pub(super) struct Told {
    pub(super) status: u16,
    /// `type` and `code` of the error.
    pub(super) kind: Option<&'static str>,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) headers: HeaderMap,
}

impl Told {
    /// Of a refusal at `now`.
    pub(super) fn of(refused: &Refused, now: SystemTime) -> Self {
        match refused {
            Refused::Budget { status, .. } => Self {
                status: *status,
                kind: Some("budget_exceeded"),
                code: "budget_exceeded",
                message: budget_message(refused),
                headers: budget_headers(refused, now),
            },
            Refused::Rate { what, .. } => Self {
                status: 429,
                kind: is_too_large(refused).then_some("tokens").or(match what {
                    Rate::Requests => Some("requests"),
                    Rate::Tokens => Some("tokens"),
                    Rate::Parallel => None,
                }),
                code: "rate_limit_exceeded",
                message: rate_message(refused, now),
                headers: rate_headers(refused, now),
            },
            Refused::Unknown => Self {
                status: 503,
                kind: None,
                code: "limits_unavailable",
                message: "The limits of this key can't be checked at the moment. Try again.".to_owned(),
                headers: HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("1"))]),
            },
        }
    }
}

/// A request that no waiting helps.
fn is_too_large(refused: &Refused) -> bool {
    matches!(refused, Refused::Rate { what: Rate::Tokens, limit, wanted, .. } if wanted > limit)
}

fn budget_message(refused: &Refused) -> String {
    let Refused::Budget { scope, whose, spent, max, .. } = refused else { return String::new() };
    let whose = match scope {
        Scope::Gateway => String::new(),
        Scope::Key(_) => format!(" Key={whose}"),
        Scope::User(_) => format!(" User={whose}"),
        Scope::Team(_) => format!(" Team={whose}"),
        Scope::Model(_, model) => format!(" Model={model}, {}={whose}", owner(scope)),
        Scope::Deployment(id) => format!(" Deployment={id}"),
        Scope::Provider(name) => format!(" Provider={name}"),
    };
    format!("Budget has been exceeded!{whose} Current cost: {spent}, Max budget: {max}")
}

fn owner(scope: &Scope) -> &'static str {
    match scope {
        Scope::Model(owner, _) => self::owner(owner),
        Scope::User(_) => "User",
        Scope::Team(_) => "Team",
        _ => "Key",
    }
}

fn budget_headers(refused: &Refused, now: SystemTime) -> HeaderMap {
    let Refused::Budget { resets_in, .. } = refused else { return HeaderMap::new() };
    let mut headers = HeaderMap::new();
    if let Some(wait) = resets_in {
        tell_when(&mut headers, *wait, now);
    }
    // Clients wait for seconds; a period of a budget is over in days.
    if resets_in.is_none_or(|wait| wait > LONGEST_WAIT) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    headers
}

fn rate_message(refused: &Refused, now: SystemTime) -> String {
    let Refused::Rate { scope, whose, model, what, limit, remaining, wanted, retry_after } = refused else {
        return String::new();
    };
    if is_too_large(refused) {
        return format!(
            "Request too large for {model} on tokens per min (TPM) of {scope} {whose}: Limit {limit}, Requested {wanted}. \
             The input or output tokens must be reduced in order to run successfully."
        );
    }
    let resets = match (what, retry_after) {
        (Rate::Parallel, _) => " Try again when one of its calls has ended.".to_owned(),
        (_, Some(wait)) => format!(" Limit resets at: {}", moment(now + *wait)),
        (_, None) => String::new(),
    };
    format!(
        "Rate limit exceeded for {scope}: {whose}. Limit type: {what}. Current limit: {limit}, Remaining: {remaining}.{resets}"
    )
}

fn rate_headers(refused: &Refused, now: SystemTime) -> HeaderMap {
    let Refused::Rate { what, limit, remaining, retry_after, .. } = refused else { return HeaderMap::new() };
    let mut headers = HeaderMap::new();
    headers.insert(
        KIND,
        HeaderValue::from_static(match what {
            Rate::Requests => "requests",
            Rate::Tokens => "tokens",
            Rate::Parallel => "max_parallel_requests",
        }),
    );
    if let Some(names) = names(*what) {
        insert(&mut headers, names, *limit, *remaining, retry_after.unwrap_or_default());
    }
    match retry_after {
        // Full seconds and the rest of one are 61, at most.
        Some(wait) => tell_when(&mut headers, (*wait).min(LONGEST_WAIT), now),
        None => _ = headers.insert(SHOULD_RETRY, HeaderValue::from_static("false")),
    }
    headers
}

fn tell_when(headers: &mut HeaderMap, wait: Duration, now: SystemTime) {
    // Whole seconds, rounded up: coming back too early is refused again.
    let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
    headers.insert(header::RETRY_AFTER, seconds.into());
    if let Ok(moment) = HeaderValue::from_str(&moment(now + wait)) {
        headers.insert(RESET_AT, moment);
    }
}

/// Tells how the caller's limits stand, in place of what the provider says of the gateway's.
pub(super) fn tell(headers: &mut HeaderMap, entry: &Entry) {
    let Some(call) = &entry.call else { return };
    if let Some(hold) = &call.hold {
        for (rate, names) in [(Rate::Requests, REQUESTS), (Rate::Tokens, TOKENS)] {
            let left = |limit: u64, used: i64| limit.saturating_sub(u64::try_from(used).unwrap_or_default());
            let of_it = hold.rates().filter(|(what, ..)| *what == rate);
            let tightest = of_it.min_by_key(|(_, limit, standing)| (left(*limit, standing.used), *limit));
            if let Some((_, limit, standing)) = tightest {
                insert(headers, names, limit, left(limit, standing.used), standing.resets_in);
            }
        }
    }
    if let Some(caller) = &call.caller {
        let cost = call.cost.as_ref().map_or(Money::ZERO, |cost| cost.total);
        tell_key(headers, caller, &call.accounts.limiter.key_spend(caller, call.started).saturating_add(cost));
    }
}

/// The key's limits, and what it has spent, this call included as far as its cost is known.
fn tell_key(headers: &mut HeaderMap, caller: &Arc<Caller>, spent: &Money) {
    let quota = &caller.key.quota;
    if let Some(tokens) = quota.rates.tokens {
        headers.insert(KEY_TOKENS, tokens.into());
    }
    if let Some(requests) = quota.rates.requests {
        headers.insert(KEY_REQUESTS, requests.into());
    }
    let mut money = |name, money: &Money| {
        if let Ok(value) = HeaderValue::from_str(&money.to_string()) {
            headers.insert(name, value);
        }
    };
    if let Some(budget) = &quota.budget {
        money(KEY_BUDGET, &budget.max);
    }
    money(KEY_SPEND, spent);
}

fn names(rate: Rate) -> Option<Names> {
    match rate {
        Rate::Requests => Some(REQUESTS),
        Rate::Tokens => Some(TOKENS),
        Rate::Parallel => None,
    }
}

fn insert(headers: &mut HeaderMap, names: Names, limit: u64, remaining: u64, resets_in: Duration) {
    headers.insert(names.limit, limit.into());
    headers.insert(names.remaining, remaining.into());
    if let Ok(reset) = HeaderValue::from_str(&span(resets_in)) {
        headers.insert(names.reset, reset);
    }
}

/// `20ms`, `1s`, `6m0s`: as OpenAI writes it.
fn span(span: Duration) -> String {
    let ms = span.as_nanos().div_ceil(1_000_000);
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let seconds = ms.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

/// `2026-11-23 14:00:00 UTC`, the next whole second.
fn moment(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() + u64::from(since.subsec_nanos() > 0);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", Date::from_unix_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn rate(what: Rate, limit: u64, wanted: u64, retry_after: Option<Duration>) -> Refused {
        let (scope, whose) = (Scope::Key("0123".into()), "sk-...abcd".into());
        Refused::Rate { scope, whose, model: "gpt".to_owned(), what, limit, remaining: 0, wanted, retry_after }
    }

    fn header<'a>(told: &'a Told, name: &str) -> &'a str {
        told.headers.get(name).map_or("", |value| value.to_str().unwrap_or_default())
    }

    #[test]
    fn a_limit_that_is_used_up_is_told_as_litellm_and_openai_tell_it() {
        let told = Told::of(&rate(Rate::Requests, 5, 1, Some(Duration::from_millis(12_300))), NOW);
        assert_eq!(told.status, 429);
        assert_eq!(
            told.message,
            "Rate limit exceeded for api_key: sk-...abcd. Limit type: requests. Current limit: 5, Remaining: 0. \
             Limit resets at: 1970-01-01 00:00:13 UTC"
        );
        for (name, value) in [
            ("retry-after", "13"),
            ("rate_limit_type", "requests"),
            ("reset_at", "1970-01-01 00:00:13 UTC"),
            ("x-ratelimit-limit-requests", "5"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "13s"),
            ("x-ratelimit-limit-tokens", ""),
            ("x-should-retry", ""),
        ] {
            assert_eq!(header(&told, name), value, "{name}");
        }
    }

    #[test]
    fn a_request_beyond_the_whole_limit_is_not_told_to_come_again() {
        let told = Told::of(&rate(Rate::Tokens, 1000, 5000, None), NOW);
        assert!(told.message.starts_with("Request too large for gpt on tokens per min (TPM)"), "{}", told.message);
        assert!(told.message.contains("Limit 1000, Requested 5000."), "{}", told.message);
        assert_eq!((told.status, header(&told, "retry-after"), header(&told, "x-should-retry")), (429, "", "false"));
    }

    #[test]
    fn no_wait_is_longer_than_clients_heed() {
        let told = Told::of(&rate(Rate::Requests, 5, 1, Some(Duration::from_millis(60_400))), NOW);
        assert_eq!(header(&told, "retry-after"), "60");
    }

    #[test]
    fn a_budget_that_is_spent_is_told_with_the_operators_status() {
        let budget = |resets_in| Refused::Budget {
            scope: Scope::Team("t".into()),
            whose: "core".into(),
            spent: Money::from_pico(10_500_000_000),
            max: Money::from_pico(10_000_000_000),
            resets_in,
            status: 422,
        };
        let told = Told::of(&budget(None), NOW);
        assert_eq!((told.status, told.code), (422, "budget_exceeded"));
        assert_eq!(told.message, "Budget has been exceeded! Team=core Current cost: 0.0105, Max budget: 0.01");
        assert_eq!((header(&told, "retry-after"), header(&told, "x-should-retry")), ("", "false"));
        for (seconds, should_retry) in [(60, ""), (61, "false")] {
            let told = Told::of(&budget(Some(Duration::from_secs(seconds))), NOW);
            assert_eq!(header(&told, "retry-after"), seconds.to_string());
            assert_eq!(header(&told, "x-should-retry"), should_retry, "{seconds}");
        }
    }

    #[test]
    fn a_time_is_written_as_openai_writes_it() {
        for (ms, text) in
            [(0, "0ms"), (17, "17ms"), (1000, "1s"), (59_001, "1m0s"), (360_000, "6m0s"), (3_661_000, "1h1m1s")]
        {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }
}
