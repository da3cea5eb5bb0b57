//! Everything about callers and money that outlives reloads: the directory of keys, limits, the database, and who is told
//! of calls that are over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::{Config, Environment, StorePlace, StoreSettings};
use crate::keys::Directory;
use crate::limits::{Limiter, redis::Redis};
use crate::spend::{self, Writer};
use crate::store::{self, Database, Kind, Store};
use crate::telemetry::callbacks::{self, Tellers};
use crate::telemetry::metrics::Metrics;
use crate::usage::{Books, Sink};

/// How often what others have spent is read.
const REREAD: Duration = Duration::from_secs(1);
/// The same for a file, which hardly ever has others.
const REREAD_FILE: Duration = Duration::from_secs(5);
/// How long a database may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

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
    /// Where it is counted for several gateways.
    pub redis: Option<Arc<Redis>>,
    /// Who is told of calls that are over.
    pub books: Arc<Books>,
    /// What is counted of calls.
    pub metrics: Arc<Metrics>,
    /// Who outside is told of calls.
    pub tellers: Tellers,
    /// Writes what calls have cost, if there is a database and anything is to be written.
    pub spend: Option<Arc<Writer>>,
}

impl Accounts {
    /// Opens the database, reads the directory, and begins to follow both.
    ///
    /// # Errors
    /// The configuration names a database that can't be opened.
    pub async fn open(config: &Config, _environment: &Environment) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new(callbacks::metric_settings(&config.callbacks)));
        let mut accounts = Self { metrics, tellers: Tellers::start(config)?, ..Self::default() };
        if let Some(database) = database(&config.store).await? {
            accounts.keep_in(Arc::new(database), &config.store).await?;
        }
        if let Some(settings) = &config.redis {
            let redis = Arc::new(Redis::start(settings).await.context("can't use the Redis of router_settings")?);
            accounts.limiter.share(redis.clone(), settings.fail_closed);
            accounts.redis = Some(redis);
        }
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(accounts.metrics.clone())];
        if let Some(spend) = &accounts.spend {
            sinks.push(Box::new(spend.clone()));
        }
        sinks.extend(accounts.tellers.sinks());
        accounts.books = Arc::new(Books::new(sinks));
        Ok(accounts)
    }

    /// Reads who there is and what they have spent, and keeps both in this database.
    async fn keep_in(&mut self, database: Arc<Database>, settings: &StoreSettings) -> anyhow::Result<()> {
        let store: Arc<dyn Store> = database.clone();
        self.directory = Directory::open(store.clone()).await.context("can't read the keys in the database")?;
        self.directory.tell(self.limiter.clone());
        self.limiter.know(&store.totals().await.context("can't read from the database what is spent")?);
        let reread = if database.kind() == Kind::Sqlite { REREAD_FILE } else { REREAD };
        self.spend = Some(Writer::start(store.clone(), self.limiter.clone(), settings, reread));
        tokio::spawn(spend::keep_tidy(database.clone(), settings.clone()));
        self.store = Some(store);
        self.database = Some(database);
        Ok(())
    }

    /// Everything that was told is written, as far as that is possible within seconds; at the end of the process.
    pub async fn close(&self) {
        self.directory.end();
        let redis = async {
            if let Some(redis) = &self.redis {
                redis.close().await;
            }
        };
        let spend = async {
            if let Some(spend) = &self.spend {
                spend.close().await;
            }
        };
        tokio::join!(redis, spend, self.tellers.close());
        if let Some(database) = &self.database {
            // One that doesn't answer has nothing of ours.
            let _ = tokio::time::timeout(GOODBYE, database.close()).await;
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
