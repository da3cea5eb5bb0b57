//! Where keys and spend are kept, and what of calls is kept at all.
//!
//! ```yaml
//! general_settings:
//!   database_url: postgresql://user:password@host/name   # or sqlite:///data/ai-api.db, or none
//!   disable_spend_logs: true                              # no row for each call; sums are kept
//!   maximum_spend_logs_retention_period: 30d
//! ```

use std::path::PathBuf;
use std::time::Duration;

use super::at::At;
use super::environment::Environment;
use super::origin::Origin;
use super::report::{Report, Severity};
use super::secret::Secret;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The file that there is by default, beside the configuration.
const DEFAULT_FILE: &str = "ai-api.db";

/// The database, and what is written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Which one.
    pub place: StorePlace,
    /// Connections to a server: `database_connection_pool_limit`, 10 by default.
    pub connections: u32,
    /// How long the start waits for a server: `database_connection_timeout`, 60 s by default.
    pub connection_timeout: Duration,
    /// A row for each call: not with `disable_spend_logs`.
    pub rows: bool,
    /// A row for calls that failed too: not with `disable_error_logs`.
    pub error_rows: bool,
    /// What keys, users, teams and days have spent: not with `disable_spend_updates`.
    pub sums: bool,
    /// What was asked and answered is in the row: `store_prompts_in_spend_logs`.
    pub prompts: bool,
    /// Older rows are deleted: `maximum_spend_logs_retention_period`.
    pub retention: Option<Duration>,
    /// How often that is looked for: `maximum_spend_logs_retention_interval`, once a day by default.
    pub retention_interval: Duration,
}

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// None: there is the master key, and nobody else.
    None,
    /// Nobody named one: this file, if it can be.
    Default(PathBuf),
    /// The operator named this one.
    Named(Where),
    /// The operator named a variable for it that is not set.
    Unset(String),
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// SQLite.
    File(PathBuf),
    /// Postgres: its URL, with a password.
    Server(Secret),
}

// === impl StoreSettings ===

impl StoreSettings {
    pub(super) fn read(root: &At<'_>, origin: &Origin, environment: &Environment, report: &mut Report) -> Self {
        let section = root.map("general_settings", report);
        let get = |key: &str| section.as_ref().and_then(|section| section.get(key));
        let mut flag = |key: &str| get(key).and_then(|at| at.flag(report)).unwrap_or(false);
        let [rows, error_rows, sums] =
            ["disable_spend_logs", "disable_error_logs", "disable_spend_updates"].map(|key| !flag(key));
        let prompts = flag("store_prompts_in_spend_logs");
        let mut span = |key: &str| get(key).and_then(|at| span(&at, report));
        let retention = span("maximum_spend_logs_retention_period");
        let retention_interval = span("maximum_spend_logs_retention_interval").unwrap_or(DAY);
        let connections = get("database_connection_pool_limit").and_then(|at| at.count_above_zero(report));
        let connection_timeout = get("database_connection_timeout").and_then(|at| at.seconds(report));
        Self {
            place: place(section.as_ref(), origin, environment, report),
            connections: connections.unwrap_or(10),
            connection_timeout: connection_timeout.unwrap_or(Duration::from_secs(60)),
            rows,
            error_rows,
            sums,
            prompts,
            retention,
            retention_interval,
        }
    }
}

/// `AI_API_DATABASE`, else `database_url`, else `DATABASE_URL`, else a file beside the configuration.
fn place(section: Option<&At<'_>>, origin: &Origin, environment: &Environment, report: &mut Report) -> StorePlace {
    if let Some(place) = of_variable("AI_API_DATABASE", origin, environment, report) {
        return place;
    }
    if let Some(at) = section.and_then(|section| section.raw("database_url")) {
        if let Some(variable) = at.node.unset_variable() {
            return StorePlace::Unset(variable.to_owned());
        }
        if !at.node.is_none() {
            let text = at.text(report).unwrap_or_default();
            return parse(&text, origin).unwrap_or_else(|| {
                at.error(EXPECTED, report);
                StorePlace::None
            });
        }
    }
    if let Some(place) = of_variable("DATABASE_URL", origin, environment, report) {
        return place;
    }
    match origin {
        Origin::File(_) => StorePlace::Default(origin.folder().join(DEFAULT_FILE)),
        Origin::BuiltIn => StorePlace::None,
    }
}

/// Without what was written, which holds a password.
const EXPECTED: &str = "expected postgresql://user:password@host/name, sqlite:///path/to/file, or none";

fn of_variable(name: &str, origin: &Origin, environment: &Environment, report: &mut Report) -> Option<StorePlace> {
    let place = parse(environment.get(name)?, origin);
    Some(place.unwrap_or_else(|| {
        report.add(Severity::Error, &super::environment_place(), name, EXPECTED);
        StorePlace::None
    }))
}

/// `sqlite:///a` is `/a`, and `sqlite://a` and `sqlite:a` are `a` beside the configuration.
fn parse(text: &str, origin: &Origin) -> Option<StorePlace> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") {
        return Some(StorePlace::None);
    }
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        let is_file = !path.is_empty() && !path.ends_with('/') && !path.contains(['?', '\0']) && path != ":memory:";
        return is_file.then(|| StorePlace::Named(Where::File(origin.folder().join(&*path))));
    }
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    let is_url = is_postgres && url::Url::parse(text).is_ok();
    is_url.then(|| StorePlace::Named(Where::Server(Secret::new(text))))
}

/// `30d` as LiteLLM writes it, or a number of seconds.
fn span(at: &At<'_>, report: &mut Report) -> Option<Duration> {
    let text = at.text(report)?;
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY.as_secs(),
        "w" => 7 * DAY.as_secs(),
        "mo" => 30 * DAY.as_secs(),
        _ => 0,
    };
    let seconds = digits.parse().ok().and_then(|count: u64| count.checked_mul(unit)).filter(|seconds| *seconds > 0);
    let seconds = seconds.filter(|seconds| *seconds <= 1000 * 366 * DAY.as_secs());
    seconds.map(Duration::from_secs).or_else(|| at.expected("a time like 30d, 12h or 45m", report))
}
