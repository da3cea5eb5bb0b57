//! From a setting to a database that is open and whose tables are as this program wants them.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, ConnectOptions, Connection, SqlSafeStr};
use tokio::time::Instant;
use url::Url;

use super::database::{Database, Kind};
use super::error::reason;
use super::reports::Reports;
use crate::config::{Secret, StoreSettings, Where};

/// Each in its turn, none ever changed.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "accounts", include_str!("../../migrations/0001_accounts.sql"))];

/// How long a connection is waited for where one is needed: beyond it the database counts as away.
const ACQUIRE: Duration = Duration::from_secs(5);
/// SQLite has one writer at a time; some may read meanwhile. Each connection is a thread and a cache.
const SQLITE_CONNECTIONS: u32 = 3;
/// How often a server that isn't there yet is asked.
const RETRY: Duration = Duration::from_millis(500);

/// For each connection to SQLite. Without `FULL` a power cut may take the last commits; the end of the process takes none.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000; \
                       PRAGMA cache_size = -1024; PRAGMA journal_size_limit = 16777216; PRAGMA temp_store = MEMORY;";

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can't be opened or made.
    #[error("can't open the database {}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The server refuses us.
    #[error("can't use the Postgres at {server}: {why}")]
    Refused {
        /// Host and port.
        server: String,
        /// Why.
        why: String,
    },
    /// The server isn't there, or not ready.
    #[error("the Postgres at {server} could not be reached within {waited} s: {why}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// `database_connection_timeout`.
        waited: u64,
        /// Why, the last time.
        why: String,
    },
    /// The tables are not ours to use.
    #[error("can't bring the tables of the database up to date: {0}")]
    Migration(String),
}

/// Opens what the settings name; a server that isn't reachable yet is waited for.
///
/// # Errors
/// It can't be opened.
pub async fn open(settings: &StoreSettings, place: &Where) -> Result<Database, OpenError> {
    sqlx::any::install_default_drivers();
    match place {
        Where::File(path) => sqlite(path).await,
        Where::Server(url) => postgres(url, settings).await,
    }
}

async fn sqlite(path: &Path) -> Result<Database, OpenError> {
    let failed = |why: String| OpenError::File { path: path.to_owned(), why };
    create(path).map_err(|error| failed(error.to_string()))?;
    let absolute = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
    let mut url = Url::from_file_path(&absolute).map_err(|()| failed("it is no path".to_owned()))?;
    url = format!("sqlite://{}?mode=rw", url.path()).parse().map_err(|_| failed("it is no path".to_owned()))?;
    let options = quiet(&url).map_err(|error| failed(reason(&error)))?;
    let mut first = options.connect().await.map_err(|error| failed(reason(&error)))?;
    sqlx::raw_sql(PRAGMAS).execute(&mut first).await.map_err(|error| failed(reason(&error)))?;
    migrate(&mut first).await?;
    let pool = AnyPoolOptions::new()
        .max_connections(SQLITE_CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(PRAGMAS).execute(connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options);
    // Held until another one can be: the last to close would remove the log.
    drop(pool.acquire().await.map_err(|error| failed(reason(&error)))?);
    let _ = first.close().await;
    Ok(Database::new(pool, Kind::Sqlite, Reports::of_file(&absolute)))
}

/// Makes the file if it isn't there, for nobody else to read: SQLite gives its log the same mode.
fn create(path: &Path) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

async fn postgres(url: &Secret, settings: &StoreSettings) -> Result<Database, OpenError> {
    let refused = |server: &str, why: String| OpenError::Refused { server: server.to_owned(), why };
    // Its own error could quote it.
    let url: Url = url.expose().parse().map_err(|_| refused("database_url", "it is no URL".to_owned()))?;
    let server = format!("{}:{}", url.host_str().unwrap_or("localhost"), url.port().unwrap_or(5432));
    let url = understood(&url);
    let options = quiet(&url).map_err(|error| refused(&server, reason(&error)))?;
    let reports = Reports::of_server(&url).map_err(|error| refused(&server, reason(&error)))?;
    let mut first = reach(&options, &server, settings.connection_timeout).await?;
    migrate(&mut first).await?;
    let _ = first.close().await;
    let pool = AnyPoolOptions::new()
        .max_connections(settings.connections)
        .acquire_timeout(ACQUIRE.min(settings.connection_timeout))
        .connect_lazy_with(options);
    Ok(Database::new(pool, Kind::Postgres, reports))
}

/// Connects, again and again as long as that may help.
async fn reach(options: &AnyConnectOptions, server: &str, patience: Duration) -> Result<AnyConnection, OpenError> {
    let end = Instant::now() + patience;
    let mut told = false;
    loop {
        let attempt = tokio::time::timeout_at(end, options.connect()).await;
        let why = match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) if !may_pass(&error) => {
                return Err(OpenError::Refused { server: server.to_owned(), why: reason(&error) });
            }
            Ok(Err(error)) => reason(&error),
            Err(_) => "it doesn't answer".to_owned(),
        };
        if Instant::now() + RETRY >= end {
            return Err(OpenError::Unreachable { server: server.to_owned(), waited: patience.as_secs(), why });
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(server, why, "the database can't be reached yet; trying again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Whether it is worth another try: not reachable, starting up, or full.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(told) => {
            // 57P: shutting down, starting up; 53: too many connections, no memory.
            told.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("53") || code.starts_with("08"))
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

/// Nothing of statements is logged: they say nothing to an operator, and the slow ones are long.
fn quiet(url: &Url) -> Result<AnyConnectOptions, sqlx::Error> {
    Ok(AnyConnectOptions::from_url(url)?.disable_statement_logging())
}

/// The URL with the parameters that libpq knows; those of LiteLLM's ORM, Prisma, are translated or left out.
fn understood(url: &Url) -> Url {
    const KNOWN: [&str; 14] = [
        "sslmode",
        "ssl-mode",
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
        "ssl-key",
        "statement-cache-capacity",
        "host",
        "port",
        "dbname",
        "user",
    ];
    const MORE: [&str; 4] = ["password", "hostaddr", "application_name", "options"];
    let mut parameters: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for (name, value) in url.query_pairs() {
        match &*name {
            name if KNOWN.contains(&name) || MORE.contains(&name) => parameters.push((name.to_owned().into(), value)),
            "schema" => parameters.push(("options".into(), format!("-c search_path={value}").into())),
            "pgbouncer" if &*value == "true" => parameters.push(("statement-cache-capacity".into(), "0".into())),
            other => tracing::debug!(parameter = other, "the database's URL has a parameter that means nothing here"),
        }
    }
    let mut url = url.clone();
    url.set_query(None);
    if !parameters.iter().any(|(name, _)| name == "application_name") {
        parameters.push(("application_name".into(), "ai-api".into()));
    }
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

/// Brings the tables up to date. Of several gateways that start at once, one does it, and the others wait.
async fn migrate(connection: &mut AnyConnection) -> Result<(), OpenError> {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name("ai_api_migrations");
    migrator.run_direct(None, connection, false).await.map_err(|error| {
        OpenError::Migration(match error {
            MigrateError::VersionMissing(version) => {
                format!("a newer ai-api has used it (version {version}); start that one, or name another database")
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => reason(&error),
            other => other.to_string(),
        })
    })
}
