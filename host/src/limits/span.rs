//! LiteLLM's way to write spans of time: `30s`, `5m`, `24h`, `7d`, `1w`, `1mo`.

use std::time::{Duration, SystemTime};

use time::{Date, Month, OffsetDateTime, UtcOffset};

use super::Term;

/// A span of time as LiteLLM's users write it. A month is as long as the calendar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many seconds.
    Seconds(u64),
    /// So many months.
    Months(u32),
}

/// The text is no span of time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a span of time such as 30s, 5m, 24h, 7d, 1w or 1mo, at most 100 years")]
pub struct NotASpan;

const LONGEST: u64 = 100 * 366 * 86_400;

// === impl Span ===

impl Span {
    /// Reads one; a bare number is seconds, as in LiteLLM.
    ///
    /// # Errors
    /// It is none, is nothing, or is longer than a hundred years.
    pub fn parse(text: &str) -> Result<Self, NotASpan> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits).ok_or(NotASpan)?;
        let number: u64 = number.parse().map_err(|_| NotASpan)?;
        let seconds = match unit {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            "mo" if (1..=1_200).contains(&number) => {
                return Ok(Self::Months(u32::try_from(number).map_err(|_| NotASpan)?));
            }
            _ => return Err(NotASpan),
        };
        let seconds = number.checked_mul(seconds).filter(|seconds| (1..=LONGEST).contains(seconds));
        seconds.map(Self::Seconds).ok_or(NotASpan)
    }

    /// The period of this length that holds at `now`, where the first began at `first`.
    pub fn term(self, first: SystemTime, now: SystemTime) -> Term {
        Term::of(self, first, now)
    }

    /// The moment that is this much later; the last day of a month that is shorter.
    pub fn after(self, moment: SystemTime) -> Option<SystemTime> {
        match self {
            Self::Seconds(seconds) => moment.checked_add(Duration::from_secs(seconds)),
            Self::Months(months) => months_after(moment, months),
        }
    }
}

fn months_after(moment: SystemTime, months: u32) -> Option<SystemTime> {
    let then = OffsetDateTime::from(moment).to_offset(UtcOffset::UTC);
    let month = i64::from(u8::from(then.month())) - 1 + i64::from(months);
    let year = then.year().checked_add(i32::try_from(month.div_euclid(12)).ok()?)?;
    let month = Month::try_from(u8::try_from(month.rem_euclid(12) + 1).ok()?).ok()?;
    let day = then.day().min(month.length(year));
    let date = Date::from_calendar_date(year, month, day).ok()?;
    Some(then.replace_date(date).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap().into()
    }

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, span) in [
            ("30s", Some(Span::Seconds(30))),
            ("30", Some(Span::Seconds(30))),
            ("5m", Some(Span::Seconds(300))),
            ("24h", Some(Span::Seconds(86_400))),
            ("30d", Some(Span::Seconds(2_592_000))),
            ("1w", Some(Span::Seconds(604_800))),
            ("1mo", Some(Span::Months(1))),
            ("0s", None),
            ("0mo", None),
            ("-1", None),
            ("", None),
            ("d", None),
            ("1y", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("40000d", None),
            ("1é", None),
        ] {
            assert_eq!(Span::parse(text).ok(), span, "{text}");
        }
    }

    #[test]
    fn a_month_is_as_long_as_the_calendar_says() {
        for (from, months, to) in [
            ("2026-01-31T10:00:00Z", 1, "2026-02-28T10:00:00Z"),
            ("2028-01-31T10:00:00Z", 1, "2028-02-29T10:00:00Z"),
            ("2026-11-15T00:00:00Z", 2, "2027-01-15T00:00:00Z"),
            ("2026-12-31T23:59:59Z", 12, "2027-12-31T23:59:59Z"),
        ] {
            assert_eq!(Span::Months(months).after(at(from)), Some(at(to)), "{from} + {months}");
        }
    }
}
