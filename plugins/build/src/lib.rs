//! Turns a plugin's core module into a component.
//!
//! A compiler for WebAssembly makes a core module; what the gateway loads is a component, which says what it imports
//! and exports. The module carries its WIT in a custom section (the SDK puts it there, and wit-bindgen for other
//! languages), so nothing else is needed.

use wit_component::{ComponentEncoder, metadata};

/// What WebAssembly begins with, and whether a core module or a component follows.
const CORE_MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";

/// Why a module can't be made a component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// It is a component already, or no WebAssembly at all.
    #[error("it is no core WebAssembly module")]
    NotAModule,
    /// The module has no WIT, or none that says what it exports.
    #[error("it has no WIT inside: a crate needs `export_provider!`, other languages what wit-bindgen generates")]
    NoInterface,
    /// The module's WIT can't be read.
    #[error("the WIT inside the module can't be read: {0}")]
    Interface(String),
    /// The module lacks what its WIT says, or imports something else.
    #[error("{0}")]
    Encode(String),
}

/// Whether these are the bytes of a core module, rather than of a component.
pub fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(CORE_MODULE)
}

/// The component of a core module.
///
/// # Errors
/// See [`BuildError`].
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    if !is_core_module(module) {
        return Err(BuildError::NotAModule);
    }
    let unreadable = |error: anyhow::Error| BuildError::Interface(format!("{error:#}"));
    let (rest, wit) = metadata::decode(module).map_err(unreadable)?;
    // The encoder would make a component of it that exports nothing. A crate with the SDK and without its macro has the
    // imports' WIT inside.
    if rest.is_none() || wit.resolve.worlds.get(wit.world).is_none_or(|world| world.exports.is_empty()) {
        return Err(BuildError::NoInterface);
    }
    let mut encoder = ComponentEncoder::default().validate(true).module(module).map_err(unreadable)?;
    encoder.encode().map_err(|error| BuildError::Encode(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_core_module_is_refused() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0", b"text"] {
            assert!(matches!(componentize(bytes), Err(BuildError::NotAModule)), "{bytes:?}");
        }
    }

    #[test]
    fn a_module_without_wit_is_refused() {
        assert!(matches!(componentize(CORE_MODULE), Err(BuildError::NoInterface)));
    }

    #[test]
    fn a_module_that_is_cut_short_is_refused() {
        assert!(matches!(componentize(b"\0asm\x01\0\0\0\x01\xff"), Err(BuildError::Interface(_))));
    }
}
