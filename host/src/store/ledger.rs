//! What calls have cost: a batch of them is written in one transaction, once.

use std::collections::BTreeMap;
use std::time::SystemTime;

use sqlx::{AnyConnection, Row};

use super::rows::{Value, statements, without_nul};
use super::scope::{self, millis};
use super::{Batch, DailyOf, Database, StoreError, Sums, TagOf, Total};
use crate::money::Money;
use crate::usage::{CallRecord, Outcome};

/// What both tables of days add up.
macro_rules! add_up {
    ($table:literal, $unique:literal) => {
        concat!(
            "ON CONFLICT (",
            $unique,
            ") DO UPDATE SET ",
            "calls = ",
            $table,
            ".calls + excluded.calls, failed = ",
            $table,
            ".failed + excluded.failed, ",
            "unpriced = ",
            $table,
            ".unpriced + excluded.unpriced, ",
            "prompt_tokens = ",
            $table,
            ".prompt_tokens + excluded.prompt_tokens, ",
            "completion_tokens = ",
            $table,
            ".completion_tokens + excluded.completion_tokens, ",
            "cache_read_tokens = ",
            $table,
            ".cache_read_tokens + excluded.cache_read_tokens, ",
            "cache_write_tokens = ",
            $table,
            ".cache_write_tokens + excluded.cache_write_tokens, ",
            "reasoning_tokens = ",
            $table,
            ".reasoning_tokens + excluded.reasoning_tokens, ",
            "spent = ",
            $table,
            ".spent + excluded.spent"
        )
    };
}

impl Database {
    /// Rows of all tables are written in the order of their keys, so that two gateways never wait for each other.
    pub(super) async fn write_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut transaction = self.pool().begin().await?;
        let note = "INSERT INTO batches (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        let note = sqlx::query(note).bind(batch.id.clone()).bind(millis(SystemTime::now()));
        if note.execute(&mut *transaction).await?.rows_affected() == 0 {
            // It came before, and only the answer was lost.
            return Ok(transaction.rollback().await?);
        }
        write_totals(&mut transaction, batch).await?;
        write_daily(&mut transaction, batch).await?;
        write_tags(&mut transaction, batch).await?;
        write_calls(&mut transaction, batch).await?;
        Ok(transaction.commit().await?)
    }

    pub(super) async fn read_totals(&self) -> Result<Vec<Total>, StoreError> {
        let rows = sqlx::query("SELECT scope, model, since, spent FROM totals").fetch_all(self.pool()).await?;
        let total = |row: &sqlx::any::AnyRow| {
            Ok(Total {
                scope: scope::parse(row.try_get(0)?, row.try_get(1)?)?,
                since: scope::parse_since(row.try_get(2)?),
                spent: Money::from_pico(row.try_get(3)?),
            })
        };
        rows.iter().map(total).collect()
    }
}

async fn write_totals(connection: &mut AnyConnection, batch: &Batch) -> Result<(), StoreError> {
    // By what the columns will hold: no row twice in a statement.
    let mut sums = BTreeMap::<_, Money>::new();
    for ((of, since), spent) in &batch.totals {
        let (whole, model) = scope::columns(of);
        let row = (without_nul(whole), without_nul(model.to_owned()), scope::since(*since));
        let sum = sums.entry(row).or_default();
        *sum = sum.saturating_add(*spent);
    }
    let row = |((whole, model, since), spent): ((String, String, i64), Money)| {
        [whole.into(), model.into(), since.into(), spent.pico().into()]
    };
    write(
        connection,
        "INSERT INTO totals (scope, model, since, spent)",
        sums.into_iter().map(row).collect(),
        "ON CONFLICT (scope, model, since) DO UPDATE SET spent = totals.spent + excluded.spent",
    )
    .await
}

async fn write_daily(connection: &mut AnyConnection, batch: &Batch) -> Result<(), StoreError> {
    let row = |(of, sums): (&DailyOf, &Sums)| {
        let [calls, failed, unpriced, prompt, completion, read, written, reasoning, spent] = sums_row(sums);
        [
            of.day.as_str().into(),
            of.key_hash.as_str().into(),
            of.user_id.as_str().into(),
            of.team_id.as_str().into(),
            of.model_group.as_str().into(),
            of.model.as_str().into(),
            of.provider.as_str().into(),
            calls,
            failed,
            unpriced,
            prompt,
            completion,
            read,
            written,
            reasoning,
            spent,
        ]
    };
    write(
        connection,
        "INSERT INTO daily (day, key_hash, user_id, team_id, model_group, model, provider, calls, failed, unpriced, \
         prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, spent)",
        batch.daily.iter().map(row).collect(),
        add_up!("daily", "day, key_hash, user_id, team_id, model_group, model, provider"),
    )
    .await
}

async fn write_tags(connection: &mut AnyConnection, batch: &Batch) -> Result<(), StoreError> {
    let row = |(of, sums): (&TagOf, &Sums)| {
        let [calls, failed, unpriced, prompt, completion, read, written, reasoning, spent] = sums_row(sums);
        [
            of.day.as_str().into(),
            of.tag.as_str().into(),
            of.key_hash.as_str().into(),
            of.model_group.as_str().into(),
            of.model.as_str().into(),
            of.provider.as_str().into(),
            calls,
            failed,
            unpriced,
            prompt,
            completion,
            read,
            written,
            reasoning,
            spent,
        ]
    };
    write(
        connection,
        "INSERT INTO daily_tags (day, tag, key_hash, model_group, model, provider, calls, failed, unpriced, \
         prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, spent)",
        batch.tags.iter().map(row).collect(),
        add_up!("daily_tags", "day, tag, key_hash, model_group, model, provider"),
    )
    .await
}

async fn write_calls(connection: &mut AnyConnection, batch: &Batch) -> Result<(), StoreError> {
    write(
        connection,
        "INSERT INTO calls (id, started, duration, first_byte, upstream, status, outcome, operation, streaming, \
         key_hash, key_alias, user_id, team_id, organization_id, end_user, model_group, fallback, deployment, provider, \
         model, prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, estimated, \
         spent, spent_input, spent_output, retries, fallbacks, kind, error, tags, session_id, client_ip, request, \
         response)",
        batch.calls.iter().map(|call| call_row(call, batch.bodies)).collect(),
        "ON CONFLICT (id) DO NOTHING",
    )
    .await
}

async fn write<const N: usize>(
    connection: &mut AnyConnection,
    into: &'static str,
    rows: Vec<[Value; N]>,
    then: &'static str,
) -> Result<(), StoreError> {
    for statement in statements(into, rows, then) {
        statement.execute(&mut *connection).await?;
    }
    Ok(())
}

fn sums_row(sums: &Sums) -> [Value; 9] {
    [
        sums.calls,
        sums.failed,
        sums.unpriced,
        sums.prompt_tokens,
        sums.completion_tokens,
        sums.cache_read_tokens,
        sums.cache_write_tokens,
        sums.reasoning_tokens,
        sums.spent.pico(),
    ]
    .map(Value::from)
}

fn call_row(call: &CallRecord, bodies: bool) -> [Value; 38] {
    let key = call.caller.as_ref().map(|caller| &caller.key);
    let text = |text: Option<&String>| Value::from(text.map_or("", String::as_str));
    let served_by = call.served_by.as_ref();
    let tokens = |of: fn(&crate::usage::Usage) -> u64| Value::from(call.usage.as_ref().map(|usage| number(of(usage))));
    let cost = |of: fn(&crate::prices::Cost) -> Money| Value::from(call.cost.as_ref().map(|cost| of(cost).pico()));
    let body = |of: fn(&crate::usage::Messages) -> &bytes::Bytes| {
        Value::from(
            call.messages
                .as_ref()
                .filter(|_| bodies)
                .map(|messages| String::from_utf8_lossy(of(messages)).into_owned()),
        )
    };
    [
        call.call_id.as_str().into(),
        millis(call.started).into(),
        milliseconds(call.duration).into(),
        call.first_byte.map(milliseconds).into(),
        milliseconds(call.upstream).into(),
        i64::from(call.status).into(),
        outcome(call.outcome).into(),
        call.operation.path().into(),
        call.streaming.into(),
        key.map(|key| key.hash.to_string()).unwrap_or_default().into(),
        text(key.and_then(|key| key.alias.as_ref())),
        text(key.and_then(|key| key.user_id.as_ref())),
        text(key.and_then(|key| key.team_id.as_ref())),
        text(key.and_then(|key| key.organization_id.as_ref())),
        text(call.end_user.as_ref()),
        text(call.model.as_ref()),
        text(call.fallback.as_ref()),
        text(served_by.map(|by| &by.deployment)),
        text(served_by.map(|by| &by.provider)),
        text(served_by.map(|by| &by.model)),
        tokens(|usage| usage.prompt_tokens),
        tokens(|usage| usage.completion_tokens),
        tokens(|usage| usage.cache_read_tokens),
        tokens(|usage| usage.cache_write_tokens),
        tokens(|usage| usage.reasoning_tokens),
        call.is_estimated.into(),
        cost(|cost| cost.total),
        cost(|cost| cost.input),
        cost(|cost| cost.output),
        i64::from(call.retries).into(),
        i64::from(call.fallbacks).into(),
        call.kind.unwrap_or_default().into(),
        text(call.error.as_ref()),
        serde_json::to_string(&call.tags).unwrap_or_default().into(),
        text(call.session_id.as_ref()),
        call.client_ip.map(|ip| ip.to_string()).unwrap_or_default().into(),
        body(|messages| &messages.request),
        body(|messages| &messages.response),
    ]
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "success",
        Outcome::Failed => "failure",
        Outcome::Open => "client_gone",
    }
}

fn milliseconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn number(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}
