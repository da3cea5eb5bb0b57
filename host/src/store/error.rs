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
            sqlx::Error::PoolTimedOut => Self::Unavailable("it doesn't answer".to_owned()),
            _ => Self::Unavailable(reason(&error)),
        }
    }
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
