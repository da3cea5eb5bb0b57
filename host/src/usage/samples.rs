//! A call that is over, for tests of those who are told of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{CallRecord, Outcome, ServedBy, Usage};
use crate::keys::{Caller, Key, KeyHash, Team, User};
use crate::money::Money;
use crate::plugin::Operation;
use crate::prices::Cost;

/// A stream of 11 tokens, well answered by OpenAI.
pub(crate) fn call() -> CallRecord {
    CallRecord {
        call_id: "01234567-89ab-4def-8123-456789abcdef".to_owned(),
        operation: Operation::ChatCompletions,
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        duration: Duration::from_millis(2_500),
        first_byte: Some(Duration::from_millis(500)),
        upstream: Duration::from_millis(2_400),
        overhead: Some(Duration::from_micros(700)),
        status: 200,
        outcome: Outcome::Complete,
        streaming: true,
        model: Some("smart".to_owned()),
        model_group: Some("smart".to_owned()),
        fallback: None,
        served_by: Some(ServedBy {
            deployment: "d1".to_owned(),
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
        }),
        caller: Some(caller(1)),
        charged: Default::default(),
        end_user: Some("eve".to_owned()),
        tags: vec!["a".to_owned()],
        session_id: Some("s1".to_owned()),
        client_ip: None,
        usage: Some(Usage {
            prompt_tokens: 100,
            completion_tokens: 11,
            cache_read_tokens: 40,
            cache_write_tokens: 0,
            reasoning_tokens: 3,
            ..Usage::default()
        }),
        is_estimated: false,
        cost: Some(Cost {
            total: Money::from_pico(1_500_000_000),
            input: Money::from_pico(1_000_000_000),
            output: Money::from_pico(500_000_000),
            ..Cost::default()
        }),
        retries: 0,
        fallbacks: 0,
        failed: Vec::new(),
        attempts: Vec::new(),
        kind: None,
        error: None,
        no_log: false,
        trace: None,
        messages: None,
    }
}

/// The holder of one of many keys.
pub(crate) fn caller(number: u32) -> Arc<Caller> {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    Arc::new(Caller {
        key: Key {
            hash: KeyHash(hash),
            name: "sk-...abcd".to_owned(),
            alias: Some(format!("app-{number}")),
            user_id: Some("u1".to_owned()),
            team_id: Some("t1".to_owned()),
            ..Key::default()
        },
        user: Some(Arc::new(User { id: "u1".to_owned(), email: Some("u@example.com".to_owned()), ..User::default() })),
        team: Some(Arc::new(Team { id: "t1".to_owned(), alias: Some("crew".to_owned()), ..Team::default() })),
        scopes: Vec::new(),
        tab: crate::limits::Tab::default(),
    })
}
