//! Gateways that count in a real Redis, whose time is what the test says.

mod model;
mod rules;

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;

use ai_api_e2e::RedisServer;

use super::super::Rate;
use super::*;
use crate::config::RedisAddress;

/// Where the time begins: any second will do.
const BEGIN: u64 = 1_000_000_500;

/// An installation of its own in a Redis.
struct Bench {
    settings: Settings,
    names: Names,
    connection: redis::aio::MultiplexedConnection,
    /// In ms.
    now: u64,
}

/// A gateway without a background: what its keeper does, it does when it is told to.
struct Gateway {
    inner: Arc<Inner>,
    keeper: Keeper,
}

// === impl Bench ===

impl Bench {
    async fn new(server: &RedisServer) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let address = server.address();
        let settings = Settings {
            address: RedisAddress::Tcp { host: address.ip().to_string(), port: address.port(), tls: false },
            username: None,
            password: None,
            database: 0,
            namespace: Some(format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed))),
            fail_closed: FailClosed::default(),
        };
        let names = Names::new(settings.namespace.as_deref());
        let client = link::client(&settings).expect("an address");
        let connection = client.get_multiplexed_async_connection().await.expect("Redis is there");
        let mut bench = Self { settings, names, connection, now: BEGIN };
        bench.pass(0).await;
        bench
    }

    /// Time passes, for Redis.
    async fn pass(&mut self, ms: u64) {
        self.now += ms;
        let mut command = redis::cmd("HSET");
        command.arg(format!("{}:clock", self.names.gateways()));
        command.arg("s").arg(self.now / 1000).arg("us").arg(self.now % 1000 * 1000);
        command.query_async::<()>(&mut self.connection).await.expect("Redis is there");
    }

    async fn gateway(&self) -> Gateway {
        let inner = Arc::new(Inner::new(&self.settings, Scripts::with_clock_of_tests()).expect("an address"));
        let mut gateway = Gateway { keeper: Keeper::new(inner.clone()), inner };
        gateway.at(self.now);
        gateway.keeper.connect().await.expect("Redis is there");
        gateway
    }

    /// Everything that a counter holds.
    async fn counter(&mut self, claim: &Claim) -> HashMap<String, i64> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.names.counter(claim));
        command.query_async(&mut self.connection).await.expect("Redis is there")
    }

    /// All that this installation has in Redis is lost, but for the time.
    async fn forget(&mut self) {
        let pattern = self.names.gateways().replace("gateways", "*");
        let keys: Vec<String> =
            redis::cmd("KEYS").arg(pattern).query_async(&mut self.connection).await.expect("Redis is there");
        for key in keys.iter().filter(|key| !key.ends_with(":clock")) {
            redis::cmd("DEL").arg(key).query_async::<()>(&mut self.connection).await.expect("Redis is there");
        }
    }
}

// === impl Gateway ===

impl Gateway {
    /// What time it is for this gateway.
    fn at(&self, now: u64) {
        self.inner.ledger.now_of_tests.store(now, Ordering::Relaxed);
    }

    async fn take(&self, claims: &[Claim]) -> Result<(Ticket, Standings), NotTaken> {
        self.inner.take(claims).await
    }

    /// The same as the limiter does it: alone, if it has to be.
    async fn take_anyway(&self, claims: &[Claim]) -> Result<(Ticket, Standings), NotTaken> {
        match self.take(claims).await {
            Err(NotTaken::Unreachable) => Ok((self.inner.take_alone(claims), Standings::new())),
            other => other,
        }
    }

    fn settle(&self, ticket: Ticket, claims: &[Claim], tokens: u64, cost: i64) {
        self.inner.settle(ticket, claims, End::Settled { tokens, cost: Money::from_pico(cost) });
    }

    /// Says that it is there, and tells all that is untold. Returns whether it was heard of in time.
    async fn tell(&mut self) -> bool {
        let link = self.inner.link.load_full().expect("it is connected");
        self.keeper.keep_once(&link, true).await.expect("Redis is there");
        link.broken().is_none()
    }

    /// Comes back under another name.
    async fn reconnect(&mut self) {
        self.inner.close_link();
        self.keeper.connect().await.expect("Redis is there");
    }
}

fn scope(name: &str) -> Scope {
    Scope::Key(name.into())
}

fn rate(name: &str, what: Rate, amount: u64, limit: u64) -> Claim {
    Claim { scope: scope(name), of: Amount::Rate { what, amount, limit: Some(limit) } }
}

fn money(name: &str, amount: i64, limit: i64, known: i64) -> Claim {
    let (amount, limit, known) = (Money::from_pico(amount), Some(Money::from_pico(limit)), Money::from_pico(known));
    Claim { scope: scope(name), of: Amount::Money { amount, limit, since: None, period: None, known } }
}
