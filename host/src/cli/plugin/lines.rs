//! What a plugin writes to its log while it is tried: for its author to see.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// So many lines are kept until they are taken.
const KEPT: usize = 3;

/// Lines that were written since they were last taken, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<String>>>);

/// Where the lines go.
enum Listener {
    StandardError,
    Kept(Lines),
}

/// Prints them to standard error as they come.
pub(super) fn print() {
    listen(Listener::StandardError);
}

impl Lines {
    /// Begins to keep them.
    pub(super) fn keep() -> Self {
        let lines = Self::default();
        listen(Listener::Kept(lines.clone()));
        lines
    }

    /// The first ones since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn listen(listener: Listener) {
    // A second listener in one process (tests) is none.
    let _ = tracing_subscriber::registry().with(listener).try_init();
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        // The host's own events are for operators.
        if !said.by_a_plugin || !event.metadata().target().starts_with("ai_api::plugin::") {
            return;
        }
        let line = format!("log {}: {}", event.metadata().level().as_str().to_lowercase(), said.message);
        match self {
            // Nothing is left to tell it to when standard error is gone.
            Self::StandardError => drop(writeln!(std::io::stderr(), "{line}")),
            Self::Kept(lines) => {
                let mut lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() < KEPT && !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
    }
}

#[derive(Default)]
struct Said {
    by_a_plugin: bool,
    message: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => drop(write!(self.message, "{value:?}")),
            "plugin" => self.by_a_plugin = true,
            _ => {}
        }
    }
}
