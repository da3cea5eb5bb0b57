//! Tables: lines of text, counts and money, as JSON and as CSV.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Number, Value};

use super::super::{Body, respond};
use super::params::Format;

/// What stands in a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Nothing,
    Text(String),
    Count(i128),
    /// In 10⁻¹² US dollars.
    Money(i128),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

/// Lines of the same columns.
#[derive(Debug)]
pub(super) struct Table {
    /// What the file is called.
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) lines: Vec<Vec<Cell>>,
}

// === impl Table ===

impl Table {
    /// The table as an answer, where its JSON is an array of objects.
    pub(super) fn answer(self, format: Format) -> Response<Body> {
        match format {
            Format::Json => respond::json(StatusCode::OK, &Value::Array(self.objects())),
            Format::Csv => self.csv(),
        }
    }

    /// The table as a file.
    pub(super) fn csv(&self) -> Response<Body> {
        let mut text = heading(self.columns);
        for line in &self.lines {
            write_line(&mut text, line);
        }
        csv(self.name, Body::whole(text))
    }

    fn objects(&self) -> Vec<Value> {
        let object = |line: &Vec<Cell>| {
            let fields = self.columns.iter().zip(line).map(|(name, cell)| ((*name).to_owned(), cell.json()));
            Value::Object(fields.collect())
        };
        self.lines.iter().map(object).collect()
    }
}

/// A CSV file.
pub(super) fn csv(name: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// JSON that comes in pieces.
pub(super) fn json_pieces(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A word to people who wonder about an answer; clients pass it over.
pub(super) fn warn(response: &mut Response<Body>, warning: &'static str) {
    response.headers_mut().insert(HeaderName::from_static("x-ai-api-warning"), HeaderValue::from_static(warning));
}

/// The first line of a file.
pub(super) fn heading(columns: &[&str]) -> String {
    columns.join(",") + "\r\n"
}

/// A line of a file: RFC 4180.
pub(super) fn write_line(into: &mut String, line: &[Cell]) {
    for (index, cell) in line.iter().enumerate() {
        if index > 0 {
            into.push(',');
        }
        cell.write(into);
    }
    into.push_str("\r\n");
}

// === impl Cell ===

impl Cell {
    /// Its JSON.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Text(text) => Value::String(text.clone()),
            Self::Count(count) => self::count(*count),
            Self::Money(pico) => money(*pico),
        }
    }

    fn write(&self, into: &mut String) {
        match self {
            Self::Nothing => {}
            Self::Text(text) => write_text(into, text),
            Self::Count(count) => into.push_str(&count.to_string()),
            Self::Money(pico) => into.push_str(&dollars(*pico)),
        }
    }
}

/// A text that no spreadsheet takes for a formula: OWASP's advice is a quotation mark before what begins like one.
fn write_text(into: &mut String, text: &str) {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let is_quoted = is_formula || text.contains(['"', ',', '\r', '\n', ';']);
    if !is_quoted {
        into.push_str(text);
        return;
    }
    into.push('"');
    if is_formula {
        into.push('\'');
    }
    into.push_str(&text.replace('"', "\"\""));
    into.push('"');
}

/// A number of dollars, exact: as many places as it takes.
pub(super) fn dollars(pico: i128) -> String {
    const PER_DOLLAR: u128 = 1_000_000_000_000;
    let sign = if pico < 0 { "-" } else { "" };
    let (whole, part) = (pico.unsigned_abs() / PER_DOLLAR, pico.unsigned_abs() % PER_DOLLAR);
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let part = format!("{part:012}");
    format!("{sign}{whole}.{}", part.trim_end_matches('0'))
}

/// The JSON number that is nearest to an exact amount; a float in every client, also where it has no places.
pub(super) fn money(pico: i128) -> Value {
    let nearest = dollars(pico).parse::<f64>().ok().and_then(Number::from_f64);
    nearest.map_or(Value::Null, Value::Number)
}

/// An amount that may not be known.
pub(super) fn money_or_null(pico: Option<i64>) -> Value {
    pico.map_or(Value::Null, |pico| money(pico.into()))
}

/// A count, or the most that a JSON number can be relied on for.
pub(super) fn count(count: i128) -> Value {
    Value::from(i64::try_from(count).unwrap_or(if count < 0 { i64::MIN } else { i64::MAX }))
}

/// An object of amounts by names; what has the same name is added.
#[derive(Debug, Default)]
pub(super) struct Amounts(BTreeMap<String, i128>);

impl Amounts {
    pub(super) fn add(&mut self, name: &str, pico: i128) {
        match self.0.get_mut(name) {
            Some(sum) => *sum += pico,
            None => drop(self.0.insert(name.to_owned(), pico)),
        }
    }

    /// In the order of the alphabet.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The largest before the others.
    pub(super) fn most_first(&self) -> Vec<(&str, i128)> {
        let mut all: Vec<(&str, i128)> = self.0.iter().map(|(name, pico)| (name.as_str(), *pico)).collect();
        all.sort_by_key(|(_, pico)| std::cmp::Reverse(*pico));
        all
    }

    pub(super) fn json(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, pico)| (name.clone(), money(*pico))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_in_text_and_nearest_in_json() {
        for (pico, text, json) in [
            (0, "0", "0.0"),
            (1, "0.000000000001", "1e-12"),
            (150_000, "0.00000015", "1.5e-7"),
            (-500_000_000_000, "-0.5", "-0.5"),
            (300_000_000_000, "0.3", "0.3"),
            (25_000_000_000_000, "25", "25.0"),
            (i128::from(i64::MAX) * 1000, "9223372036.854775807", "9223372036.854776"),
        ] {
            assert_eq!((dollars(pico).as_str(), money(pico).to_string().as_str()), (text, json), "{pico}");
        }
    }

    #[test]
    fn a_line_is_quoted_where_it_has_to_be_and_is_no_formula() {
        let mut text = String::new();
        let cells = ["plain", "a,b", "say \"hi\"", "=1+1", "+1", "-1", "@x", "\tx", "two\r\nlines", ""].map(Cell::from);
        write_line(&mut text, &cells);
        write_line(&mut text, &[Cell::Nothing, Cell::Count(-3), Cell::Money(-1_000_000_000_000)]);
        let expected = "plain,\"a,b\",\"say \"\"hi\"\"\",\"'=1+1\",\"'+1\",\"'-1\",\"'@x\",\"'\tx\",\"two\r\nlines\",\r\n,-3,-1\r\n";
        assert_eq!(text, expected);
    }
}
