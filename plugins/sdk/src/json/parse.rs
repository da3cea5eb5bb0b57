//! The parser: one pass over the document, and nothing of it copied.

use std::fmt;

use super::number::Number;
use super::object::Object;
use super::scan::plain_length;
use super::text::Text;
use super::value::Json;

/// How deep arrays and objects may stand in each other: as deep as `serde_json` takes them.
const MAX_DEPTH: usize = 127;

/// Why a document is no JSON, in `serde_json`'s words.
#[derive(Debug)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

impl<'a> Json<'a> {
    /// Reads a document. Of a name that an object has twice, the last value counts.
    ///
    /// # Errors
    /// It is no JSON, is nested deeper than 127 levels, or has a number beyond those that a 64-bit float holds.
    pub fn parse(document: &'a [u8]) -> Result<Self, ParseError> {
        let parsed = std::str::from_utf8(document).ok().and_then(|text| Parser { text, at: 0 }.document());
        parsed.ok_or_else(|| ParseError::of(document))
    }
}

impl ParseError {
    /// Documents that fail are rare, and `serde_json` says well why.
    #[cold]
    fn of(document: &[u8]) -> Self {
        let error = serde_json::from_slice::<serde_json::Value>(document).err();
        Self(error.map_or_else(|| "invalid JSON".to_owned(), |error| error.to_string()))
    }
}

/// A document, and how far it was read. `None` is an error.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// What stands between quotes.
struct Raw<'a> {
    text: &'a str,
    has_escapes: bool,
}

impl<'a> From<Raw<'a>> for Text<'a> {
    #[inline]
    fn from(raw: Raw<'a>) -> Self {
        if raw.has_escapes { Text::escaped(raw.text) } else { Text::plain(raw.text) }
    }
}

impl<'a> Parser<'a> {
    fn document(mut self) -> Option<Json<'a>> {
        let first = self.next_token()?;
        let value = self.value(first, MAX_DEPTH)?;
        self.peek_token().is_none().then_some(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that isn't white space.
    fn peek_token(&mut self) -> Option<u8> {
        loop {
            match self.peek()? {
                // Most documents have no white space between tokens.
                token if token > b' ' => return Some(token),
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                control => return Some(control),
            }
        }
    }

    /// Takes the next byte that isn't white space.
    fn next_token(&mut self) -> Option<u8> {
        let token = self.peek_token()?;
        self.at += 1;
        Some(token)
    }

    /// The value whose first byte was taken.
    fn value(&mut self, first: u8, depth: usize) -> Option<Json<'a>> {
        match first {
            b'"' => self.string().map(|raw| Json::String(raw.into())),
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'-' | b'0'..=b'9' => self.number(first),
            b't' => self.word("rue").map(|()| Json::Bool(true)),
            b'f' => self.word("alse").map(|()| Json::Bool(false)),
            b'n' => self.word("ull").map(|()| Json::Null),
            _ => None,
        }
    }

    fn word(&mut self, rest: &str) -> Option<()> {
        let found = self.text.as_bytes().get(self.at..)?.starts_with(rest.as_bytes());
        self.at += rest.len();
        found.then_some(())
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        let mut token = self.next_token()?;
        if token == b'}' {
            return Some(Json::Object(Object::new()));
        }
        let mut fields = Vec::with_capacity(4);
        loop {
            if token != b'"' {
                return None;
            }
            let key = self.string()?;
            if self.next_token()? != b':' {
                return None;
            }
            // Strings, which most values are, are put in their place without being moved through a return value.
            match self.next_token()? {
                b'"' => {
                    let raw = self.string()?;
                    fields.push((key.into(), Json::String(raw.into())));
                }
                first => {
                    let value = self.value(first, depth)?;
                    fields.push((key.into(), value));
                }
            }
            match self.next_token()? {
                b',' => token = self.next_token()?,
                b'}' => return Some(Json::Object(Object::parsed(fields))),
                _ => return None,
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json<'a>> {
        let mut first = self.next_token()?;
        if first == b']' {
            return Some(Json::Array(Vec::new()));
        }
        let mut values = Vec::with_capacity(4);
        loop {
            values.push(self.value(first, depth)?);
            match self.next_token()? {
                b',' => first = self.next_token()?,
                b']' => return Some(Json::Array(values)),
                _ => return None,
            }
        }
    }

    /// The string whose opening quote was taken.
    #[inline]
    fn string(&mut self) -> Option<Raw<'a>> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += plain_length(bytes.get(start..)?);
        let has_escapes = self.peek()? != b'"';
        if has_escapes {
            self.escaped_string()?;
        }
        let text = self.text.get(start..self.at)?;
        self.at += 1;
        Some(Raw { text, has_escapes })
    }

    /// Steps over what is left of a string, up to its closing quote.
    fn escaped_string(&mut self) -> Option<()> {
        loop {
            match self.peek()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                // A control character.
                _ => return None,
            }
            self.at += plain_length(self.text.as_bytes().get(self.at..)?);
        }
    }

    /// Steps over an escape that means something.
    fn escape(&mut self) -> Option<()> {
        self.at += 2;
        match self.text.as_bytes().get(self.at - 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.code_unit()? {
                0xd800..0xdc00 => {
                    // Half a character, whose other half must follow.
                    self.word("\\u")?;
                    (0xdc00..0xe000).contains(&self.code_unit()?).then_some(())
                }
                0xdc00..0xe000 => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn code_unit(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
    }

    /// The number whose first byte was taken.
    fn number(&mut self, first: u8) -> Option<Json<'a>> {
        let start = self.at - 1;
        let leading = if first == b'-' {
            let digit = self.peek()?;
            self.at += 1;
            digit
        } else {
            first
        };
        match leading {
            // Nothing but a fraction follows a zero; a digit that does is no token.
            b'0' => {}
            b'1'..=b'9' => _ = self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let mut may_be_huge = self.at - start > f64::MAX_10_EXP as usize;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
            may_be_huge = true;
        }
        let digits = self.text.get(start..self.at)?;
        if may_be_huge && !digits.parse::<f64>().is_ok_and(f64::is_finite) {
            return None;
        }
        Some(Json::Number(Number::written(digits)))
    }

    /// Steps over digits; none is an error.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What is read and written again means the same to `serde_json`.
    fn check(document: &[u8]) {
        let expected = serde_json::from_slice::<Value>(document);
        let found = Json::parse(document);
        let shown = String::from_utf8_lossy(document);
        match (&expected, &found) {
            (Ok(expected), Ok(found)) => {
                for found in [found.clone(), found.clone().into_owned()] {
                    let written: Value = serde_json::from_slice(&found.to_vec()).unwrap();
                    // As text, for the order of fields counts.
                    assert_eq!(written.to_string(), expected.to_string(), "{shown}");
                }
            }
            (Err(expected), Err(found)) => assert_eq!(found.to_string(), expected.to_string(), "{shown}"),
            _ => panic!("{shown}: serde_json says {expected:?}, we say {found:?}"),
        }
    }

    const DOCUMENTS: [&str; 52] = [
        "",
        " ",
        "null",
        "true",
        "false",
        "nul",
        "truex",
        "0",
        "-0",
        "-",
        "01",
        "-01",
        "1.",
        ".1",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1e",
        "1e+",
        "1e999",
        "-1e999",
        "1e-999",
        "12345678901234567890123",
        "0x1",
        "+1",
        "NaN",
        r#""a""#,
        r#""a"#,
        r#""\x""#,
        r#""\u12""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#""\ud83d\ude00""#,
        "\"a\nb\"",
        "\"\u{7f}\"",
        "[]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,2",
        "{}",
        r#"{"a":1}"#,
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{a:1}"#,
        r#"{"a":1,"a":2,"b":3,"a":{"c":1,"c":2}}"#,
        r#"{"\u0061":1,"a":2}"#,
        " [ 1 , { \"a\" : [ ] } ] ",
        "[1] x",
        "{\"é\":\"\\n\"}",
    ];

    #[test]
    fn documents_are_read_as_serde_json_reads_them() {
        for document in DOCUMENTS {
            check(document.as_bytes());
        }
        check(b"\"\xff\"");
        check(b"\"\xc3\"");
    }

    #[test]
    fn damaged_documents_are_read_as_serde_json_reads_them() {
        for document in DOCUMENTS {
            for place in 0..document.len() {
                check(&document.as_bytes()[..place]);
                for byte in [b'{', b'}', b'[', b']', b'"', b'\\', b',', b':', b'0', b'.', b'e', b'u', b' ', 0, 0xff] {
                    let mut damaged = document.as_bytes().to_vec();
                    damaged[place] = byte;
                    check(&damaged);
                }
            }
        }
    }

    #[test]
    fn nesting_ends_where_it_ends_for_serde_json() {
        for depth in [126, 127, 128, 129, 10_000] {
            check(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
            check(format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth)).as_bytes());
        }
    }

    #[test]
    fn many_names_are_merged_as_few_are() {
        let fields = |count: usize| {
            let all: Vec<String> = (0..count).map(|n| format!(r#""k{}":{n}"#, n % (count * 2 / 3 + 1))).collect();
            format!("{{{}}}", all.join(","))
        };
        for count in [2, 15, 16, 17, 18, 100, 5_000] {
            check(fields(count).as_bytes());
        }
    }
}
