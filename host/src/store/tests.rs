//! The database, on SQLite; with `AI_API_TEST_POSTGRES`, the URL of a server, on Postgres, where each test has a schema of
//! its own. `tests/e2e/store.rs` has whole gateways on both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use sqlx::Connection;

use super::*;
use crate::config::{StoreSettings, Where};
use crate::keys::{Budget, Key, KeyHash, KeyKind, Member, Period, Quota, Rates, Team, User};

/// A folder that goes when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("ai-api-store-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> Where {
        Where::File(self.0.join("test.db"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings() -> StoreSettings {
    crate::config::testing::config("{}").store
}

/// The test's own database; the second time, the same one again.
async fn fresh(folder: &Folder) -> Database {
    let Ok(server) = std::env::var("AI_API_TEST_POSTGRES") else {
        return open(&settings(), &folder.file()).await.unwrap();
    };
    let schema = folder.0.file_name().unwrap().to_str().unwrap().replace('-', "_");
    let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    let url = format!("{server}?schema={schema}&connection_limit=5");
    open(&settings(), &Where::Server(crate::config::Secret::new(url))).await.unwrap()
}

fn moment(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_123 + seconds * 1000)
}

fn key(number: u8) -> Key {
    Key { hash: KeyHash([number; 32]), alias: Some(format!("key {number}")), ..Key::default() }
}

fn full_key() -> Key {
    let budget = |max, text: &str| Budget {
        max: Money::from_pico(max),
        period: Some(Period { text: text.to_owned(), since: moment(1) }),
    };
    Key {
        name: "sk-...abcd".to_owned(),
        user_id: Some("ünï'\"; DROP TABLE keys; --".to_owned()),
        team_id: Some("t".to_owned()),
        organization_id: Some("o".to_owned()),
        models: vec!["gpt-4o".to_owned(), "groq/*".to_owned()],
        aliases: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        quota: Quota {
            budget: Some(budget(i64::MAX, "30d")),
            rates: Rates { requests: Some(u64::MAX), tokens: Some(7) },
            parallel: Some(3),
        },
        model_budgets: BTreeMap::from([("gpt-4o".to_owned(), budget(5, "1mo"))]),
        model_rates: BTreeMap::from([("x".to_owned(), Rates { requests: None, tokens: Some(1) })]),
        soft_budget: Some(Money::from_pico(9)),
        expires: Some(moment(60)),
        blocked: true,
        allowed_routes: vec!["/v1/*".to_owned()],
        kind: KeyKind::ReadOnly,
        metadata: json!({"b": [1, {"c": null}], "a": "\u{0}"}).as_object().unwrap().clone(),
        tags: vec!["one".to_owned()],
        extra: json!({"permissions": {}}).as_object().unwrap().clone(),
        created_by: Some("me".to_owned()),
        created_at: Some(moment(0)),
        updated_at: Some(moment(2)),
        ..key(1)
    }
}

fn shown<T: std::fmt::Debug>(value: T) -> String {
    format!("{value:?}")
}

#[tokio::test]
async fn what_is_written_is_read_again_field_by_field_also_after_a_restart() {
    let folder = Folder::new();
    let database = fresh(&folder).await;
    let user = User {
        id: "u".to_owned(),
        email: Some("a@b".to_owned()),
        role: Some("proxy_admin".to_owned()),
        quota: full_key().quota,
        metadata: full_key().metadata,
        created_at: Some(moment(3)),
        ..User::default()
    };
    let team = Team {
        id: "t".to_owned(),
        alias: Some("Team".to_owned()),
        model_rates: full_key().model_rates,
        members: vec![Member { user_id: "u".to_owned(), role: "admin".to_owned() }],
        blocked: true,
        ..Team::default()
    };
    let edits = [
        Edit::PutKey(Box::new(full_key())),
        Edit::PutUser(Box::new(user.clone())),
        Edit::PutTeam(Box::new(team.clone())),
    ];
    assert_eq!(database.write(&edits).await.unwrap(), 1);
    database.close().await;

    let loaded = fresh(&folder).await.load().await.unwrap();

    assert_eq!(loaded.version, 1);
    assert_eq!(shown(loaded.keys), shown([full_key()]));
    assert_eq!(shown(loaded.users), shown([user]));
    assert_eq!(shown(loaded.teams), shown([team]));
}

#[tokio::test]
async fn changes_are_told_once_each_at_their_latest() {
    let folder = Folder::new();
    let database = fresh(&folder).await;
    assert_eq!(shown(database.changes_since(0).await.unwrap().edits), "[]");
    let put = |key: Key| Edit::PutKey(Box::new(key));
    database.write(&[put(key(1)), put(key(2))]).await.unwrap();
    let seen = database.changes_since(0).await.unwrap();
    assert_eq!((seen.version, seen.edits.len()), (1, 2));

    let blocked = Key { blocked: true, ..key(1) };
    database.write(&[put(blocked.clone())]).await.unwrap();
    database.write(&[Edit::DeleteKey(key(2).hash), put(key(3))]).await.unwrap();
    let total = Total {
        scope: Scope::Model(Scope::User("a:b".into()).into(), "x\ny".into()),
        since: Some(moment(5)),
        spent: Money::from_pico(-7),
    };
    database.write(&[Edit::SetSpend(total.clone()), Edit::DeleteUser("nobody".to_owned())]).await.unwrap();

    let news = database.changes_since(seen.version).await.unwrap();
    assert_eq!(news.version, 4);
    let mut told: Vec<String> = news.edits.iter().map(shown).collect();
    let mut expected = [
        shown(put(blocked)),
        shown(Edit::DeleteKey(key(2).hash)),
        shown(put(key(3))),
        shown(Edit::SetSpend(total)),
        shown(Edit::DeleteUser("nobody".to_owned())),
    ];
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(database.changes_since(4).await.unwrap().edits.len(), 0);
}

#[tokio::test]
async fn edits_are_made_all_or_none_and_an_alias_is_taken_once() {
    let folder = Folder::new();
    let database = fresh(&folder).await;
    database.write(&[Edit::PutKey(Box::new(key(1)))]).await.unwrap();
    let thief = Key { alias: key(1).alias, ..key(2) };

    let refused = database.write(&[Edit::DeleteUser("u".to_owned()), Edit::PutKey(Box::new(thief.clone()))]).await;

    assert_eq!(
        shown(refused),
        shown(Err::<i64, _>(StoreError::Conflict("a key with this alias exists already".into())))
    );
    let loaded = database.load().await.unwrap();
    assert_eq!((loaded.version, loaded.keys.len()), (1, 1));
    // A key made anew takes the alias of the old one along.
    database.write(&[Edit::DeleteKey(key(1).hash), Edit::PutKey(Box::new(thief))]).await.unwrap();
}

fn batch(id: &str) -> Batch {
    let of = DailyOf { day: "2026-11-23".to_owned(), model_group: "m".to_owned(), ..DailyOf::default() };
    let tag = TagOf { day: "2026-11-23".to_owned(), tag: "t".to_owned(), ..TagOf::default() };
    let sums = Sums { calls: 2, failed: 1, prompt_tokens: 10, spent: Money::from_pico(40), ..Sums::default() };
    Batch {
        id: id.to_owned(),
        calls: Vec::new(),
        bodies: false,
        daily: BTreeMap::from([(of, sums)]),
        tags: BTreeMap::from([(tag, sums)]),
        totals: BTreeMap::from([
            ((Scope::Gateway, None), Money::from_pico(40)),
            ((Scope::Key("ab".into()), Some(moment(0))), Money::from_pico(40)),
        ]),
    }
}

async fn total(database: &Database, scope: &Scope) -> Money {
    let totals = database.totals().await.unwrap();
    totals.iter().filter(|total| total.scope == *scope).map(|total| total.spent).sum()
}

#[tokio::test]
async fn a_batch_counts_once_however_often_it_is_sent() {
    let folder = Folder::new();
    let database = Arc::new(fresh(&folder).await);
    let (first, second) = (batch("1"), batch("2"));
    for batch in [&first, &first, &second, &first] {
        database.record(batch).await.unwrap();
    }

    assert_eq!(total(&database, &Scope::Gateway).await, Money::from_pico(80));
    for table in ["SELECT calls, failed, spent FROM daily", "SELECT calls, failed, spent FROM daily_tags"] {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(table).fetch_all(database.pool()).await.unwrap();
        assert_eq!(rows, [(4, 2, 80)]);
    }
    // Also when several are sent at a time.
    let (left, right) = (database.clone(), database.clone());
    let (third, again) = (batch("3"), batch("3"));
    let (left, right) = tokio::join!(left.record(&third), right.record(&again));
    left.and(right).unwrap();
    assert_eq!(total(&database, &Scope::Gateway).await, Money::from_pico(120));
}

#[tokio::test]
async fn who_is_deleted_leaves_nothing_spent_to_the_next_of_the_name() {
    let folder = Folder::new();
    let database = fresh(&folder).await;
    let user = Scope::User("u".into());
    let totals = BTreeMap::from([
        ((user.clone(), None), Money::from_pico(1)),
        ((Scope::Model(user.clone().into(), "m".into()), Some(moment(0))), Money::from_pico(1)),
        ((Scope::User("u2".into()), None), Money::from_pico(1)),
    ]);
    database.record(&Batch { id: "x".to_owned(), totals, ..Batch::default() }).await.unwrap();
    database.write(&[Edit::DeleteUser("u".to_owned())]).await.unwrap();

    let left = database.totals().await.unwrap();
    assert_eq!(left, [Total { scope: Scope::User("u2".into()), since: None, spent: Money::from_pico(1) }]);
}

#[tokio::test]
async fn a_file_is_for_its_owner_alone_and_one_that_is_no_database_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let database = open(&settings(), &folder.file()).await.unwrap();
    database.write(&[Edit::PutKey(Box::new(key(1)))]).await.unwrap();
    for file in std::fs::read_dir(&folder.0).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }

    let text = folder.0.join("text.db");
    std::fs::write(&text, "this is no database, it is a text that is as long as a page has to be".repeat(100)).unwrap();
    let error = open(&settings(), &Where::File(text)).await.unwrap_err().to_string();
    assert!(error.contains("text.db") && error.contains("not a database"), "{error}");
    let error = open(&settings(), &Where::File(folder.0.join("no/such/folder.db"))).await.unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
}

#[tokio::test]
async fn tables_of_a_newer_program_are_left_alone() {
    let folder = Folder::new();
    let database = open(&settings(), &folder.file()).await.unwrap();
    let newer = "INSERT INTO ai_api_migrations (version, description, success, checksum, execution_time) \
                 VALUES (999, 'later', TRUE, x'00', 0)";
    sqlx::query(newer).execute(database.pool()).await.unwrap();
    database.close().await;

    let error = open(&settings(), &folder.file()).await.unwrap_err().to_string();
    assert!(error.contains("a newer ai-api has used it (version 999)"), "{error}");
}

fn rows(database: &Database) -> impl Future<Output = i64> {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM calls").fetch_one(database.pool());
    async { count.await.unwrap() }
}

fn call(number: u64) -> Arc<CallRecord> {
    Arc::new(CallRecord {
        call_id: format!("call \0 {number}"),
        started: moment(number),
        error: Some("nothing \0 happened".to_owned()),
        messages: Some(crate::usage::Messages { request: "{}".into(), response: (&b"\xff"[..]).into() }),
        ..crate::spend::example_call()
    })
}

#[tokio::test]
async fn rows_of_calls_are_as_many_as_there_were_and_old_ones_go_first() {
    let folder = Folder::new();
    let database = fresh(&folder).await;
    let calls: Vec<_> = (0..1234).map(call).collect();
    let batch = Batch { id: "x".to_owned(), calls: calls.clone(), ..Batch::default() };
    database.record(&batch).await.unwrap();
    assert_eq!(rows(&database).await, 1234);
    let secrets: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM calls WHERE request IS NOT NULL OR response IS NOT NULL")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!(secrets, 0, "bodies are for who asked for them");
    // A call that is in another batch too has its row already.
    let again = Batch { id: "y".to_owned(), calls, bodies: true, ..Batch::default() };
    database.record(&again).await.unwrap();
    assert_eq!(rows(&database).await, 1234);

    assert_eq!(database.delete_calls(moment(1000)).await.unwrap(), 500);
    assert_eq!(database.delete_calls(moment(1000)).await.unwrap(), 500);
    assert_eq!(database.delete_calls(moment(1000)).await.unwrap(), 0);
    let oldest: i64 = sqlx::query_scalar("SELECT MIN(started) FROM calls").fetch_one(database.pool()).await.unwrap();
    assert_eq!(oldest, scope::millis(moment(1000)));
}

#[tokio::test]
async fn what_was_spent_in_past_periods_is_forgotten_and_the_present_one_is_not() {
    let folder = Folder::new();
    let database = fresh(&folder).await;
    let key = Scope::Key("ab".into());
    let totals = [None, Some(moment(0)), Some(moment(30)), Some(moment(60))]
        .map(|since| ((key.clone(), since), Money::from_pico(1)));
    let other = ((Scope::Key("cd".into()), Some(moment(0))), Money::from_pico(1));
    let totals = totals.into_iter().chain([other]).collect();
    database.record(&Batch { id: "x".to_owned(), totals, ..Batch::default() }).await.unwrap();

    database.forget_totals(moment(45)).await.unwrap();
    let mut left: Vec<_> =
        database.totals().await.unwrap().into_iter().map(|total| (total.scope, total.since)).collect();
    left.sort();
    let expected = [
        (key.clone(), None),
        (key.clone(), Some(moment(30))),
        (key, Some(moment(60))),
        (Scope::Key("cd".into()), Some(moment(0))),
    ];
    assert_eq!(left, expected);
    // A batch that is still known is not counted again, one that is forgotten would be.
    database.forget_batches(moment(0)).await.unwrap();
    database.record(&Batch { id: "x".to_owned(), ..batch("x") }).await.unwrap();
    assert_eq!(total(&database, &Scope::Gateway).await, Money::ZERO);
}

#[tokio::test]
async fn writers_that_come_at_once_all_get_their_turn_and_no_follower_misses_one() {
    let folder = Folder::new();
    let database = Arc::new(fresh(&folder).await);
    let writers = (0..20u8).map(|number| {
        let database = database.clone();
        tokio::spawn(async move { database.write(&[Edit::PutKey(Box::new(key(number)))]).await.unwrap() })
    });
    let writers: Vec<_> = writers.collect();
    let (mut version, mut seen) = (0, std::collections::BTreeSet::new());
    while seen.len() < 20 {
        let news = database.changes_since(version).await.unwrap();
        version = news.version;
        for edit in news.edits {
            let Edit::PutKey(key) = edit else { panic!("{edit:?}") };
            seen.insert(key.hash);
        }
        assert!(version < 20 || seen.len() == 20, "at version {version} one of 20 was missed");
    }
    let mut versions = Vec::new();
    for writer in writers {
        versions.push(writer.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=20).collect::<Vec<i64>>());
}
