//! The line of one request, written by hand: every call has one, and a formatter for all purposes takes more than twice
//! the instructions.
//!
//! It looks like every other line of the log, which tracing writes.

use std::fmt::{self, Write};
use std::time::Duration;

use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::Format;
use crate::money::Money;

/// A line under construction. Fields without a value are left out.
#[derive(Debug)]
pub struct Line {
    text: Vec<u8>,
    format: Format,
}

impl Line {
    /// The beginning of a line of this level (`INFO`, `WARN`) that says `message`.
    pub(super) fn new(format: Format, level: &str, message: &str) -> Self {
        let mut line = Self { text: Vec::with_capacity(640), format };
        match format {
            Format::Json => {
                line.raw("{\"timestamp\":\"");
                line.time();
                line.raw("\",\"level\":\"");
                line.raw(level);
                line.raw("\",\"message\":\"");
                line.raw(message);
                line.raw("\"");
            }
            Format::Plain => {
                line.time();
                line.write_formatted(format_args!(" {level:>5} "));
                line.raw(message);
            }
            Format::Coloured => {
                line.raw("\x1b[2m");
                line.time();
                let colour = if level == "INFO" { 32 } else { 33 };
                line.write_formatted(format_args!("\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m "));
                line.raw(message);
            }
        }
        line
    }

    /// Adds a text.
    pub fn text(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.key(key);
        if value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
            self.raw("\"");
            self.raw(value);
            self.raw("\"");
        } else if self.format == Format::Json {
            serde_json::to_writer(&mut self.text, value).expect("a string always has JSON, and a Vec takes all bytes");
        } else {
            self.write_formatted(format_args!("{value:?}"));
        }
    }

    /// Adds a text that a value of ours writes: printable, without quotes.
    pub fn formatted(&mut self, key: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.key(key);
            self.write_formatted(format_args!("\"{value}\""));
        }
    }

    /// Adds a number.
    pub fn number(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.key(key);
            self.write_formatted(format_args!("{value}"));
        }
    }

    /// Adds an amount of US dollars, exactly: a JSON number has as many digits as it takes.
    pub fn money(&mut self, key: &str, value: Option<Money>) {
        if let Some(value) = value {
            self.key(key);
            self.write_formatted(format_args!("{value}"));
        }
    }

    /// Adds `true`.
    pub fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.key(key);
            self.raw("true");
        }
    }

    /// Adds a duration in milliseconds, to the microsecond.
    pub fn milliseconds(&mut self, key: &str, value: Option<Duration>) {
        let Some(value) = value else { return };
        self.key(key);
        let (whole, thousandths) = (value.as_micros() / 1000, value.as_micros() % 1000);
        self.write_formatted(format_args!("{whole}.{thousandths:03}"));
        // As short as a number is written, which has one digit behind its point at least.
        for _ in 0..2 {
            self.text.pop_if(|last| *last == b'0');
        }
    }

    /// The whole line.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.raw(if self.format == Format::Json { "}\n" } else { "\n" });
        self.text
    }

    fn key(&mut self, key: &str) {
        let (before, after) = match self.format {
            Format::Json => (",\"", "\":"),
            Format::Plain => (" ", "="),
            Format::Coloured => (" \x1b[3m", "\x1b[0m\x1b[2m=\x1b[0m"),
        };
        self.raw(before);
        self.raw(key);
        self.raw(after);
    }

    fn raw(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn time(&mut self) {
        // It fails where its writer does.
        let _ =
            SystemTime.format_time(&mut tracing_subscriber::fmt::format::Writer::new(&mut Appended(&mut self.text)));
    }

    fn write_formatted(&mut self, arguments: fmt::Arguments<'_>) {
        let _ = Appended(&mut self.text).write_fmt(arguments);
    }
}

/// Formats to the end of a line.
struct Appended<'a>(&'a mut Vec<u8>);

impl Write for Appended<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format) -> String {
        let mut line = Line::new(format, "INFO", "request");
        line.text("path", Some("/v1/chat"));
        line.text("model", Some("a\"b\\c\nä"));
        line.text("error", None);
        line.number("status", Some(200));
        line.flag("stream", true);
        for (key, micros) in [("a", 1_000_707), ("b", 2_000), ("c", 2_120), ("d", 10)] {
            line.milliseconds(key, Some(Duration::from_micros(micros)));
        }
        String::from_utf8(line.finish()).unwrap()
    }

    #[test]
    fn a_line_of_json_is_json() {
        let read: serde_json::Value = serde_json::from_str(&line(Format::Json)).unwrap();
        assert_eq!(read["message"], "request");
        assert_eq!(read["level"], "INFO");
        assert_eq!(read["model"], "a\"b\\c\nä");
        assert_eq!((&read["status"], &read["stream"]), (&200.into(), &true.into()));
        assert_eq!(read["a"], 1000.707);
        assert!(read["timestamp"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 27));
        assert!(read.get("error").is_none());
    }

    #[test]
    fn a_line_of_text_reads_as_those_of_tracing_do() {
        let line = line(Format::Plain);
        let (time, rest) = line.split_at(27);
        assert!(time.ends_with('Z'));
        let fields = r#"path="/v1/chat" model="a\"b\\c\nä" status=200 stream=true a=1000.707 b=2.0 c=2.12 d=0.01"#;
        assert_eq!(rest, format!("  INFO request {fields}\n"));
    }
}
