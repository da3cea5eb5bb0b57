//! The outside of a component: what it asks for and what it offers, also where it would not be loaded.

use wasmtime::component::Component;

use super::{LoadError, Runtime, bounds};

/// The outside of a component.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Names of its imports.
    pub imports: Vec<String>,
    /// Names of its exports.
    pub exports: Vec<String>,
}

impl Shape {
    /// Reads the outside of any component.
    ///
    /// # Errors
    /// The bytes are no component.
    pub fn read(runtime: &Runtime, file: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        bounds::check(bytes).map_err(|reason| LoadError::TooComplex { file: file.to_owned(), reason })?;
        let component = Component::from_binary(&runtime.engine, bytes)
            .map_err(|error| LoadError::NotAComponent { file: file.to_owned(), reason: format!("{error:#}") })?;
        let ty = component.component_type();
        Ok(Self {
            imports: ty.imports(&runtime.engine).map(|(name, _)| name.to_owned()).collect(),
            exports: ty.exports(&runtime.engine).map(|(name, _)| name.to_owned()).collect(),
        })
    }
}
