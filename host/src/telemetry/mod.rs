//! Logs, metrics and traces.

pub mod callbacks;
mod content;
mod line;
pub mod metrics;
pub mod otlp;
pub mod outbox;
mod payload;
mod sink;
pub mod webhook;

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub use line::Line;

use crate::config::Logging;
use sink::Sink;

/// The process's log, once it is started.
static LOG: OnceLock<Log> = OnceLock::new();

#[derive(Debug)]
struct Log {
    sink: Sink,
    format: Format,
    /// Whether requests have lines.
    requests: bool,
}

/// What the log's lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Text, for a file.
    Plain,
    /// Text, for a terminal.
    Coloured,
    /// A JSON object each.
    Json,
}

/// Keeps the log going; dropped, it waits until all lines are out.
#[derive(Debug)]
#[must_use]
pub struct Started(());

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(log) = LOG.get() {
            log.sink.flush();
        }
    }
}

/// Starts the log: to standard error, as text or as JSON, one line an event. A second start in one process (tests)
/// keeps the first log.
///
/// # Errors
/// There is no thread for it.
pub fn start(logging: &Logging) -> io::Result<Started> {
    start_into(logging, io::stderr(), io::stderr().is_terminal())
}

/// The same to somewhere else, for benchmarks.
///
/// # Errors
/// Those of [`start`].
#[doc(hidden)]
pub fn start_into(logging: &Logging, out: impl Write + Send + 'static, colours: bool) -> io::Result<Started> {
    if LOG.get().is_some() {
        return Ok(Started(()));
    }
    let format = match logging.json {
        true => Format::Json,
        false if colours => Format::Coloured,
        false => Format::Plain,
    };
    let sink = Sink::start(out, format)?;
    // Libraries below us talk about connections and headers; that is nobody's wish at debug level.
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse_lossy(format!("warn,ai_api={}", logging.level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(sink.clone()).with_target(false);
    let _ = match format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Plain | Format::Coloured => builder.with_ansi(format == Format::Coloured).try_init(),
    };
    let _ = LOG.set(Log { sink, format, requests: Level::INFO <= logging.level });
    Ok(Started(()))
}

/// Writes the line of one request, where the log has such lines.
pub fn log_request(fields: impl FnOnce(&mut Line)) {
    let Some(log) = LOG.get().filter(|log| log.requests) else { return };
    let mut line = Line::new(log.format, "INFO", "request");
    fields(&mut line);
    log.sink.push(&line.finish());
}

/// Writes the line of an attempt that brought no answer; a request's own line is that of its last one.
pub fn log_attempt(level: &str, fields: impl FnOnce(&mut Line)) {
    let Some(log) = LOG.get().filter(|log| log.requests) else { return };
    let mut line = Line::new(log.format, level, "attempt");
    fields(&mut line);
    log.sink.push(&line.finish());
}
