//! A gateway whose database has calls that were never made: rows, and the days' aggregates of them.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ai_api_e2e::{Answer, Builder, Gateway, Postgres, Rng, TempDir};
use serde_json::{Value, json};
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{AnyPool, AssertSqlSafe};

/// A day in ms.
pub(crate) const DAY: i64 = 86_400_000;

/// The gateway, its database, and what was put there.
pub(crate) struct Ledger {
    pub(crate) gateway: Gateway,
    pub(crate) pool: AnyPool,
    pub(crate) calls: Vec<Call>,
    /// Keeps the database, whichever it is.
    _database: Box<dyn Send>,
}

/// Where a test's database is.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) keep: Box<dyn Send>,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) started: i64,
    pub(crate) duration: i64,
    pub(crate) key: String,
    pub(crate) user: &'static str,
    pub(crate) team: &'static str,
    pub(crate) end_user: String,
    pub(crate) group: &'static str,
    pub(crate) model: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) ok: bool,
    /// Of the prompt and of the answer; `None`: nothing was used.
    pub(crate) tokens: Option<(i64, i64)>,
    /// `None`: nobody knows a price, or nothing was used.
    pub(crate) spent: Option<i64>,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) error: &'static str,
}

/// A file of SQLite's, in a folder that goes with the test.
pub(crate) fn sqlite() -> Database {
    let folder = TempDir::new();
    Database { url: format!("sqlite://{}/spend.db", folder.path().display()), keep: Box::new(folder) }
}

/// A server of Postgres's, that goes with the test too.
pub(crate) async fn postgres() -> Option<Database> {
    let server = Postgres::start().await?;
    Some(Database { url: server.url(), keep: Box::new(server) })
}

impl Ledger {
    /// With these calls.
    pub(crate) async fn with(database: Database, calls: Vec<Call>) -> Self {
        Self::started(database, calls, Gateway::builder()).await
    }

    /// With these calls and settings.
    pub(crate) async fn started(database: Database, calls: Vec<Call>, builder: Builder) -> Self {
        let gateway = builder.set("general_settings", "database_url", json!(database.url)).start().await;
        install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(1).connect(&database.url).await.expect("a database");
        let ledger = Self { gateway, pool, calls, _database: database.keep };
        ledger.write().await;
        ledger
    }

    /// An answer of the master key's.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.gateway.client().get(path).await
    }

    /// A success of the master key's.
    pub(crate) async fn ok(&self, path: &str) -> Value {
        self.get(path).await.ok()
    }

    async fn write(&self) {
        let mut transaction = self.pool.begin().await.expect("a transaction");
        for call in &self.calls {
            let outcome = if call.ok { "success" } else { "failure" };
            let tags = json!(call.tags).to_string();
            let marks = (1..=19).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
            let sql = format!(
                "INSERT INTO calls (id, started, duration, key_hash, user_id, team_id, end_user, model_group, model, \
                 provider, outcome, status, prompt_tokens, completion_tokens, spent, tags, error, deployment, first_byte, \
                 upstream, operation, streaming, key_alias, organization_id, fallback, estimated, retries, fallbacks, \
                 kind, session_id, client_ip) VALUES ({marks}, 5, '/v1/chat/completions', 0, 'an alias', '', '', 0, 0, 0, '', \
                 'a session', '127.0.0.1')"
            );
            let query = sqlx::query(AssertSqlSafe(sql))
                .bind(&call.id)
                .bind(call.started)
                .bind(call.duration)
                .bind(&call.key)
                .bind(call.user)
                .bind(call.team)
                .bind(&call.end_user)
                .bind(call.group)
                .bind(call.model)
                .bind(call.provider)
                .bind(outcome)
                .bind(if call.ok { 200_i64 } else { 500 })
                .bind(call.tokens.map(|tokens| tokens.0))
                .bind(call.tokens.map(|tokens| tokens.1))
                .bind(call.spent)
                .bind(tags)
                .bind(call.error)
                .bind("a-deployment")
                .bind(3_i64);
            query.execute(&mut *transaction).await.expect("a row");
        }
        for (table, by, lines) in [("daily", "user_id, team_id", self.daily()), ("daily_tags", "tag", self.tags())] {
            let by: Vec<&str> = by.split(", ").collect();
            let columns = ["day", "key_hash", "model_group", "model", "provider"].into_iter().chain(by.iter().copied());
            let sums = ["calls", "failed", "unpriced", "prompt_tokens", "completion_tokens", "spent"];
            let columns: Vec<&str> = columns.chain(sums).collect();
            let marks = (1..=columns.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
            let sql = format!(
                "INSERT INTO {table} ({}, cache_read_tokens, cache_write_tokens, reasoning_tokens) VALUES ({marks}, 0, 0, 0)",
                columns.join(", ")
            );
            for (of, sums) in lines {
                let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
                for text in of {
                    query = query.bind(text);
                }
                for sum in sums {
                    query = query.bind(sum);
                }
                query.execute(&mut *transaction).await.expect("an aggregate");
            }
        }
        transaction.commit().await.expect("a commit");
    }

    fn daily(&self) -> BTreeMap<Vec<String>, [i64; 6]> {
        sums(self.calls.iter().map(|call| (call, vec![call.user, call.team])))
    }

    fn tags(&self) -> BTreeMap<Vec<String>, [i64; 6]> {
        sums(self.calls.iter().flat_map(|call| call.tags.iter().map(move |tag| (call, vec![*tag]))))
    }
}

fn sums<'a>(calls: impl Iterator<Item = (&'a Call, Vec<&'a str>)>) -> BTreeMap<Vec<String>, [i64; 6]> {
    let mut lines: BTreeMap<Vec<String>, [i64; 6]> = BTreeMap::new();
    for (call, more) in calls {
        let mut of = vec![day_of(call.started), call.key.clone()];
        of.extend([call.group, call.model, call.provider].into_iter().chain(more).map(str::to_owned));
        let (prompt, completion) = call.tokens.unwrap_or_default();
        let unpriced = call.tokens.is_some() && call.spent.is_none();
        let added = [1, i64::from(!call.ok), i64::from(unpriced), prompt, completion, call.spent.unwrap_or_default()];
        let line = lines.entry(of).or_default();
        line.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
    }
    lines
}

/// The day of a moment, as text.
pub(crate) fn day_of(ms: i64) -> String {
    // Howard Hinnant's days-to-civil.
    let days = ms.div_euclid(DAY) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + i64::from(month <= 2))
}

/// The beginning of the day that many days ago.
pub(crate) fn days_ago(days: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    (now.div_euclid(DAY) - days) * DAY
}

/// A key's hash that is no key's.
pub(crate) fn key(number: usize) -> String {
    format!("{number:064x}")
}

/// What a number of dollars looks like: the float that is nearest to the exact one.
pub(crate) fn usd(pico: i128) -> Value {
    let sign = if pico < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:012}", pico.abs() / 1_000_000_000_000, pico.abs() % 1_000_000_000_000);
    let nearest = json!(text.parse::<f64>().expect("a number"));
    // What the tests read answers with may be off by the last bit; it is so here too.
    serde_json::from_str(&nearest.to_string()).expect("a number")
}

/// Calls of several days, keys, users, teams and models. Their costs have no end in binary, and reach from fractions of a
/// millionth to thousands of dollars.
pub(crate) fn calls(count: usize) -> Vec<Call> {
    const MODELS: [(&str, &str, &str); 4] = [
        ("fast", "gpt-4o-mini", "openai"),
        ("good", "gpt-4o", "openai"),
        ("other", "claude-sonnet-4-5", "anthropic"),
        ("good", "gpt-4o", "azure"),
    ];
    const TAGS: [&[&str]; 4] = [&[], &["red"], &["red", "=cmd|' /C calc'!A0"], &["blue"]];
    let mut rng = Rng::new(7);
    let call = |number: usize| {
        let (group, model, provider) = MODELS[rng.below(4)];
        let ok = rng.below(5) > 0;
        let used = ok || rng.below(2) == 0;
        let spent = [100_000 + rng.below(1_000_000) as i64, 1_000_000_000_000_001 + rng.below(99) as i64][rng.below(2)];
        let who = rng.below(3);
        Call {
            id: format!("call-{number:06}"),
            started: days_ago(10) + (rng.below(8) as i64) * DAY + rng.below(DAY as usize) as i64,
            duration: rng.below(5000) as i64,
            key: key(rng.below(5)),
            user: ["ann", "bob", ""][who],
            team: ["team-a", "team-b", ""][who],
            end_user: ["", "=1+1", "customer, \"quoted\"\nand more"][rng.below(3)].to_owned(),
            group,
            model,
            provider,
            ok,
            tokens: used.then(|| (rng.below(9000) as i64, rng.below(900) as i64)),
            spent: (used && rng.below(9) > 0).then_some(spent),
            tags: TAGS[rng.below(4)].to_vec(),
            error: if ok { "" } else { "@the provider failed" },
        }
    };
    (0..count).map(call).collect()
}
