//! The connections of reports, and the time that a question has.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, SqlSafeStr, SqlStr};
use tokio::time::{Instant, timeout};
use url::Url;

use super::sql::{Bound, Question, Row};
use super::{MOST_LINES, ReportError};
use crate::store::StoreError;

/// Reports that run side by side; others wait.
const CONNECTIONS: u32 = 2;
/// Connections that nobody needs are closed: a report now and then costs no memory in between.
const IDLE: Duration = Duration::from_secs(60);
/// What one question may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// What the database has to end what it was told to end.
const GRACE: Duration = Duration::from_secs(2);
/// So many steps of SQLite's machine, a fraction of a millisecond, go by between two looks at the clock.
const STEPS: i32 = 10_000;

/// The database, for those who read.
#[derive(Clone)]
pub struct Reports {
    pool: Pool,
    time_limit: Duration,
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

// === impl Reports ===

impl Reports {
    /// Reports on a file that exists, which is not opened before the first report.
    pub fn of_file(file: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .busy_timeout(TIME_LIMIT)
            .pragma("cache_size", "-1024")
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
        let pool = pool.acquire_timeout(TIME_LIMIT).idle_timeout(IDLE).connect_lazy_with(options);
        Self { pool: Pool::Sqlite(pool), time_limit: TIME_LIMIT }
    }

    /// Reports on a server, which is not connected to before the first report.
    ///
    /// # Errors
    /// The URL is none of a Postgres.
    pub fn of_server(url: &Url) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_url(url)?.disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
        let pool = pool.acquire_timeout(TIME_LIMIT).idle_timeout(IDLE).connect_lazy_with(options);
        Ok(Self { pool: Pool::Postgres(pool), time_limit: TIME_LIMIT })
    }

    /// Lets go of all connections.
    pub(in crate::store) async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// The same with another time limit.
    #[must_use]
    pub fn within(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// The whole answer, read row by row.
    pub(super) async fn ask<T>(
        &self,
        question: Question,
        read: impl Fn(&mut Row) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, ReportError> {
        let Question { sql, values, .. } = question;
        let sql = AssertSqlSafe(sql).into_sql_str();
        let answer = async {
            match &self.pool {
                Pool::Sqlite(pool) => sqlite(pool, sql, values, self.time_limit, &read).await,
                Pool::Postgres(pool) => postgres(pool, sql, values, self.time_limit, &read).await,
            }
        };
        match timeout(self.time_limit + GRACE, answer).await {
            Ok(Ok(lines)) if lines.len() > MOST_LINES as usize => Err(ReportError::TooLong),
            Ok(Ok(lines)) => Ok(lines),
            Ok(Err(error)) => Err(self.refused(error)),
            Err(_) => Err(ReportError::TooSlow(self.time_limit)),
        }
    }

    fn refused(&self, error: sqlx::Error) -> ReportError {
        let code = match &error {
            sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
            _ => String::new(),
        };
        match (&error, &*code) {
            // SQLITE_INTERRUPT; query_canceled, lock_not_available.
            (_, "9" | "57014" | "55P03") => ReportError::TooSlow(self.time_limit),
            (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_), _) => {
                StoreError::Unreadable(error.to_string()).into()
            }
            // What a driver says of a connection may name its host, but no password.
            _ => StoreError::Unavailable(error.to_string()).into(),
        }
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool would show the URL, and the password in it.
        f.debug_struct("Reports").field("time_limit", &self.time_limit).finish_non_exhaustive()
    }
}

async fn sqlite<T>(
    pool: &SqlitePool,
    sql: SqlStr,
    values: Vec<Bound>,
    time_limit: Duration,
    read: &impl Fn(&mut Row) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let deadline = Instant::now() + time_limit;
    // It stays until the next question sets its own: the connection is for questions only.
    connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < deadline);
    let mut query = sqlx::query(sql);
    for value in values {
        query = match value {
            Bound::Number(number) => query.bind(number),
            Bound::Text(text) => query.bind(text),
        };
    }
    query.fetch(&mut *connection).map(|row| read(&mut Row::Sqlite(row?, 0))).try_collect().await
}

async fn postgres<T>(
    pool: &PgPool,
    sql: SqlStr,
    values: Vec<Bound>,
    time_limit: Duration,
    read: &impl Fn(&mut Row) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN READ ONLY").await?;
    // Of this transaction alone: a pooler between us and Postgres hands the connection to others.
    let limit = format!("SET LOCAL statement_timeout = {}", time_limit.as_millis());
    sqlx::query(AssertSqlSafe(limit)).execute(&mut *transaction).await?;
    let mut query = sqlx::query(sql);
    for value in values {
        query = match value {
            Bound::Number(number) => query.bind(number),
            Bound::Text(text) => query.bind(text),
        };
    }
    // A prepared statement would stay with a connection that a pooler may have given to others by then.
    let query = query.persistent(false);
    let lines = query.fetch(&mut *transaction).map(|row| read(&mut Row::Postgres(row?, 0))).try_collect().await?;
    transaction.commit().await?;
    Ok(lines)
}
