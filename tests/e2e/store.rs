//! What the gateway keeps in a database: it is made at the first start and found at the next, and whatever happens to the
//! database, calls go on, nothing is counted twice, and what is lost is told.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ai_api_e2e::{
    Answer, Builder, FakeUpstream, Gateway, MASTER_KEY, PASSWORD, Postgres, Relay, Reply, TempDir, Wire,
    eventually_async,
};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

/// How many calls there are, by their rows and by the sums of days.
const ROWS: &str = "SELECT COUNT(*) FROM calls";
const SUMS: &str = "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) FROM daily";
/// What a `kill -9` may take.
const STATED: Duration = Duration::from_secs(1);

/// A gateway whose answers are canned, with this database.
fn on(url: &str) -> Builder {
    Gateway::builder()
        .model_with("m", "openai/x", "http://127.0.0.1:1", json!({"mock_response": "hi"}))
        .set("general_settings", "database_url", json!(url))
        .env("JSON_LOGS", "true")
}

fn sqlite(file: &Path) -> Builder {
    on(&format!("sqlite://{}", file.display()))
}

/// A call that is answered, and not late, whatever the database does.
async fn call(gateway: &Gateway) -> Answer {
    let begun = Instant::now();
    let answer = gateway.client().chat("m", "hello").await;
    assert_eq!(answer.content(), "hi");
    assert!(begun.elapsed() < Duration::from_secs(3), "a call waited for the database: {:?}", begun.elapsed());
    answer
}

async fn calls(gateway: &Gateway, number: usize) {
    for _ in 0..number {
        call(gateway).await;
    }
}

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.expect("the database can be opened")
}

async fn number(file: &Path, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&mut open(file).await).await.expect(query)
}

async fn has_sqlite(file: &Path, number_of_calls: i64) {
    eventually_async("all calls to be in the database", async || {
        (number(file, SUMS).await == number_of_calls && number(file, ROWS).await == number_of_calls).then_some(())
    })
    .await;
}

async fn has_postgres(postgres: &Postgres, number_of_calls: i64) {
    eventually_async("all calls to be in the database", async || {
        (postgres.number(SUMS).await == number_of_calls && postgres.number(ROWS).await == number_of_calls).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_beside_the_configuration_is_made_and_found_again() {
    let folder = TempDir::new();
    let config = json!({
        "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/x", "api_key": "k", "mock_response": "hi"}}],
        "general_settings": {"master_key": MASTER_KEY},
    });
    let config = folder.write("config.yaml", config.to_string());
    let file = folder.path().join("ai-api.db");
    for total in [2, 4] {
        let mut gateway = Gateway::with_file(&config, MASTER_KEY).start().await;
        calls(&gateway, 2).await;
        // Ended in order, it has written all of it.
        gateway.terminate();
        assert!(gateway.ended().await.success());
        assert_eq!((number(&file, ROWS).await, number(&file, SUMS).await), (total, total));
        assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    }
    let migrations = number(&file, "SELECT COUNT(*) FROM ai_api_migrations").await;
    assert_eq!(migrations, 1, "each was done once");
}

#[tokio::test]
async fn without_a_place_for_the_file_the_gateway_runs_without_database_and_says_so() {
    let folder = TempDir::new();
    std::fs::create_dir(folder.path().join("ai-api.db")).expect("the folder is writable");
    let config = json!({
        "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/x", "api_key": "k", "mock_response": "hi"}}],
        "general_settings": {"master_key": MASTER_KEY},
    });
    let config = folder.write("config.yaml", config.to_string());
    let gateway = Gateway::with_file(&config, MASTER_KEY).start().await;

    gateway.logged("there are no virtual keys and no spend").await;
    calls(&gateway, 1).await;
}

#[tokio::test]
async fn a_database_that_the_operator_named_and_that_cant_be_opened_is_an_error_at_the_start() {
    let folder = TempDir::new();
    let run = sqlite(&folder.path().join("no/such/folder/keys.db")).run().await;
    assert!(!run.success && run.said.contains("no/such/folder/keys.db: No such file"), "{}", run.said);
    assert!(run.said.contains("general_settings.database_url"), "{}", run.said);

    // Nobody listens at port 1.
    let away = format!("postgresql://me:{PASSWORD}@127.0.0.1:1/x?connection_limit=5");
    let run = on(&away).set("general_settings", "database_connection_timeout", json!(1)).run().await;
    let says = "the Postgres at 127.0.0.1:1 could not be reached within 1 s";
    assert!(!run.success && run.said.contains(says) && !run.said.contains(PASSWORD), "{}", run.said);

    let run = on("os.environ/MY_DATABASE").run().await;
    assert!(!run.success && run.said.contains("MY_DATABASE, which is not set"), "{}", run.said);
}

#[tokio::test]
async fn what_the_operator_does_not_want_kept_is_not() {
    let folder = TempDir::new();
    let file = folder.path().join("keys.db");
    let gateway = sqlite(&file).set("general_settings", "disable_spend_logs", json!(true)).start().await;
    calls(&gateway, 3).await;
    eventually_async("the sums", async || (number(&file, SUMS).await == 3).then_some(())).await;
    assert_eq!(number(&file, ROWS).await, 0);
}

#[tokio::test]
async fn rows_older_than_the_retention_period_go_and_sums_stay() {
    let folder = TempDir::new();
    let file = folder.path().join("keys.db");
    let gateway = sqlite(&file)
        .set("general_settings", "maximum_spend_logs_retention_period", json!("1s"))
        .set("general_settings", "maximum_spend_logs_retention_interval", json!("1s"))
        .start()
        .await;
    calls(&gateway, 2).await;
    eventually_async("the sums", async || (number(&file, SUMS).await == 2).then_some(())).await;
    eventually_async("the rows to go", async || (number(&file, ROWS).await == 0).then_some(())).await;
    assert_eq!(number(&file, SUMS).await, 2);
    gateway.logged("older than the retention period").await;
}

/// Calls one after the other until well after the first could be written; then the gateway is killed. Tells how many were
/// answered too early to be lost, and how many in all.
async fn killed(gateway: Gateway) -> (i64, i64) {
    let (begun, mut answered) = (Instant::now(), Vec::new());
    while begun.elapsed() < STATED * 5 / 2 {
        call(&gateway).await;
        answered.push(Instant::now());
    }
    let killed = Instant::now();
    gateway.signal("KILL");
    let safe = answered.iter().filter(|at| killed.duration_since(**at) > STATED).count();
    (i64::try_from(safe).expect("few"), i64::try_from(answered.len()).expect("few"))
}

#[tokio::test]
async fn a_kill_takes_no_more_than_the_last_second_from_sqlite() {
    let folder = TempDir::new();
    let file = folder.path().join("keys.db");
    let (safe, all) = killed(sqlite(&file).start().await).await;

    let (rows, sums) = (number(&file, ROWS).await, number(&file, SUMS).await);
    assert!(safe > 0 && (safe..=all).contains(&rows), "{safe} <= {rows} <= {all}");
    assert_eq!(rows, sums, "all of a batch, or nothing");
    // The next one takes the file as it is.
    let gateway = sqlite(&file).start().await;
    calls(&gateway, 1).await;
    has_sqlite(&file, rows + 1).await;
}

#[tokio::test]
async fn a_kill_takes_no_more_than_the_last_second_from_postgres() {
    let Some(postgres) = Postgres::start().await else { return };
    let (safe, all) = killed(on(&postgres.url()).start().await).await;

    let (rows, sums) = (postgres.number(ROWS).await, postgres.number(SUMS).await);
    assert!(safe > 0 && (safe..=all).contains(&rows), "{safe} <= {rows} <= {all}");
    assert_eq!(rows, sums, "all of a batch, or nothing");
}

#[tokio::test]
async fn two_gateways_share_a_postgres_from_its_first_moment() {
    let Some(postgres) = Postgres::start().await else { return };
    let url = postgres.url();
    let (one, two) = tokio::join!(on(&url).start(), on(&url).start());
    for _ in 0..5 {
        tokio::join!(calls(&one, 4), calls(&two, 4));
    }
    has_postgres(&postgres, 40).await;
    assert_eq!(postgres.number("SELECT COUNT(*) FROM ai_api_migrations").await, 1);
    assert_eq!(postgres.number("SELECT COUNT(*) FROM daily").await, 1, "both add to the same sums");
    for gateway in [&one, &two] {
        assert!(!gateway.log().contains(PASSWORD), "{}", gateway.log());
    }
}

#[tokio::test]
async fn names_that_postgres_cant_tell_apart_hold_nobody_up() {
    let Some(postgres) = Postgres::start().await else { return };
    let gateway = on(&postgres.url())
        .model_with("any/*", "openai/*", "http://127.0.0.1:1", json!({"mock_response": "hi"}))
        .start()
        .await;
    let tags = json!({"metadata": {"tags": ["a\u{0}", "a\u{fffd}"]}});
    for model in ["m", "any/x\u{0}", "any/x\u{fffd}"] {
        assert_eq!(gateway.client().chat_with(model, "hello", tags.clone()).await.content(), "hi");
    }
    calls(&gateway, 1).await;
    has_postgres(&postgres, 4).await;
    let tagged = "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) FROM daily_tags";
    assert_eq!(postgres.number(tagged).await, 3, "it is one tag");
    assert!(!gateway.log().contains("can't be written"), "{}", gateway.log());
}

#[tokio::test]
async fn a_provider_that_counts_beyond_all_measure_costs_nobody_their_sums() {
    let Some(postgres) = Postgres::start().await else { return };
    let mut absurd = Wire::OpenAi.answer("hi");
    absurd["usage"] = json!({"prompt_tokens": i64::MAX, "completion_tokens": 1, "total_tokens": 1e300});
    let upstream = FakeUpstream::replying(Reply::json(200, &absurd));
    let gateway =
        on(&postgres.url()).model("absurd", Wire::OpenAi.model(), &Wire::OpenAi.base(&upstream)).start().await;
    for _ in 0..3 {
        assert_eq!(gateway.client().chat("absurd", "hello").await.status, 200);
    }
    calls(&gateway, 1).await;
    has_postgres(&postgres, 4).await;
    let most = "SELECT CAST(MAX(prompt_tokens) AS BIGINT) FROM calls";
    assert_eq!(postgres.number(most).await, 1 << 40);
    assert!(!gateway.log().contains("can't be written"), "{}", gateway.log());
}

#[tokio::test]
async fn a_postgres_that_is_not_there_yet_is_waited_for() {
    let Some(postgres) = Postgres::start().await else { return };
    let relay = Relay::to(postgres.address()).await;
    relay.cut();
    let url = postgres.url_by(relay.address());
    let (gateway, ()) = tokio::join!(on(&url).start(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        relay.open();
    });
    calls(&gateway, 1).await;
    has_postgres(&postgres, 1).await;
    assert!(gateway.log().contains("can't be reached yet"), "{}", gateway.log());
}

#[tokio::test]
async fn calls_go_on_while_postgres_says_nothing_and_count_once_afterwards() {
    let Some(postgres) = Postgres::start().await else { return };
    let relay = Relay::to(postgres.address()).await;
    let gateway = on(&postgres.url_by(relay.address())).start().await;
    calls(&gateway, 3).await;
    has_postgres(&postgres, 3).await;

    relay.stall();
    let stalled = Instant::now();
    let mut made = 3;
    while stalled.elapsed() < Duration::from_secs(10) {
        call(&gateway).await;
        made += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    relay.open();
    has_postgres(&postgres, made).await;
}

#[tokio::test]
async fn calls_go_on_while_postgres_is_dead_and_count_once_afterwards() {
    let Some(mut postgres) = Postgres::start().await else { return };
    let gateway = on(&postgres.url()).start().await;
    calls(&gateway, 3).await;
    for round in 1..=2 {
        // In the middle of things: whether the last batch was written is for nobody to know.
        calls(&gateway, 20).await;
        postgres.kill();
        calls(&gateway, 20).await;
        gateway.logged("what calls have cost can't be written to the database").await;
        postgres.restart().await;
        has_postgres(&postgres, 3 + 40 * round).await;
    }
    gateway.logged("the database takes what calls have cost again").await;
}

/// The most that a process may write into a file; `unlimited` is as before.
fn limit_files(gateway: &Gateway, most: &str) {
    let pid = gateway.id().to_string();
    // Only the soft limit, which can be raised again.
    let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={most}:")]).status();
    assert!(status.expect("prlimit runs").success());
}

#[tokio::test]
async fn calls_go_on_while_the_disk_is_full_and_count_once_afterwards() {
    let folder = TempDir::new();
    let file: PathBuf = folder.path().join("keys.db");
    // Without the signal, a write beyond the limit fails as one on a full disk does.
    let gateway = sqlite(&file).run_by(&["env", "--ignore-signal=XFSZ"]).start().await;
    calls(&gateway, 3).await;
    has_sqlite(&file, 3).await;

    limit_files(&gateway, "1");
    calls(&gateway, 30).await;
    gateway.logged("what calls have cost can't be written to the database").await;
    calls(&gateway, 30).await;
    assert_eq!(number(&file, ROWS).await, 3);

    limit_files(&gateway, "unlimited");
    has_sqlite(&file, 63).await;
    gateway.logged("the database takes what calls have cost again").await;
}
