//! Reads what a request's query says.

use url::form_urlencoded;

use super::fields::wrong;
use crate::pipeline::GatewayError;

/// A query's parameters.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A text, unless it is empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name)?;
        Some(found.1.as_str()).filter(|text| !text.is_empty())
    }

    /// A whole number from 1 to `most`.
    pub(super) fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, GatewayError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| wrong(name, &format!("a whole number from 1 to {most}")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, GatewayError> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no") => Ok(false),
            Some("true" | "1" | "yes") => Ok(true),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }
}

/// One page of a list, and how many pages there are.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) total: usize,
    pub(super) pages: usize,
}

impl<T> Page<T> {
    pub(super) fn of(all: Vec<T>, page: usize, size: usize) -> Self {
        let total = all.len();
        let first = (page - 1).saturating_mul(size);
        Self { items: all.into_iter().skip(first).take(size).collect(), total, pages: total.div_ceil(size) }
    }
}
