//! Everything about callers and money that outlives reloads: the directory of keys, limits, the database, and who is told
//! of calls that are over.

use std::sync::Arc;

use anyhow::{Context, bail};

use crate::config::{Config, Environment, StorePlace, StoreSettings};
use crate::keys::Directory;
use crate::limits::Limiter;
use crate::store::{self, Database, Store};
use crate::telemetry::metrics::Metrics;
use crate::usage::{Books, Sink};

/// One for each process.
#[derive(Debug, Default)]
pub struct Accounts {
    /// The database, if there is one: without it there is the master key and nothing else.
    pub store: Option<Arc<dyn Store>>,
    /// The same, for reports.
    pub database: Option<Arc<Database>>,
    /// Who has keys.
    pub directory: Arc<Directory>,
    /// What they may use.
    pub limiter: Arc<Limiter>,
    /// Who is told of calls that are over.
    pub books: Arc<Books>,
    /// What is counted of calls.
    pub metrics: Arc<Metrics>,
}

impl Accounts {
    /// Opens the database, reads the directory, and begins to follow both.
    ///
    /// # Errors
    /// The configuration names a database that can't be opened.
    pub async fn open(config: &Config, _environment: &Environment) -> anyhow::Result<Self> {
        let database = database(&config.store).await?.map(Arc::new);
        let store = database.clone().map(|database| database as Arc<dyn Store>);
        let directory = match &store {
            Some(store) => Directory::open(store.clone()).await.context("reading the keys in the database")?,
            None => Arc::default(),
        };
        let metrics = Arc::new(Metrics::default());
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(metrics.clone())];
        Ok(Self { store, database, directory, books: Arc::new(Books::new(sinks)), metrics, ..Self::default() })
    }

    /// Everything that was told is written, as far as that is possible within seconds; at the end of the process.
    pub async fn close(&self) {
        if let Some(database) = &self.database {
            database.close().await;
        }
    }
}

/// The database that there is to be, if it can be opened or has to be.
async fn database(settings: &StoreSettings) -> anyhow::Result<Option<Database>> {
    match &settings.place {
        StorePlace::None => Ok(None),
        StorePlace::Unset(variable) => bail!(
            "general_settings.database_url is taken from {variable}, which is not set: set it, or take database_url out"
        ),
        StorePlace::Named(place) => {
            let opened = store::open(settings, place).await;
            Ok(Some(opened.context("mend general_settings.database_url (or DATABASE_URL), or set it to none")?))
        }
        StorePlace::Default(file) => {
            let place = crate::config::Where::File(file.clone());
            match store::open(settings, &place).await {
                Ok(database) => Ok(Some(database)),
                Err(error) => {
                    tracing::warn!(
                        "{error}: there are no virtual keys and no spend; make the folder writable, or name another \
                         place with general_settings.database_url: sqlite:///path/to/ai-api.db, or none"
                    );
                    Ok(None)
                }
            }
        }
    }
}
