//! The writer: JSON straight into the bytes that are sent.

use std::fmt;

use super::number::{Number, write_u64};
use super::object::Object;
use super::text::{Text, write_escaped};
use super::value::Json;

/// What can be written as JSON.
pub trait WriteJson {
    /// Appends itself as JSON.
    fn write_json(&self, out: &mut Vec<u8>);

    /// Itself as JSON.
    fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_json(&mut out);
        out
    }
}

/// Writes an object field by field.
#[derive(Debug)]
pub struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Begins an object at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Writes a field.
    pub fn field(&mut self, key: &str, value: &(impl WriteJson + ?Sized)) -> &mut Self {
        value.write_json(self.value_of(key));
        self
    }

    /// Writes a field if there is a value.
    pub fn some(&mut self, key: &str, value: Option<&(impl WriteJson + ?Sized)>) -> &mut Self {
        if let Some(value) = value {
            self.field(key, value);
        }
        self
    }

    /// Writes a field if there are elements.
    pub fn elements(&mut self, key: &str, values: &[impl WriteJson]) -> &mut Self {
        if !values.is_empty() {
            self.field(key, values);
        }
        self
    }

    /// Writes a field if the object has any itself.
    pub fn fields(&mut self, key: &str, object: &Object<'_>) -> &mut Self {
        if !object.is_empty() {
            self.field(key, object);
        }
        self
    }

    /// Begins a field: its value must be appended to what is returned.
    pub fn value_of(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        write_escaped(key, self.out);
        self.out.push(b':');
        self.out
    }

    /// Where the object is written, for a value that is written in pieces.
    pub fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// Ends the object.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

impl Json<'_> {
    /// The value as JSON.
    pub fn to_vec(&self) -> Vec<u8> {
        self.to_json()
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing but text is ever written.
        f.write_str(std::str::from_utf8(&self.to_json()).unwrap_or_default())
    }
}

impl WriteJson for Json<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(value) => value.write_json(out),
            Self::Number(number) => number.write(out),
            Self::String(text) => text.write(out),
            Self::Array(values) => values.write_json(out),
            Self::Object(object) => object.write_json(out),
            Self::Raw(json) => out.extend_from_slice(json.as_bytes()),
        }
    }
}

impl WriteJson for Object<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut separator = b'{';
        for (key, value) in self.iter() {
            out.push(separator);
            separator = b',';
            key.write(out);
            out.push(b':');
            value.write_json(out);
        }
        out.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
    }
}

impl<T: WriteJson> WriteJson for [T] {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut separator = b'[';
        for value in self {
            out.push(separator);
            separator = b',';
            value.write_json(out);
        }
        out.extend_from_slice(if separator == b'[' { b"[]" } else { b"]" });
    }
}

impl<T: WriteJson> WriteJson for Vec<T> {
    fn write_json(&self, out: &mut Vec<u8>) {
        self.as_slice().write_json(out);
    }
}

impl<T: WriteJson> WriteJson for Option<T> {
    fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write_json(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: WriteJson + ?Sized> WriteJson for &T {
    fn write_json(&self, out: &mut Vec<u8>) {
        (*self).write_json(out);
    }
}

impl WriteJson for Text<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        self.write(out);
    }
}

impl WriteJson for Number<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        self.write(out);
    }
}

impl WriteJson for str {
    fn write_json(&self, out: &mut Vec<u8>) {
        write_escaped(self, out);
    }
}

impl WriteJson for String {
    fn write_json(&self, out: &mut Vec<u8>) {
        write_escaped(self, out);
    }
}

impl WriteJson for bool {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl WriteJson for u64 {
    fn write_json(&self, out: &mut Vec<u8>) {
        write_u64(*self, out);
    }
}

/// With as many digits as tell it from every other, as `serde_json` writes it; `null` for what is no number.
impl WriteJson for f32 {
    fn write_json(&self, out: &mut Vec<u8>) {
        // A vector of writers never fails.
        let _ = serde_json::to_writer(out, self);
    }
}

impl WriteJson for u32 {
    fn write_json(&self, out: &mut Vec<u8>) {
        write_u64(u64::from(*self), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object;

    #[test]
    fn an_object_is_written_field_by_field() {
        let mut out = Vec::new();
        let mut writer = ObjectWriter::new(&mut out);
        writer.field("a\"", "x").some("b", None::<&str>).some("c", Some(&1_u64)).elements("d", &[] as &[bool]);
        writer.elements("e", &[true]).fields("f", &Object::new()).fields("g", &object! {"h": Json::Null});
        writer.end();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a\"":"x","c":1,"e":[true],"g":{"h":null}}"#);
        let mut out = Vec::new();
        ObjectWriter::new(&mut out).end();
        assert_eq!(out, b"{}");
        assert_eq!(Json::from(Object::new()).to_string(), "{}");
        assert_eq!(Json::Array(Vec::new()).to_string(), "[]");
    }
}
