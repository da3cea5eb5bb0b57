//! The scripts: what happens in Redis at once, and in one round trip.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind};

/// All scripts.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) take: Source,
    pub(super) settle: Source,
    pub(super) join: Source,
}

/// One script, which Redis knows by its hash once it has seen it.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    hash: String,
}

/// A call of a script that is being put together.
#[derive(Debug)]
pub(super) struct Call {
    command: Cmd,
}

// === impl Scripts ===

impl Scripts {
    pub(super) fn new() -> Self {
        Self::with_common(include_str!("common.lua"))
    }

    /// With another time than that of Redis: what the key of the gateways with `:clock` behind it says, in two fields.
    #[cfg(test)]
    pub(super) fn with_clock_of_tests() -> Self {
        const CLOCK: &str = "redis.call('TIME')";
        let common = include_str!("common.lua");
        assert_eq!(common.matches(CLOCK).count(), 1);
        Self::with_common(&common.replace(CLOCK, "redis.call('HMGET', KEYS[1] .. ':clock', 's', 'us')"))
    }

    fn with_common(common: &str) -> Self {
        let source = |own: &str| {
            let text = format!("{common}\n{own}");
            Source { hash: Script::new(&text).get_hash().to_owned(), text }
        };
        Self {
            take: source(include_str!("take.lua")),
            settle: source(include_str!("settle.lua")),
            join: source(include_str!("join.lua")),
        }
    }

    pub(super) fn all(&self) -> [&Source; 3] {
        [&self.take, &self.settle, &self.join]
    }
}

// === impl Source ===

impl Source {
    /// Begins a call with so many keys. All keys come before all other arguments.
    pub(super) fn call(&self, keys: usize) -> Call {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(keys);
        Call { command }
    }

    /// Makes it known.
    pub(super) async fn load(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        redis::cmd("SCRIPT").arg("LOAD").arg(&self.text).query_async(connection).await
    }
}

// === impl Call ===

impl Call {
    /// A key, or another argument.
    pub(super) fn push(&mut self, argument: impl redis::ToRedisArgs) {
        self.command.arg(argument);
    }

    /// Makes the call. Redis forgets scripts when it starts anew, or is told to: then `source` is made known again.
    pub(super) async fn make<T: FromRedisValue>(
        &self,
        source: &Source,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<T> {
        match self.command.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                source.load(connection).await?;
                self.command.query_async(connection).await
            }
            other => other,
        }
    }
}
