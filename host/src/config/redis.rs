//! Where gateways count together: Redis, or Valkey.
//!
//! ```yaml
//! router_settings: {redis_host: redis, redis_port: 6379, redis_password: os.environ/REDIS_PASSWORD}
//! general_settings: {fail_closed_rate_limit_enforcement: true}
//! ai_api_settings: {redis_namespace: staging}   # for several installations in one database
//! ```
//!
//! The first of `router_settings.redis_…`, `general_settings.coordination_redis` and, with `cache: true`,
//! `litellm_settings.cache_params` of the type `redis` says where it is. What it leaves out is taken from the variables
//! `REDIS_URL`, `REDIS_HOST` and so on, which are enough by themselves. As in LiteLLM (`litellm/_redis.py`) a URL says
//! everything: host, port, database and password beside it don't count.

use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo};

use super::at::At;
use super::environment::Environment;
use super::report::Report;
use super::secret::Secret;

const DEFAULT_PORT: u16 = 6379;
const LONGEST_NAMESPACE: usize = 64;

/// Where gateways count together, and what happens when it isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// The server.
    pub address: RedisAddress,
    /// For access control lists; without one it is `default`.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The number of the database.
    pub database: i64,
    /// `ai_api_settings.redis_namespace`: installations with different ones don't meet.
    pub namespace: Option<String>,
    /// What is refused while it can't be reached.
    pub fail_closed: FailClosed,
}

/// Where a Redis server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisAddress {
    /// In the network.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
        /// Whether TLS is spoken; the certificate is checked against those that the system trusts.
        tls: bool,
    },
    /// A socket of this machine.
    Unix(PathBuf),
}

/// Which calls are refused with 503 while nobody knows what all gateways together let in. Others are let in by what this
/// gateway counts for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailClosed {
    /// Those that a limit of requests, tokens or parallel calls binds: `fail_closed_rate_limit_enforcement`.
    pub rates: bool,
    /// Those that a budget binds: `fail_closed_budget_enforcement`.
    pub budgets: bool,
}

/// What one place in the file says of the server, and after it the environment.
struct Source<'a> {
    section: Option<At<'a>>,
    prefix: &'static str,
    environment: &'a Environment,
}

// === impl Redis ===

impl Redis {
    /// `None`: every gateway counts for itself.
    pub(super) fn read(root: &At<'_>, environment: &Environment, report: &mut Report) -> Option<Self> {
        let namespace = namespace(root, report);
        let fail_closed = FailClosed::read(root, report);
        let source = Source::of(root, environment);
        let (address, username, password, database) = match source.get("url") {
            Some(url) => from_url(&url, report)?,
            None => source.parts(report)?,
        };
        Some(Self { address, username, password, database, namespace, fail_closed })
    }
}

/// A namespace is part of each key's name.
fn namespace(root: &At<'_>, report: &mut Report) -> Option<String> {
    let at = root.map("ai_api_settings", report)?.get("redis_namespace")?;
    let text = at.text(report)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=LONGEST_NAMESPACE).contains(&text.len()) && text.bytes().all(plain) {
        return Some(text);
    }
    at.expected("1 to 64 letters, digits, `-`, `_` and `.`", report)
}

// === impl FailClosed ===

impl FailClosed {
    fn read(root: &At<'_>, report: &mut Report) -> Self {
        let section = root.map("general_settings", report);
        let mut flag =
            |key: &str| section.as_ref().and_then(|section| section.get(key)?.flag(report)).unwrap_or_default();
        Self { rates: flag("fail_closed_rate_limit_enforcement"), budgets: flag("fail_closed_budget_enforcement") }
    }
}

// === impl Source ===

/// Address, user name, password and number of the database.
type Parts = (RedisAddress, Option<String>, Option<Secret>, i64);

/// A value, and where it stands: in the file, or in a variable.
enum Found<'a> {
    File(At<'a>),
    Variable(String, &'a str),
}

impl<'a> Source<'a> {
    const KEYS: [&'static str; 7] = ["url", "host", "port", "password", "db", "username", "ssl"];

    fn of(root: &At<'a>, environment: &'a Environment) -> Self {
        let cache = root.get("litellm_settings").and_then(|litellm| {
            // Whether these have sensible values is not for us to say: nothing else here depends on them.
            let is_on = litellm.get("cache")?.flag(&mut Report::default())?;
            let params = litellm.get("cache_params")?;
            let is_redis = params.get("type")?.text(&mut Report::default())? == "redis";
            (is_on && is_redis).then_some(params)
        });
        let places = [
            (root.get("router_settings"), "redis_"),
            (root.get("general_settings").and_then(|general| general.get("coordination_redis")), ""),
            (cache, ""),
        ];
        let speaks =
            |at: &At<'_>, prefix: &str| Self::KEYS.iter().any(|key| at.get(&format!("{prefix}{key}")).is_some());
        let first = places.into_iter().find_map(|(at, prefix)| Some((at.filter(|at| speaks(at, prefix))?, prefix)));
        let (section, prefix) = first.map_or((None, ""), |(at, prefix)| (Some(at), prefix));
        Self { section, prefix, environment }
    }

    fn in_file(&self, key: &str) -> Option<At<'a>> {
        self.section.as_ref()?.get(&format!("{}{key}", self.prefix))
    }

    fn get(&self, key: &str) -> Option<Found<'a>> {
        if let Some(at) = self.in_file(key) {
            return Some(Found::File(at));
        }
        // A host in the file is not overruled by a URL in the environment.
        if key == "url" && self.in_file("host").is_some() {
            return None;
        }
        let name = format!("REDIS_{}", key.to_ascii_uppercase());
        let value = self.environment.get(&name)?;
        // Kubernetes sets REDIS_PORT to `tcp://10.0.0.1:6379` where a service is called redis.
        (key != "port" || !value.starts_with("tcp://")).then_some(Found::Variable(name, value))
    }

    fn text(&self, key: &str, report: &mut Report) -> Option<String> {
        match self.get(key)? {
            Found::File(at) => at.text(report).map(|text| text.trim().to_owned()),
            Found::Variable(_, value) => Some(value.trim().to_owned()),
        }
    }

    /// What a server is made of, piece by piece; `None`: there is none.
    fn parts(&self, report: &mut Report) -> Option<Parts> {
        let Some(host) = self.text("host", report).filter(|host| !host.is_empty()) else {
            if let Some(section) = &self.section {
                let (path, prefix) = (&section.path, self.prefix);
                let problem = format!("there is no {prefix}host and no {prefix}url: nothing is counted in Redis");
                report.warn(section.place(), path.clone(), problem);
            }
            return None;
        };
        const PORT: &str = "a port, from 1 to 65535";
        let port = self.number("port", PORT, |text| text.parse().ok().filter(|port| *port > 0), report);
        let database = self.number("db", "the number of a database", |text| text.parse::<u16>().ok(), report);
        let tls = self.number("ssl", "true or false", super::environment::parse_flag, report).unwrap_or_default();
        let address = RedisAddress::Tcp { host, port: port.unwrap_or(DEFAULT_PORT), tls };
        let password = self.text("password", report).filter(|text| !text.is_empty()).map(Secret::new);
        let username = self.text("username", report).filter(|text| !text.is_empty());
        Some((address, username, password, database.unwrap_or_default().into()))
    }

    fn number<T>(&self, key: &str, what: &str, parse: impl Fn(&str) -> Option<T>, report: &mut Report) -> Option<T> {
        let found = self.get(key)?;
        let text = match &found {
            Found::File(at) => at.text(report)?,
            Found::Variable(_, value) => (*value).to_owned(),
        };
        parse(text.trim()).or_else(|| found.expected(what, report))
    }
}

// === impl Found ===

impl Found<'_> {
    fn expected<T>(&self, what: &str, report: &mut Report) -> Option<T> {
        match self {
            Self::File(at) => at.expected(what, report),
            Self::Variable(name, _) => {
                report.error(&super::environment_place(), name.clone(), format!("expected {what}"));
                None
            }
        }
    }
}

fn from_url(found: &Found<'_>, report: &mut Report) -> Option<Parts> {
    const WHAT: &str = "a URL like redis://:PASSWORD@HOST:6379/0, rediss:// for TLS, or unix:///PATH";
    let text = match found {
        Found::File(at) => at.text(report)?,
        Found::Variable(_, value) => (*value).to_owned(),
    };
    let Ok(info) = text.trim().into_connection_info() else { return found.expected(WHAT, report) };
    let address = match info.addr() {
        ConnectionAddr::Tcp(host, port) => RedisAddress::Tcp { host: host.clone(), port: *port, tls: false },
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            return found.expected("a URL without #insecure: the certificate is checked", report);
        }
        ConnectionAddr::TcpTls { host, port, .. } => RedisAddress::Tcp { host: host.clone(), port: *port, tls: true },
        ConnectionAddr::Unix(path) => RedisAddress::Unix(path.clone()),
        _ => return found.expected(WHAT, report),
    };
    let settings = info.redis_settings();
    let (username, password) = (settings.username().map(str::to_owned), settings.password().map(Secret::new));
    Some((address, username, password, settings.db()))
}

// === impl RedisAddress ===

impl std::fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
