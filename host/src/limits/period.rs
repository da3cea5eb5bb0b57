//! How long a budget is for: `30s`, `5m`, `24h`, `7d`, `2w`, `1mo`.
//!
//! Periods follow each other without a gap from the first one's beginning, and the one that holds is computed whenever it
//! is asked for: a budget is new in the very moment in which its period is, without anybody who resets it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::keys::Period;

const DAY: u64 = 86_400;
/// Longer ones are none: a clock must bear them.
const LONGEST: u64 = 100 * 366 * DAY;

/// The length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Always the same.
    Fixed(Duration),
    /// Months of the calendar, in UTC.
    Months(u32),
}

/// One period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Its first moment.
    pub since: SystemTime,
    /// The first moment after it.
    pub until: SystemTime,
}

/// The text is no length of a period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a length of time like 30s, 5m, 24h, 7d, 2w or 1mo, got {0:?}")]
pub struct BadSpan(pub String);

// === impl Span ===

impl Span {
    /// Reads LiteLLM's `budget_duration`.
    ///
    /// # Errors
    /// It is none, or nothing, or longer than a century.
    pub fn parse(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan(text.chars().take(32).collect());
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = trimmed.split_at(digits);
        let count: u64 = count.parse().ok().filter(|count| *count > 0).ok_or_else(bad)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => DAY,
            "w" => 7 * DAY,
            "mo" => {
                let months = u32::try_from(count).ok().filter(|months| *months <= 1_200);
                return months.map(Self::Months).ok_or_else(bad);
            }
            _ => return Err(bad()),
        };
        let seconds = count.checked_mul(seconds).filter(|seconds| *seconds <= LONGEST).ok_or_else(bad)?;
        Ok(Self::Fixed(Duration::from_secs(seconds)))
    }

    /// A first beginning for a period that nobody has begun: a Monday at midnight UTC, or the first of a month, so that
    /// `1d`, `7d` and `1mo` begin when people expect it.
    pub fn usual_beginning(self) -> SystemTime {
        match self {
            Self::Fixed(_) => UNIX_EPOCH + Duration::from_secs(4 * DAY),
            Self::Months(_) => UNIX_EPOCH,
        }
    }

    /// The period that holds at `now`, where the first began at `first`. Before that, the first one.
    pub fn term(self, first: SystemTime, now: SystemTime) -> Term {
        match self {
            Self::Fixed(length) => fixed(length, first, now),
            Self::Months(months) => by_calendar(months, first, now),
        }
    }
}

/// The term of a key's, a user's or a team's budget at `now`; `None`: its text is no length of a period.
pub fn term(period: &Period, now: SystemTime) -> Option<Term> {
    Some(Span::parse(&period.text).ok()?.term(period.since, now))
}

fn fixed(length: Duration, first: SystemTime, now: SystemTime) -> Term {
    let passed = now.duration_since(first).unwrap_or_default();
    let into = passed.as_nanos().checked_rem(length.as_nanos()).unwrap_or_default();
    // Less than `passed`, so that it fits.
    let into = Duration::new(
        u64::try_from(into / 1_000_000_000).unwrap_or_default(),
        u32::try_from(into % 1_000_000_000).unwrap_or_default(),
    );
    let since = first + passed.saturating_sub(into);
    Term { since, until: since + length }
}

fn by_calendar(months: u32, first: SystemTime, now: SystemTime) -> Term {
    let step = i64::from(months.max(1));
    let (first_days, of_day) = days(first);
    let (year, month, day) = civil(first_days);
    let beginning = |number: i64| {
        let month = year * 12 + i64::from(month) - 1 + number * step;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let day = i64::from(day).min(length_of(year, month));
        let days = days_from_civil(year, month, day);
        UNIX_EPOCH + Duration::from_secs(u64::try_from(days).unwrap_or_default() * DAY) + of_day
    };
    let (now_year, now_month, _) = civil(days(now.max(first)).0);
    let passed = (now_year - year) * 12 + i64::from(now_month) - i64::from(month);
    // The month has come; its day may not have.
    let number = passed.div_euclid(step).max(0);
    let number = if number > 0 && beginning(number) > now { number - 1 } else { number };
    Term { since: beginning(number), until: beginning(number + 1) }
}

/// Days since 1970-01-01, and what is left of the last one.
fn days(time: SystemTime) -> (i64, Duration) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let days = since.as_secs() / DAY;
    (i64::try_from(days).unwrap_or_default(), since.saturating_sub(Duration::from_secs(days * DAY)))
}

/// Year, month and day. Howard Hinnant's: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>. Years
/// begin in March there, so that a leap day comes last.
fn civil(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    (
        era * 400 + year_of_era + i64::from(month <= 2),
        u32::try_from(month).unwrap_or(1),
        u32::try_from(day).unwrap_or(1),
    )
}

/// The other way round.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn length_of(year: i64, month: i64) -> i64 {
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next.0, next.1, 1) - days_from_civil(year, month, 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn date(year: i64, month: i64, day: i64) -> SystemTime {
        at(u64::try_from(days_from_civil(year, month, day)).unwrap() * DAY)
    }

    #[test]
    fn lengths_are_litellms() {
        for (text, span) in [
            ("30s", Span::Fixed(Duration::from_secs(30))),
            ("5m", Span::Fixed(Duration::from_secs(300))),
            ("24h", Span::Fixed(Duration::from_secs(DAY))),
            (" 7d ", Span::Fixed(Duration::from_secs(7 * DAY))),
            ("2w", Span::Fixed(Duration::from_secs(14 * DAY))),
            ("1mo", Span::Months(1)),
        ] {
            assert_eq!(Span::parse(text), Ok(span), "{text}");
        }
        for text in ["", "0s", "s", "5", "-5m", "1.5h", "5 m", "1y", "99999999999999999999s", "9999999999d", "é1d"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_period_ends_in_the_moment_in_which_the_next_begins() {
        let span = Span::parse("30s").unwrap();
        for (now, since) in [(100, 100), (129, 100), (130, 130), (159, 130), (160, 160), (50, 100)] {
            assert_eq!(span.term(at(100), at(now)), Term { since: at(since), until: at(since + 30) }, "{now}");
        }
    }

    #[test]
    fn months_are_the_calendars_and_the_31st_is_the_last_day_of_a_shorter_one() {
        let first = date(2024, 1, 31);
        for (now, since, until) in [
            (date(2024, 2, 28), date(2024, 1, 31), date(2024, 2, 29)),
            (date(2024, 2, 29), date(2024, 2, 29), date(2024, 3, 31)),
            (date(2024, 12, 30), date(2024, 11, 30), date(2024, 12, 31)),
            (date(2025, 1, 1), date(2024, 12, 31), date(2025, 1, 31)),
            (date(2023, 1, 1), date(2024, 1, 31), date(2024, 2, 29)),
        ] {
            assert_eq!(Span::Months(1).term(first, now), Term { since, until });
        }
        let quarter = Span::Months(3).term(date(2024, 11, 15), date(2025, 6, 1));
        assert_eq!(quarter, Term { since: date(2025, 5, 15), until: date(2025, 8, 15) });
    }

    #[test]
    fn a_day_a_week_and_a_month_that_nobody_began_begin_as_people_expect() {
        let now = date(2026, 11, 25) + Duration::from_secs(40_000);
        for (text, since) in [("1d", date(2026, 11, 25)), ("7d", date(2026, 11, 23)), ("1mo", date(2026, 11, 1))] {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.term(span.usual_beginning(), now).since, since, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_in_one_period_and_periods_follow_each_other(
            first in 0u64..4_000_000_000, after in 0u64..400_000_000, length in 1u64..100_000_000, months in 1u32..30
        ) {
            let (first, now) = (at(first), at(first + after));
            for span in [Span::Fixed(Duration::from_secs(length)), Span::Months(months)] {
                let term = span.term(first, now);
                prop_assert!(term.since <= now && now < term.until);
                prop_assert_eq!(span.term(first, term.until).since, term.until);
            }
        }
    }
}
