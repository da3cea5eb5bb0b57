//! The writer before a database that fails, stalls and refuses. Time jumps to what is waited for.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use proptest::prelude::*;

use super::{Status, Writer};
use crate::config::StoreSettings;
use crate::limits::{Limiter, Scope};
use crate::money::Money;
use crate::prices::Cost;
use crate::store::{Batch, Changes, Edit, Snapshot, Store, StoreError, Total};
use crate::usage::{CallRecord, Outcome, ServedBy, Sink, Usage, samples};

/// How a batch fares.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Taken,
    /// It isn't written, and says so.
    Away,
    /// It is written, and the answer is lost.
    Unanswered,
    /// It is not liked with rows.
    RowsRefused,
    Refused,
    Slow(u64),
}

/// A database in memory that counts a batch once, as the real one does.
#[derive(Debug, Default)]
struct Fake {
    fates: Mutex<VecDeque<Fate>>,
    seen: Mutex<HashSet<String>>,
    rows: Mutex<Vec<String>>,
    calls: Mutex<i64>,
    totals: Mutex<BTreeMap<(Scope, Option<SystemTime>), Money>>,
    sent: Mutex<Vec<usize>>,
    /// A batch with a call of this model is refused.
    hates: Option<&'static str>,
}

impl Fake {
    fn with(fates: impl IntoIterator<Item = Fate>) -> Arc<Self> {
        Arc::new(Self { fates: Mutex::new(fates.into_iter().collect()), ..Self::default() })
    }

    fn take(&self, batch: &Batch) {
        if !self.seen.lock().unwrap().insert(batch.id.clone()) {
            return;
        }
        self.rows.lock().unwrap().extend(batch.calls.iter().map(|call| call.call_id.clone()));
        *self.calls.lock().unwrap() += batch.daily.values().map(|sums| sums.calls).sum::<i64>();
        let mut totals = self.totals.lock().unwrap();
        for (of, spent) in &batch.totals {
            let total = totals.entry(of.clone()).or_default();
            *total = total.saturating_add(*spent);
        }
    }

    fn spent(&self) -> Money {
        self.totals.lock().unwrap().values().copied().sum()
    }
}

impl Store for Fake {
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async { Ok(Snapshot::default()) })
    }

    fn changes_since(&self, _: i64) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(async { Ok(Changes::default()) })
    }

    fn write<'a>(&'a self, _: &'a [Edit]) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(async { Ok(0) })
    }

    fn totals(&self) -> BoxFuture<'_, Result<Vec<Total>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn record<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.sent.lock().unwrap().push(batch.calls.len());
            if batch.daily.keys().any(|of| self.hates == Some(&*of.model_group)) {
                return Err(StoreError::Refused("no".to_owned()));
            }
            let away = || Err(StoreError::Unavailable("away".to_owned()));
            let refused = || Err(StoreError::Refused("no".to_owned()));
            let fate = self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Taken);
            match fate {
                Fate::Away => return away(),
                Fate::Unanswered => {
                    self.take(batch);
                    return away();
                }
                Fate::RowsRefused if !batch.calls.is_empty() => return refused(),
                Fate::Refused => return refused(),
                Fate::Slow(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                Fate::RowsRefused | Fate::Taken => {}
            }
            self.take(batch);
            Ok(())
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

fn settings() -> StoreSettings {
    crate::config::testing::config("{}").store
}

fn writer(store: &Arc<Fake>, settings: &StoreSettings) -> Arc<Writer> {
    Writer::start(store.clone(), Arc::new(Limiter::default()), settings, Duration::from_secs(3600))
}

fn call(number: usize) -> CallRecord {
    CallRecord { call_id: format!("call-{number}"), ..example() }
}

/// A call that went well.
pub fn example() -> CallRecord {
    let cost = Money::from_pico(3);
    CallRecord {
        call_id: "call".to_owned(),
        duration: Duration::from_millis(5),
        streaming: false,
        model: Some("m".to_owned()),
        model_group: Some("m".to_owned()),
        served_by: Some(ServedBy { deployment: "d".into(), provider: "echo".into(), model: "x".into() }),
        caller: None,
        tags: vec!["a".to_owned(), "a".to_owned()],
        usage: Some(Usage { prompt_tokens: 2, completion_tokens: 1, ..Usage::default() }),
        cost: Some(Cost { total: cost, ..Cost::default() }),
        charged: [(Scope::Gateway, None)].into_iter().collect(),
        ..samples::call()
    }
}

fn put(writer: &Writer, numbers: std::ops::Range<usize>) {
    for number in numbers {
        writer.record(&Arc::new(call(number)));
    }
}

async fn settled(writer: &Writer) -> Status {
    loop {
        let status = writer.status();
        if status.queued == 0 {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_written_together_and_within_half_a_second() {
    let store = Fake::with([]);
    let writer = writer(&store, &settings());
    let begun = tokio::time::Instant::now();
    put(&writer, 0..3);
    let status = settled(&writer).await;

    assert!(begun.elapsed() <= Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(*store.sent.lock().unwrap(), [3]);
    assert_eq!(store.rows.lock().unwrap().len(), 3);
    assert_eq!((status.written, status.dropped, status.lost), (3, 0, 0));

    put(&writer, 0..1200);
    settled(&writer).await;
    assert!(store.sent.lock().unwrap().iter().all(|calls| *calls <= 500));
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_answer_was_lost_is_sent_again_and_counts_once() {
    let store = Fake::with([Fate::Away, Fate::Unanswered, Fate::Away, Fate::Slow(10)]);
    let writer = writer(&store, &settings());
    put(&writer, 0..2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let during = writer.status();
    assert!(during.failing_since.is_some() && during.last_error.unwrap().contains("away"));
    let status = settled(&writer).await;

    assert_eq!((store.spent(), *store.calls.lock().unwrap()), (Money::from_pico(6), 2));
    assert_eq!((status.written, status.failing_since, status.last_error), (2, None, None));
}

#[tokio::test(start_paused = true)]
async fn while_the_database_is_away_memory_is_bounded_and_the_sums_stay_right() {
    let store = Fake::with([Fate::Away; 20]);
    let writer = writer(&store, &settings());
    put(&writer, 0..25_000);
    let during = writer.status();
    assert!(during.queued <= 10_500 && during.dropped >= 14_000, "{during:?}");
    let status = settled(&writer).await;
    // What overflowed after the last row was taken waits for the next call.
    put(&writer, 0..1);
    writer.close().await;

    assert_eq!(*store.calls.lock().unwrap(), 25_001, "the sums of the day");
    assert_eq!(store.spent(), Money::from_pico(3 * 25_001));
    let rows = u64::try_from(store.rows.lock().unwrap().len()).unwrap();
    assert_eq!((rows + status.dropped, status.lost), (25_001, 0), "what has no row is told");
}

#[tokio::test(start_paused = true)]
async fn rows_that_the_database_refuses_are_given_up_and_hold_nobody_up() {
    let store = Fake::with([Fate::RowsRefused; 6]);
    let writer = writer(&store, &settings());
    put(&writer, 0..2);
    let status = settled(&writer).await;
    assert_eq!((store.rows.lock().unwrap().len(), store.spent()), (0, Money::from_pico(6)));
    assert_eq!((status.written, status.dropped, status.lost), (2, 2, 0));

    store.fates.lock().unwrap().extend([Fate::Refused; 6]);
    put(&writer, 0..1);
    settled(&writer).await;
    put(&writer, 5..6);
    let status = settled(&writer).await;
    assert_eq!(*store.rows.lock().unwrap(), ["call-5"]);
    assert_eq!(status.lost, 1);
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_that_the_database_refuses_only_the_call_is_lost_that_it_refuses() {
    let store = Arc::new(Fake { hates: Some("bad"), ..Fake::default() });
    let writer = writer(&store, &settings());
    let bad = || Arc::new(CallRecord { model_group: Some("bad".to_owned()), ..call(1_000) });
    put(&writer, 0..123);
    writer.record(&bad());
    put(&writer, 123..499);
    let begun = tokio::time::Instant::now();
    let status = settled(&writer).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((status.written, status.dropped, status.lost), (499, 1, 1));
    assert_eq!((store.rows.lock().unwrap().len(), store.spent()), (499, Money::from_pico(3 * 499)));
    assert_eq!(*store.calls.lock().unwrap(), 499, "each counts once");

    // Of what had no place in the queue, only the sum that it refuses.
    put(&writer, 0..20_000);
    writer.record(&bad());
    settled(&writer).await;
    put(&writer, 0..1);
    writer.close().await;
    assert_eq!((*store.calls.lock().unwrap(), writer.status().lost), (499 + 20_001, 2));
    assert_eq!(store.spent(), Money::from_pico(3 * (499 + 20_002)), "what counts against budgets is none of its model");
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_the_last_batch_but_not_for_ever() {
    let store = Fake::with([]);
    let open = writer(&store, &settings());
    put(&open, 0..1000);
    open.close().await;
    assert_eq!(store.rows.lock().unwrap().len(), 1000);

    let store = Fake::with([Fate::Slow(3600); 3]);
    let open = writer(&store, &settings());
    put(&open, 0..7);
    let begun = tokio::time::Instant::now();
    open.close().await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!(open.status().lost, 7);
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_does_not_want_is_not_written() {
    let failed = || Arc::new(CallRecord { outcome: Outcome::Failed, cost: None, ..call(9) });
    for (kept, rows, calls, spent) in [
        (StoreSettings { rows: false, ..settings() }, 0, 2, 3),
        (StoreSettings { error_rows: false, ..settings() }, 1, 2, 3),
        (StoreSettings { sums: false, ..settings() }, 2, 0, 0),
    ] {
        let store = Fake::with([]);
        let writer = writer(&store, &kept);
        put(&writer, 0..1);
        writer.record(&failed());
        writer.close().await;
        assert_eq!(store.rows.lock().unwrap().len(), rows);
        assert_eq!((*store.calls.lock().unwrap(), store.spent()), (calls, Money::from_pico(spent)));
    }
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate =
        prop_oneof![Just(Fate::Taken), Just(Fate::Away), Just(Fate::Unanswered), (0u64..20).prop_map(Fate::Slow)];
    prop::collection::vec(fate, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_database_does_every_call_is_counted_once(fates in fates(), groups in prop::collection::vec(1usize..700, 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (rows, calls, spent, put_in) = runtime.block_on(async {
            let store = Fake::with(fates);
            let writer = writer(&store, &settings());
            let mut number = 0;
            for calls in groups {
                put(&writer, number..number + calls);
                number += calls;
                tokio::time::sleep(Duration::from_millis(350)).await;
            }
            settled(&writer).await;
            let rows = store.rows.lock().unwrap().iter().collect::<HashSet<_>>().len();
            let calls = *store.calls.lock().unwrap();
            (rows, calls, store.spent().pico(), number)
        });
        prop_assert_eq!(rows, put_in);
        let put_in = i64::try_from(put_in).unwrap();
        prop_assert_eq!((calls, spent), (put_in, 3 * put_in));
    }
}
