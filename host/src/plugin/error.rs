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
    #[error("{file}: built against {found}, this host speaks ai-api:plugin@0.1.0")]
    WrongVersion {
        /// Which file.
        file: String,
        /// The package that it exports.
        found: String,
    },
    /// It exports no interface that the gateway knows.
    #[error("{file}: exports no provider interface (ai-api:plugin/provider@0.1.0)")]
    NoRole {
        /// Which file.
        file: String,
    },
    /// It imports something that plugins don't get.
    #[error("{file}: {reason}")]
    Imports {
        /// Which file.
        file: String,
        /// The linker's word, which names the import.
        reason: String,
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
    #[error("{file}: failed in describe")]
    Describe {
        /// Which file.
        file: String,
        /// How.
        source: CallError,
    },
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
}

/// `RateLimited (429)`
fn kind_and_status(failure: &Failure) -> String {
    let kind = format!("{:?}", failure.kind);
    let kind = kind.trim_start_matches("FailureKind::");
    if failure.status == 0 { kind.to_owned() } else { format!("{kind} ({})", failure.status) }
}
