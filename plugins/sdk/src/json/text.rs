//! A string of JSON that is copied from where it came to where it goes.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::scan::plain_length;

/// A string of a JSON document, or one that is to be in a document.
///
/// It reads as a `&str`. One that was parsed is written out as it stood there, escapes and all: a long prompt is
/// neither unescaped nor escaped again on its way. Only who looks into one with escapes pays for that, once.
#[derive(Clone)]
pub struct Text<'a>(Form<'a>);

#[derive(Clone)]
enum Form<'a> {
    /// Parsed, without escapes: the text is what stands between the quotes.
    Plain(&'a str),
    /// Parsed, with escapes.
    Escaped { raw: &'a str, text: OnceCell<Box<str>> },
    /// Anybody's; may need escapes.
    Any(Cow<'a, str>),
}

impl<'a> Text<'a> {
    /// What stood between quotes, without a backslash.
    pub(super) const fn plain(raw: &'a str) -> Self {
        Self(Form::Plain(raw))
    }

    /// What stood between quotes, with escapes that were found to be good.
    pub(super) const fn escaped(raw: &'a str) -> Self {
        Self(Form::Escaped { raw, text: OnceCell::new() })
    }

    /// A text of the program's own, which is looked at when the program is compiled and never again.
    ///
    /// # Panics
    /// It has quotes, backslashes or control characters in it, so that JSON must escape it.
    pub const fn literal(text: &'static str) -> Text<'static> {
        let mut bytes = text.as_bytes();
        while let [byte, rest @ ..] = bytes {
            assert!(*byte >= b' ' && *byte != b'"' && *byte != b'\\', "such a text must be escaped");
            bytes = rest;
        }
        Text(Form::Plain(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Plain(text) => text,
            Form::Escaped { raw, text } => text.get_or_init(|| unescaped(raw).into()),
            Form::Any(text) => text,
        }
    }

    /// The text, borrowed where it can be.
    pub fn into_cow(self) -> Cow<'a, str> {
        match self.0 {
            Form::Plain(text) => Cow::Borrowed(text),
            Form::Escaped { raw, text } => match text.into_inner() {
                Some(text) => Cow::Owned(text.into()),
                None => Cow::Owned(unescaped(raw)),
            },
            Form::Any(text) => text,
        }
    }

    /// The text as a string of its own.
    pub fn into_string(self) -> String {
        self.into_cow().into_owned()
    }

    /// A text that borrows nothing.
    pub fn into_owned(self) -> Text<'static> {
        Text::from(self.into_string())
    }

    /// Appends more text.
    pub fn push_str(&mut self, more: &str) {
        let mut text = std::mem::take(self).into_string();
        text.push_str(more);
        *self = text.into();
    }

    /// Whether there is nothing in it. Looks at no more than the beginning.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Plain(raw) | Form::Escaped { raw, .. } => raw.is_empty(),
            Form::Any(text) => text.is_empty(),
        }
    }

    /// Whether there is nothing in it but white space. Looks at no more than the beginning, unless that is an escape.
    pub fn is_blank(&self) -> bool {
        if let Form::Escaped { raw, .. } = &self.0
            && !raw.trim_start().starts_with('\\')
        {
            return false;
        }
        self.trim_start().is_empty()
    }

    /// Appends the text as JSON, between quotes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Plain(raw) | Form::Escaped { raw, .. } => {
                out.push(b'"');
                out.extend_from_slice(raw.as_bytes());
                out.push(b'"');
            }
            Form::Any(text) => write_escaped(text, out),
        }
    }

    /// Appends the text as JSON, without quotes.
    pub(crate) fn write_inside(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Plain(raw) | Form::Escaped { raw, .. } => out.extend_from_slice(raw.as_bytes()),
            Form::Any(text) => write_escaped_inside(text, out),
        }
    }
}

/// Appends `text` as JSON, between quotes.
pub(super) fn write_escaped(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped_inside(text, out);
    out.push(b'"');
}

fn write_escaped_inside(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at_checked(plain_length(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((byte, behind)) = special.split_first() else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                let hex = |digit: u8| char::from_digit(u32::from(digit), 16).map_or(b'0', |digit| digit as u8);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(control >> 4), hex(control & 15)]);
            }
        }
        rest = behind;
    }
}

/// What `raw` says. Its escapes are good: the parser saw to that.
fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, behind)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = behind.chars();
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('u') => {
                let (unit, behind) = code_unit(behind.get(1..).unwrap_or_default());
                // A high half has its low half behind it.
                let low = behind.strip_prefix("\\u").map(code_unit);
                let (code, behind) = match low {
                    Some((low, behind)) if (0xd800..0xdc00).contains(&unit) => {
                        (0x10000 + ((unit - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff), behind)
                    }
                    _ => (unit, behind),
                };
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = behind;
                continue;
            }
            Some(itself) => text.push(itself),
            None => {}
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    text
}

/// The four hexadecimal digits that `digits` begins with, and what follows them.
fn code_unit(digits: &str) -> (u32, &str) {
    let (unit, behind) = digits.split_at_checked(4).unwrap_or((digits, ""));
    (u32::from_str_radix(unit, 16).unwrap_or(0), behind)
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::plain("")
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Form::Any(Cow::Borrowed(text)))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Form::Any(Cow::Owned(text)))
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self(Form::Any(text))
    }
}

impl From<Text<'_>> for String {
    fn from(text: Text<'_>) -> Self {
        text.into_string()
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text<'_> {}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Text<'_> {
        let raw = &json[1..json.len() - 1];
        if raw.contains('\\') { Text::escaped(raw) } else { Text::plain(raw) }
    }

    #[test]
    fn a_parsed_text_reads_as_what_it_says_and_is_written_as_it_stood() {
        for json in [
            r#""""#,
            r#""plain""#,
            r#""\u00e9\n\t\"\\\/\b\f\r""#,
            r#""\ud83d\ude00 and \uD83D\uDE00""#,
            "\"\u{1f600}\\n\u{e9}\"",
            r#""a\u0000b""#,
        ] {
            let expected: String = serde_json::from_str(json).unwrap();
            let text = parsed(json);
            let mut out = Vec::new();
            text.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), json);
            assert_eq!(text.as_str(), expected, "{json}");
            assert_eq!(text.into_string(), expected, "{json}");
        }
    }

    #[test]
    fn any_text_is_escaped_as_json_wants_it() {
        let every: String = (0..0x250).filter_map(char::from_u32).chain(['\u{2028}', '\u{1f600}']).collect();
        for text in ["", "plain", "\"", "\\", "a\nb", every.as_str(), &every.repeat(3)] {
            let mut out = Vec::new();
            Text::from(text).write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn blank_is_told_without_reading_all_of_it() {
        for (json, blank) in [
            (r#""""#, true),
            (r#"" ""#, true),
            (r#"" \n \t""#, true),
            (r#""\u0020\u00a0""#, true),
            (r#"" \n x""#, false),
            (r#""x\n""#, false),
            (r#""\u0078""#, false),
        ] {
            assert_eq!(parsed(json).is_blank(), blank, "{json}");
        }
        assert!(Text::from(" \n").is_blank());
        assert!(!Text::from(" x\n").is_blank());
    }
}
