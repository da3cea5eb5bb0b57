//! What can go wrong with a database, told without what it holds.

/// The database didn't do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, or has no room, or is too slow: later it may.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Another one has it: a key or an alias exists already.
    #[error("{0}")]
    Conflict(String),
    /// It answers, and says no: asked again, it says so again.
    #[error("the database refuses it: {0}")]
    Refused(String),
    /// What it holds makes no sense to us.
    #[error("the database holds what can't be read: {0}")]
    Unreadable(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(told) if told.is_unique_violation() => {
                let message = told.message();
                // SQLite names the column, Postgres the index.
                let is_alias = message.contains("keys.alias") || told.constraint() == Some("keys_alias");
                let taken = if is_alias { "a key with this alias exists already" } else { "it exists already" };
                Self::Conflict(taken.to_owned())
            }
            // Postgres: there is no such character in its texts.
            sqlx::Error::Database(told) if told.code().as_deref() == Some("22021") => {
                Self::Conflict("a text with the character U+0000 can't be stored".to_owned())
            }
            // 22 and 23: what is written doesn't fit, and won't.
            sqlx::Error::Database(told)
                if told
                    .code()
                    .is_some_and(|code| code.len() == 5 && (code.starts_with("22") || code.starts_with("23"))) =>
            {
                Self::Conflict(reason(&error))
            }
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::AnyDriverError(_) => Self::Unreadable(error.to_string()),
            sqlx::Error::Database(told) if told.code().is_some_and(|code| !passes(&code)) => {
                Self::Refused(reason(&error))
            }
            sqlx::Error::Encode(_) => Self::Refused(reason(&error)),
            sqlx::Error::PoolTimedOut => Self::Unavailable("it doesn't answer".to_owned()),
            _ => Self::Unavailable(reason(&error)),
        }
    }
}

/// Whether what a database says is about the moment, not about what it was asked: about the connection to it, what it has
/// room for, who holds a lock, whether it runs.
fn passes(code: &str) -> bool {
    // SQLSTATE has five characters; SQLite's codes are numbers, the first byte of which says what kind it is.
    if code.len() == 5 {
        // The last three: no password that is right, no such database (yet), and read-only: another server leads now.
        let moments = ["08", "40", "53", "55", "57", "58", "28", "3D", "25006"];
        return moments.iter().any(|class| code.starts_with(class));
    }
    let Ok(code) = code.parse::<u32>() else { return false };
    // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL
    matches!(code & 0xff, 5..=10 | 13..=15)
}

/// Why, in a line.
pub(super) fn reason(error: &sqlx::Error) -> String {
    match error {
        // The server's own words; what values they are about is in its `detail`, which is left out.
        sqlx::Error::Database(told) => told.message().lines().next().unwrap_or_default().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

    use super::*;

    #[test]
    fn what_is_about_the_moment_passes_and_what_is_about_the_statement_does_not() {
        // Connection lost, deadlock, disk full, lock, shutdown, I/O; SQLite: BUSY, BUSY_SNAPSHOT, LOCKED, IOERR_WRITE, FULL.
        for code in ["08006", "40P01", "53100", "55P03", "57P01", "58030", "25006", "5", "517", "6", "778", "13"] {
            assert!(passes(code), "{code}");
        }
        // Twice the same row, no such column, no such function, internal; SQLite: ERROR, CORRUPT, TOOBIG, MISMATCH.
        for code in ["21000", "42703", "42883", "XX000", "25P02", "1", "11", "18", "20", ""] {
            assert!(!passes(code), "{code}");
        }
    }

    #[tokio::test]
    async fn a_statement_that_makes_no_sense_is_refused() {
        let mut database = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        let error = sqlx::query("INSERT INTO nowhere VALUES (1)").execute(&mut database).await.unwrap_err();
        assert_eq!(StoreError::from(error).to_string(), "the database refuses it: no such table: nowhere");
    }
}
