//! JSON, read and written without copies.
//!
//! A translator moves most of what it reads: prompts, schemas, arguments. [`Json::parse`] borrows all of it from the
//! document, strings with their escapes as they stand ([`Text`]), and writing puts those bytes into the new document
//! as they are. [`Fields`] takes an object apart, so that what nobody took is known at the end.

mod deserialize;
mod fields;
mod number;
mod object;
mod parse;
mod path;
mod scan;
mod text;
mod value;
mod write;

pub use fields::{Fields, Warnings};
pub use number::Number;
pub use object::Object;
pub use parse::ParseError;
pub use path::{Path, missing, wrong_type};
pub use text::Text;
pub use value::Json;
pub use write::{ObjectWriter, WriteJson};

/// An [`Object`]: `object! {"type": "text", "text": text}`. Names must differ; a value is whatever [`Json`] has a `From` for.
#[macro_export]
macro_rules! object {
    () => { $crate::json::Object::new() };
    ($($key:literal: $value:expr),+ $(,)?) => {
        $crate::json::Object::from_iter([$((const { $crate::json::Text::literal($key) }, $crate::json::Json::from($value))),+])
    };
}
