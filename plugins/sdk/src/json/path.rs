//! Where something stands in the client's JSON.

use std::fmt;

use super::value::Json;
use crate::{Failure, failure};

/// Where a value stands in the request: `messages[2].content[0].text`. Costs nothing until it is shown.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// The request itself.
    Root,
    /// A field of an object.
    Key(&'a Path<'a>, &'a str),
    /// An element of an array.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// A field of the object that stands here.
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    /// An element of the array that stands here.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => write!(f, "{key}"),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A field that must be there is not.
pub fn missing(at: &Path<'_>) -> Failure {
    failure::invalid(at, format!("Missing required parameter: '{at}'."))
}

/// A field is of another type than the API says.
pub fn wrong_type(at: &Path<'_>, expected: &str, found: &Json<'_>) -> Failure {
    let found = match found {
        Json::Null | Json::Raw(_) => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    };
    let place = at.to_string();
    let place = if place.is_empty() { "the request body".to_owned() } else { format!("'{place}'") };
    failure::invalid(at, format!("Invalid type for {place}: expected {expected}, but got {found} instead."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_the_client_would_write_it() {
        let messages = Path::Root.key("messages");
        let second = messages.index(2);
        assert_eq!(second.key("content").to_string(), "messages[2].content");
    }
}
