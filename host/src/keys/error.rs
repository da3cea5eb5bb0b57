//! Why keys, users and teams can't be managed as somebody wants.

use crate::store::StoreError;

/// What whoever manages is told; wrong parameters are told in the way of all requests.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no database to keep them in.
    #[error(
        "No connected db. Keys, users and teams need a database: leave general_settings.database_url out for a file beside \
         the configuration, which has to be in a folder that the gateway may write to, or set it to sqlite:///… or \
         postgresql://…"
    )]
    NoDatabase,
    /// The database didn't do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such thing.
    #[error("{message}")]
    NotFound {
        /// Where the request names it.
        param: &'static str,
        /// For the client.
        message: String,
    },
    /// There is one already.
    #[error("{message}")]
    Exists {
        /// Where the request names it.
        param: &'static str,
        /// For the client.
        message: String,
    },
    /// Whoever asks may not.
    #[error("{0}")]
    Forbidden(String),
}
