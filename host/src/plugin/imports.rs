//! What a component may ask for, and what it gets: one table, for loading and for `plugin inspect`.

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::{LoadError, Runtime};

/// What becomes of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Lines for the operator's log.
    Log,
    /// Types alone: there is nothing to call.
    Types,
    /// The time.
    Clock,
    /// Random bytes.
    Random,
    /// Linked, for language runtimes ask for it, with nothing behind it.
    Empty(&'static str),
    /// The component doesn't load.
    Refused(&'static str),
}

/// Interfaces by their name without the version, or whole packages with the slash at the end; the first that fits.
const TABLE: &[(&str, Fate)] = &[
    ("ai-api:plugin/log", Fate::Log),
    ("ai-api:plugin/types", Fate::Types),
    ("wasi:clocks/", Fate::Clock),
    ("wasi:random/", Fate::Random),
    ("wasi:cli/environment", Fate::Empty("no variables, no arguments")),
    ("wasi:cli/exit", Fate::Empty("ends the call as a trap does")),
    ("wasi:cli/stdin", Fate::Empty("always at its end")),
    ("wasi:cli/stdout", Fate::Empty("what is written is thrown away")),
    ("wasi:cli/stderr", Fate::Empty("what is written is thrown away")),
    ("wasi:cli/terminal-", Fate::Empty("there is no terminal")),
    ("wasi:filesystem/", Fate::Empty("no files, no folders")),
    ("wasi:io/", Fate::Empty("streams of the above")),
    ("wasi:http/", Fate::Refused("a plugin sends nothing: it returns the request, and the gateway sends it")),
    ("wasi:sockets/", Fate::Refused("a plugin has no network")),
];

/// The versions that are linked: those that the standard says are compatible with these.
const VERSIONS: &[(&str, &str)] = &[("ai-api:plugin/", "0.1."), ("wasi:", "0.2.")];

/// What becomes of the import called `name`, such as `wasi:clocks/wall-clock@0.2.6`.
pub fn fate(name: &str) -> Fate {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let fits = |known: &str| interface == known || (known.ends_with(['/', '-']) && interface.starts_with(known));
    let Some((_, fate)) = TABLE.iter().find(|(known, _)| fits(known)) else {
        return Fate::Refused("plugins get no such thing");
    };
    let linked = VERSIONS.iter().any(|(package, linked)| interface.starts_with(package) && version.starts_with(linked));
    match fate {
        Fate::Refused(_) => *fate,
        _ if !linked => Fate::Refused("the gateway has no such version of it"),
        _ => *fate,
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("lines for the operator's log, capped"),
            Self::Types => f.write_str("types only"),
            Self::Clock => f.write_str("the time"),
            Self::Random => f.write_str("random bytes"),
            Self::Empty(what) => write!(f, "linked, nothing behind it: {what}"),
            Self::Refused(why) => write!(f, "REFUSED: {why}"),
        }
    }
}

/// The outside of a component: what it asks for and what it offers.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Names of its imports.
    pub imports: Vec<String>,
    /// Names of its exports.
    pub exports: Vec<String>,
}

impl Shape {
    /// Reads the outside of any component, also of one that the gateway would not load.
    ///
    /// # Errors
    /// The bytes are no component.
    pub fn read(runtime: &Runtime, file: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        let component = Component::new(&runtime.engine, bytes)
            .map_err(|error| LoadError::NotAComponent { file: file.to_owned(), reason: format!("{error:#}") })?;
        Ok(Self::of(&runtime.engine, &component))
    }

    /// The outside of `component`.
    pub(super) fn of(engine: &Engine, component: &Component) -> Self {
        let ty = component.component_type();
        Self {
            imports: ty.imports(engine).map(|(name, _)| name.to_owned()).collect(),
            exports: ty.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// The first import that keeps the component from being loaded, and why.
    pub fn refused(&self) -> Option<(&str, &'static str)> {
        self.imports.iter().find_map(|name| match fate(name) {
            Fate::Refused(why) => Some((name.as_str(), why)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_gets_is_decided_by_the_name_and_the_version() {
        for (name, expected) in [
            ("ai-api:plugin/log@0.1.0", Fate::Log),
            ("ai-api:plugin/types@0.1.0", Fate::Types),
            ("wasi:clocks/wall-clock@0.2.6", Fate::Clock),
            ("wasi:random/insecure-seed@0.2.0", Fate::Random),
        ] {
            assert_eq!(fate(name), expected, "{name}");
        }
        for name in ["wasi:cli/terminal-stdout@0.2.3", "wasi:filesystem/preopens@0.2.0", "wasi:io/streams@0.2.6"] {
            assert!(matches!(fate(name), Fate::Empty(_)), "{name}");
        }
        for name in [
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:clocks/wall-clock@0.3.0",
            "wasi:clocks/wall-clock",
            "wasi:clocksx/wall-clock@0.2.0",
            "wasi:cli/run@0.2.0",
            "ai-api:plugin/log@0.9.0",
            "ai-api:plugin/logs@0.1.0",
            "env",
            "",
        ] {
            assert!(matches!(fate(name), Fate::Refused(_)), "{name}");
        }
    }
}
