//! A connection to Redis, and the name that this gateway has there as long as it lasts.
//!
//! Whatever goes wrong with a connection ends it, and the name with it: whether a question that was not answered was
//! carried out, or will be, doesn't matter any more, as what is held by an old name is void.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError,
};
use tokio::time::{Instant, timeout};

use super::script::{Call, Scripts, Source};
use crate::config::{Redis as Settings, RedisAddress};

/// Until a server is connected, TLS and the password included.
const CONNECT: Duration = Duration::from_secs(if cfg!(test) { 20 } else { 1 });
/// A question without an answer for so long: the connection is dead. Those who ask have given up long before.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
/// Questions that may wait to be written; more wait to be asked.
const WAITING: usize = 4096;
/// Prompt answers in succession before calls are made to wait for a server again.
const TRIALS: usize = 3;

/// What an answer that is late or missing adds to the badness of a connection, which every good one lowers by 1.
const BAD: u32 = 10;
/// It is given up at three bad answers in succession, or at more than a tenth of all.
const TOO_BAD: u32 = 3 * BAD;

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    /// What the gateway is called.
    pub(super) gateway: String,
    /// Which of its names that is.
    pub(super) generation: u64,
    badness: AtomicU32,
    broken: OnceLock<String>,
}

/// Why nothing is counted in Redis.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// It said no, or the network did.
    #[error("{}", Self::told(.0))]
    Redis(#[from] RedisError),
    /// It is too slow to be asked on the way of a call.
    #[error("no answer within {} ms", .0.as_millis())]
    Slow(Duration),
}

// === impl Link ===

impl Link {
    /// Connects, and tries whether the server is there and answers within `limit`.
    ///
    /// # Errors
    /// It isn't, or doesn't.
    pub(super) async fn try_server(
        client: &Client,
        scripts: &Scripts,
        limit: Duration,
    ) -> Result<MultiplexedConnection, LinkError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(SILENCE))
            .set_pipeline_buffer_size(WAITING);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = timeout(CONNECT, connecting).await.map_err(|_| LinkError::Slow(CONNECT))??;
        let load = async {
            for script in scripts.all() {
                script.load(&mut connection).await?;
            }
            Ok::<_, RedisError>(())
        };
        timeout(CONNECT, load).await.map_err(|_| LinkError::Slow(CONNECT))??;
        for _ in 0..TRIALS {
            let ping = redis::cmd("PING");
            let asked = ping.query_async::<()>(&mut connection);
            timeout(limit, asked).await.map_err(|_| LinkError::Slow(limit))??;
        }
        Ok(connection)
    }

    pub(super) fn new(connection: MultiplexedConnection, gateway: String, generation: u64) -> Self {
        Self { connection, gateway, generation, badness: AtomicU32::new(0), broken: OnceLock::new() }
    }

    /// Asks, however long that takes.
    pub(super) async fn ask<T: FromRedisValue>(&self, source: &Source, call: &Call) -> Result<T, RedisError> {
        let mut connection = self.connection.clone();
        call.make(source, &mut connection).await
    }

    /// Asks in the background, where nobody waits, and judges the connection by it.
    ///
    /// # Errors
    /// It failed, or took far too long.
    pub(super) async fn tell<T: FromRedisValue>(
        &self,
        source: &Source,
        call: &Call,
        limit: Duration,
    ) -> Result<T, LinkError> {
        let began = Instant::now();
        let answer = timeout(CONNECT, self.ask(source, call)).await.map_err(|_| LinkError::Slow(CONNECT))??;
        if began.elapsed() <= limit {
            self.good();
        } else {
            self.bad(limit);
        }
        Ok(answer)
    }

    /// Leaves, so that what is held is given back at once.
    pub(super) async fn leave(&self, gateways: &str) {
        let mut connection = self.connection.clone();
        let mut command = redis::cmd("ZREM");
        command.arg(gateways).arg(&self.gateway);
        // It is forgotten soon anyway.
        let _ = timeout(CONNECT, command.query_async::<()>(&mut connection)).await;
    }

    /// An answer came in time.
    pub(super) fn good(&self) {
        // Nothing to take away is the usual case, and then nothing is written.
        if self.badness.load(Ordering::Relaxed) > 0 {
            let lower = |badness: u32| badness.checked_sub(1);
            let _ = self.badness.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
        }
    }

    /// One didn't. Returns whether that was one too many.
    pub(super) fn bad(&self, limit: Duration) -> bool {
        let badness = self.badness.fetch_add(BAD, Ordering::Relaxed) + BAD;
        badness >= TOO_BAD && self.give_up(LinkError::Slow(limit).to_string())
    }

    /// It is over. Returns whether this is the first to say so.
    pub(super) fn give_up(&self, why: String) -> bool {
        self.broken.set(why).is_ok()
    }

    /// Why it is over, if it is.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }
}

// === impl LinkError ===

impl LinkError {
    /// What went wrong, short. Redis doesn't repeat what it was sent, and nobody is told a password.
    pub(super) fn told(error: &RedisError) -> String {
        error.to_string().chars().take(200).collect()
    }
}

/// How to connect to a server.
///
/// # Errors
/// The address is none.
pub(super) fn client(settings: &Settings) -> Result<Client, RedisError> {
    // Somebody else in the process may have chosen a provider already; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = match &settings.address {
        RedisAddress::Tcp { host, port, tls: false } => ConnectionAddr::Tcp(host.clone(), *port),
        RedisAddress::Tcp { host, port, tls: true } => {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        }
        RedisAddress::Unix(path) => ConnectionAddr::Unix(path.clone()),
    };
    let mut of_redis =
        RedisConnectionInfo::default().set_db(settings.database).set_lib_name("ai-api", env!("CARGO_PKG_VERSION"));
    if let Some(username) = &settings.username {
        of_redis = of_redis.set_username(username);
    }
    if let Some(password) = &settings.password {
        of_redis = of_redis.set_password(password.expose());
    }
    let info: ConnectionInfo = address.into_connection_info()?;
    Client::open(info.set_redis_settings(of_redis).set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}
