//! How a plugin fails: while it is loaded, and while it serves a call.

use super::Failure;

/// Why a file is not a plugin that this gateway can run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("can't read {file}")]
    Read {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The bytes are no WebAssembly component.
    #[error("{file}: not a WebAssembly component: {reason}")]
    NotAComponent {
        /// Which file.
        file: String,
        /// The compiler's word.
        reason: String,
    },
    /// It speaks a version of the interface that this host doesn't.
    #[error("{file}: built against {found}, {advice}; this host speaks ai-api:plugin@0.1.0")]
    WrongVersion {
        /// Which file.
        file: String,
        /// The package that it exports.
        found: String,
        /// Whether it is older or newer, and what to do.
        advice: &'static str,
    },
    /// It exports no interface that the gateway knows.
    #[error(
        "{file}: exports no provider interface (ai-api:plugin/provider@0.1.0); in Rust, is export_provider! there?"
    )]
    NoRole {
        /// Which file.
        file: String,
    },
    /// It is larger than a plugin may be.
    #[error("{file}: it has {mebibytes} MiB, and a plugin's file may have {most} (plugin_limits: max_wasm_mb)")]
    TooLarge {
        /// Which file.
        file: String,
        /// Its size.
        mebibytes: u64,
        /// What it may be.
        most: usize,
    },
    /// Compiling it could take minutes and gigabytes.
    #[error("{file}: {reason}")]
    TooComplex {
        /// Which file.
        file: String,
        /// What of it, and how much.
        reason: String,
    },
    /// It was given up.
    #[error("{file}: took longer than {seconds} s to compile and load")]
    TookTooLong {
        /// Which file.
        file: String,
        /// How long was waited.
        seconds: u64,
    },
    /// It imports something that plugins don't get.
    #[error("{file}: it {reason}")]
    Imports {
        /// Which file.
        file: String,
        /// Names the import.
        reason: String,
    },
    /// What it exports is not what the interface says.
    #[error("{file}: it does not keep to the interface: {reason}")]
    Interface {
        /// Which file.
        file: String,
        /// Names the function.
        reason: String,
    },
    /// It needs more to start than it may have.
    #[error("{file}: {reason}")]
    Limits {
        /// Which file.
        file: String,
        /// Of what, and how much.
        reason: String,
    },
    /// It says one thing now and another then.
    #[error("{file}: asked twice what it is, it gave two answers; describe must always return the same")]
    Unsteady {
        /// Which file.
        file: String,
    },
    /// What it says of itself makes no sense.
    #[error("{file}: its manifest is wrong: {reason}")]
    Manifest {
        /// Which file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// It failed when it was asked what it is.
    #[error("{file}: it failed in describe: {error}")]
    Describe {
        /// Which file.
        file: String,
        /// How.
        error: CallError,
    },
}

/// No reason is longer.
const MAX_REASON_CHARS: usize = 600;

impl LoadError {
    /// Whether the same bytes may load another time, when the machine is less busy.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Read { .. } | Self::TookTooLong { .. } => true,
            Self::Describe { error, .. } => matches!(error, CallError::OutOfTime(_) | CallError::Busy(_)),
            _ => false,
        }
    }

    /// With its cause, in one line of sensible length. Compilers like to write paragraphs, and what they quote is a
    /// stranger's: names of imports can be anything.
    pub fn in_one_line(&self) -> String {
        let source = std::error::Error::source(self).map(|source| format!(": {source}")).unwrap_or_default();
        let text = format!("{self}{source}");
        let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.retain(|c| !c.is_control());
        if let Some((end, _)) = line.char_indices().nth(MAX_REASON_CHARS) {
            line.truncate(end);
            line.push('…');
        }
        line
    }
}

/// Why a plugin failed one call. The four ways that are its own doing stay apart, and none harms another call.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It said so. Its words are for the client: a provider's may quote the prompt, so the log has the kind only.
    #[error("{}", kind_and_status(.0))]
    Failed(Failure),
    /// It trapped.
    #[error("the plugin trapped: {0}")]
    Trapped(String),
    /// It used up its time.
    #[error("the plugin ran for longer than {0:?}")]
    OutOfTime(std::time::Duration),
    /// It asked for more memory than it may have.
    #[error("the plugin wanted more than {0} bytes of memory")]
    OutOfMemory(usize),
    /// It returned something that it may not.
    #[error("the plugin {0}")]
    Refused(String),
    /// No instance is free for it.
    #[error("no plugin instance is free: {0}")]
    Busy(String),
    /// It kept failing by its own fault, and isn't asked for a while. Another deployment may be.
    #[error("the plugin is in quarantine for another {} s", seconds(.retry_after))]
    Quarantined {
        /// For how much longer.
        retry_after: std::time::Duration,
    },
}

impl CallError {
    /// How long to wait, in whole seconds rounded up, where that is known.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Quarantined { retry_after } => Some(seconds(retry_after)),
            Self::Busy(_) => Some(1),
            Self::Failed(_) | Self::Trapped(_) | Self::OutOfTime(_) | Self::OutOfMemory(_) | Self::Refused(_) => None,
        }
    }
}

/// Rounded up: coming back too early is refused again.
fn seconds(duration: &std::time::Duration) -> u64 {
    duration.as_millis().div_ceil(1000).max(1) as u64
}

/// `RateLimited (429)`
fn kind_and_status(failure: &Failure) -> String {
    let kind = format!("{:?}", failure.kind);
    let kind = kind.trim_start_matches("FailureKind::");
    if failure.status == 0 { kind.to_owned() } else { format!("{kind} ({})", failure.status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_whatever_a_strangers_file_says() {
        let imports = |reason: &str| LoadError::Imports { file: "a.wasm".to_owned(), reason: reason.to_owned() };

        let forged = imports("wants\n  `x`\r\n2026 ERROR forged \u{1b}[2J\u{0}").in_one_line();
        assert_eq!(forged, "a.wasm: it wants `x` 2026 ERROR forged [2J");
        let long = imports(&"ü".repeat(100_000)).in_one_line();
        assert!(long.chars().count() == MAX_REASON_CHARS + 1 && long.ends_with('…'), "{} bytes", long.len());
    }
}
