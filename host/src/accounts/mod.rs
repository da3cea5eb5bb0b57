//! Everything about callers and money that outlives reloads: the directory of keys, limits, the database, and who is told
//! of calls that are over.

use std::sync::Arc;

use crate::config::{Config, Environment};
use crate::keys::Directory;
use crate::limits::Limiter;
use crate::store::Store;
use crate::telemetry::callbacks::{self, Tellers};
use crate::telemetry::metrics::Metrics;
use crate::usage::{Books, Sink};

/// One for each process.
#[derive(Debug, Default)]
pub struct Accounts {
    /// The database, if there is one: without it there is the master key and nothing else.
    pub store: Option<Arc<dyn Store>>,
    /// Who has keys.
    pub directory: Arc<Directory>,
    /// What they may use.
    pub limiter: Arc<Limiter>,
    /// Who is told of calls that are over.
    pub books: Arc<Books>,
    /// What is counted of calls.
    pub metrics: Arc<Metrics>,
    /// Who outside is told of calls.
    pub tellers: Tellers,
}

impl Accounts {
    /// Opens the database, reads the directory, and begins to follow both.
    ///
    /// # Errors
    /// The configuration names a database that can't be opened.
    pub async fn open(config: &Config, _environment: &Environment) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new(callbacks::metric_settings(&config.callbacks)));
        let tellers = Tellers::start(config)?;
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(metrics.clone())];
        sinks.extend(tellers.sinks());
        Ok(Self { books: Arc::new(Books::new(sinks)), metrics, tellers, ..Self::default() })
    }

    /// Everything that was told is written, as far as that is possible within seconds; at the end of the process.
    pub async fn close(&self) {
        self.tellers.close().await;
    }
}
